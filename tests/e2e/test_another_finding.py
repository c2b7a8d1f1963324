"""Another finding than the released one, from labelled slices to a report: data and configuration, and no module."""

from __future__ import annotations

import csv
from pathlib import Path

import cv2
import numpy as np
import pytest

from hemo_core.bundle import open_bundle
from hemo_core.bundle.contract import Window
from hemo_core.phantoms import PhantomSpec, make_phantom, write_png
from hemo_core.report import EngineFacts, dump_report, load_report, scored_report
from hemo_core.scans.discover import discover
from hemo_core.scans.preprocess import apply_window, prepare, to_input
from hemo_core.scans.readers import read_scan

pytestmark = [pytest.mark.slow, pytest.mark.tensorflow]

CONFIG = """
name = "phantom-mass"
seed = 3
findings = ["mass_effect", "midline_shift"]
[[sources]]
layout = "csv"
path = "ward.csv"
[split]
val = 0.3
test = 0.2
[input]
height = 48
width = 48
[architecture]
cnn = "residual"
stem = 4
stages = [6, 8]
lstm = 4
gru = 3
dense = 4
[batch]
series_slices = 8
lengths = [2, 4]
singles = 4
[fit]
epochs = 1
steps = 4
warmup = 0
"""
COLUMNS = ("path", "patient", "study", "slice", "label", "midline_shift")


@pytest.fixture(scope="module")
def ward(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Phantoms whose lesions are called a mass effect; only every other patient was read for a midline shift."""
    folder = tmp_path_factory.mktemp("mass")
    rows = []
    for seed in range(14):
        spec = PhantomSpec(seed, bleed="intraparenchymal" if seed % 2 else "none", bleed_size=1.0, slices=6, rows=96)
        phantom = make_phantom(spec)
        for number, (plane, voxels) in enumerate(zip(phantom.hu, phantom.blood_voxels, strict=True)):
            name = f"{seed}-{number}.png"
            cv2.imwrite(str(folder / name), apply_window(plane.astype(np.float32), Window(40, 120)))
            shown = int(voxels > 20)
            rows.append([name, f"p{seed}", "", number, shown, shown if seed % 4 < 2 else ""])
    with (folder / "ward.csv").open("w", newline="", encoding="utf-8") as lines:
        csv.writer(lines).writerows([COLUMNS, *rows])
    (folder / "mass.toml").write_text(CONFIG, encoding="utf-8")
    return folder


def test_another_finding_is_trained_exported_scored_and_reported_without_touching_a_module(ward: Path):
    from hemo_core.inference.scoring import score_scan
    from hemo_core.inference.session import Engine
    from hemo_export.package import export_run
    from hemo_trainer.evaluation.run import Plan, evaluate
    from hemo_trainer.runs.fit import train

    run = train(ward / "mass.toml", ward / "run")
    assert "mass effect" in (run / "MODEL_CARD.md").read_text()
    bundle = open_bundle(export_run(run, ward, version="0.0.1", measure=False).path)
    assert [(one.name, one.role, one.text) for one in bundle.scoring.findings] == [
        ("mass_effect", "primary", "mass effect"),
        ("midline_shift", "detail", "midline shift"),
    ]
    assert bundle.content["variants"]["fp32"]["released"]

    scans = ward / "scans"
    write_png(make_phantom(PhantomSpec(99, bleed="intraparenchymal", slices=6, rows=96)), scans / "p99")
    (ref,) = discover(scans, group_folders=True)
    scan = read_scan(ref, scans, allow_implausible=True)
    prepared = prepare(scan, bundle.input)
    engine = Engine(bundle, device="cpu")
    score = score_scan(engine.sequence(engine.cnn(to_input(prepared.pixels)).embeddings), bundle.scoring)
    report = scored_report(ref, scan, prepared, score, bundle, engine=EngineFacts("CPUExecutionProvider"))
    written = dump_report(report)
    again = load_report(written)
    assert again.label in {"mass_effect", "review", "no_finding"}
    assert [(one.name, one.role) for one in again.findings] == [("mass_effect", "primary"), ("midline_shift", "detail")]
    assert b"hemorrhage" not in written

    measured = evaluate(bundle.path, ward / "mass.toml", ward / "evidence", cache=ward / "cache", plan=Plan(cases=0))
    (group,) = measured.evidence["groups"]
    assert group["slice"]["positive"] > 0
    assert {row["subtype"] for row in measured.evidence["strata"]["subtype"]} == {"midline_shift"}


def test_a_label_that_is_missing_teaches_nothing(ward: Path):
    """Of the slices of one step, those that were not read for a finding have no target and no weight for it."""
    from hemo_trainer.config import load_config
    from hemo_trainer.data.prepared import load_data
    from hemo_trainer.network.training_graph import known_crossentropy
    from hemo_trainer.steps.batches import StepBuilder
    from hemo_trainer.steps.sampling import Sampler

    config = load_config(ward / "mass.toml")
    data = load_data(config, config.input, ward / "cache")
    sampler = Sampler(data.records, data.rows("train"), {}, config.batch)
    _, targets, weights = StepBuilder(data.pixels, data.records, sampler, config).build(0)
    unknown = targets["slice"] < 0
    assert unknown.any(axis=0).tolist() == [False, True]
    assert "subtype" not in targets, "what is a channel of its own is not learned beside it, too"
    logits = np.zeros_like(targets["slice"])
    loss = np.asarray(known_crossentropy(targets["slice"], logits)) * weights["slice"]
    assert loss.mean() == pytest.approx(np.log(2), abs=1e-6)
    logits[unknown] = 50.0
    assert np.asarray(known_crossentropy(targets["slice"], logits) * weights["slice"]).mean() == pytest.approx(
        loss.mean()
    )
