"""A model of three findings, none of which is known to any module: exported, gated, scored, explained and reported."""

from __future__ import annotations

import json

import jsonschema
import numpy as np
import pytest
from findings import three_findings
from tiny import ARCHITECTURE, INPUT, write_run

from hemo_core.bundle import Bundle
from hemo_core.bundle.keras import quiet_tensorflow
from hemo_core.inference.gradcam import Explainer
from hemo_core.inference.scoring import score_scan
from hemo_core.inference.session import Engine
from hemo_core.phantoms import PhantomSpec, make_phantom
from hemo_core.records import encode
from hemo_core.report import EngineFacts, dump_report, load_report, scored_report
from hemo_core.scans.preprocess import prepare, to_input
from hemo_core.schemas import published
from hemo_export.package import export_run
from hemo_export.parity.phantom_inputs import as_scan

pytestmark = [pytest.mark.slow, pytest.mark.tensorflow]
SCORING = three_findings()


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    quiet_tensorflow()
    import keras

    from hemo_trainer.network.model import build_network

    run = tmp_path_factory.mktemp("three")
    keras.utils.set_random_seed(11)
    write_run(run, build_network(INPUT, 3, ARCHITECTURE))
    content = json.loads((run / "run.json").read_text("utf-8"))
    (run / "run.json").write_text(json.dumps({**content, "scoring": encode(SCORING)}), "utf-8")
    return export_run(run, run / "out", version="1.0.0", measure=False)


def test_its_gates_are_keyed_by_finding(bundle: Bundle):
    assert bundle.scoring == SCORING
    gates = bundle.manifest.variants["fp32"].gates
    logits = {f"logits {name}" for name in SCORING.names}
    assert set(gates["numeric parity"]["outputs"]) == {"features", "embedding", *logits}
    assert gates["contract"]["figure"] == "findings left_sided, bleed, mass_effect; window 40/120"
    assert "slices show intracranial bleed)" in bundle.read("evidence/export.html").decode()


def test_a_report_holds_every_finding_and_the_primary_one_decides(bundle: Bundle):
    scan = as_scan(make_phantom(PhantomSpec(4, bleed="epidural", slices=8, spacing_mm=16, rows=128, detail="fast")))
    prepared = prepare(scan, bundle.input)
    engine, explainer = Engine(bundle, device="cpu", threads=1), Explainer(bundle, "onnx")
    output = engine.cnn(to_input(prepared.pixels))
    logits = engine.sequence(output.embeddings)
    score = score_scan(logits, bundle.scoring)
    report = scored_report(scan.ref, scan, prepared, score, bundle, engine=EngineFacts(engine.provider))
    jsonschema.validate(json.loads(dump_report(report)), published("report-2"))
    assert load_report(dump_report(report)) == report

    def expected(channel: int, temperature: float) -> float:
        values = logits[:, channel].astype(np.float64)
        weights = np.exp(values - values.max())
        return float(1 / (1 + np.exp(-(values * weights).sum() / weights.sum() / temperature)))

    found = [one.probability for one in report.findings]
    assert found == pytest.approx([expected(0, 1.0), expected(1, 2.0), expected(2, 0.5)], abs=2e-6)
    assert report.probability == report.findings[1].probability
    assert report.label in {"bleed", "review", "no_finding"}
    maps = explainer.heatmaps(output.features, range(8))
    np.testing.assert_array_equal(maps, explainer.heatmaps(output.features, range(8), 1))
    assert np.abs(maps - explainer.heatmaps(output.features, range(8), 0)).max() > 0.1
