"""The report: from a bundle and phantoms to a page that opens."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path
from types import MappingProxyType

import cv2
import numpy as np
import pytest
from browsing import opened
from findings import one_finding

from hemo_core.bundle.contract import Window
from hemo_core.errors import DatasetError, PatientLeak, SettingsError
from hemo_core.phantoms import PhantomSpec, make_phantom
from hemo_core.scans.preprocess import apply_window
from hemo_core.wording import STATEMENT

pytest.importorskip("sklearn", reason="needs the train extra")

from hemo_trainer.datasets.hemorrhage import HEMORRHAGE, SUBTYPES
from hemo_trainer.datasets.record import SliceRecord
from hemo_trainer.evaluation.about import About
from hemo_trainer.evaluation.evidence import evidence_from_predictions
from hemo_trainer.evaluation.report.write import write_evidence
from hemo_trainer.figures.intervals import Resampling
from hemo_trainer.network.predict import SeriesPrediction

FEW = Resampling(resamples=100)
SCORING = one_finding(threshold=0.5, temperature=0.8)
HOSTILE = "<script>document.title='owned'</script>|`&"


def series(
    source: str,
    patient: str,
    labels: list[int],
    logits: list[float],
    others: Mapping[str, int] = MappingProxyType({}),
    **fields,
) -> SeriesPrediction:
    records = tuple(
        SliceRecord(source, patient, order, Path(f"/{patient}/{order}.png"), {HEMORRHAGE: label, **others}, **fields)
        for order, label in enumerate(labels)
    )
    return SeriesPrediction(records, np.array(logits, np.float32))


@pytest.fixture(scope="module")
def predictions() -> list[SeriesPrediction]:
    """Two sources; every patient of the second bleeds."""
    rng = np.random.default_rng(0)
    found = []
    for patient in range(24):
        source = "here" if patient < 14 else "there"
        bleeds = source == "there" or patient % 2
        labels = [int(bleeds and order in (2, 3)) for order in range(6)]
        logits = [3 * label - 1.5 + float(rng.normal(scale=1.2)) for label in labels]
        kinds = {**dict.fromkeys(SUBTYPES, 0), "epidural": int(bool(bleeds))} if source == "here" else {}
        found.append(series(source, f"p{patient}", labels, logits, kinds))
    return found


def test_sources_are_measured_apart_and_exams_pooled_only_where_that_is_fair(predictions):
    evidence = evidence_from_predictions(predictions, SCORING, about=About("test"), resampling=FEW)
    here, there, together = evidence["groups"]
    assert [group["name"] for group in evidence["groups"]] == ["here", "there", "all sources"]
    assert here["exam"]["auc"] is not None
    assert here["exam"]["auc_delong"] is not None
    assert there["exam"]["auc"] is None
    assert there["slice"]["auc"] is not None
    assert together["exam"] is None
    codes = {row["code"] for row in evidence["not_known"]}
    assert {"no_exam_negatives", "exams_not_pooled", "no_subtypes", "no_sizes", "no_demographics"} <= codes
    assert {"protocol_unknown", "few_exams", "grey_pictures"} <= codes


def test_strata_count_what_they_say(predictions):
    sizes = {
        record.reference: 0.01 * (1 + place)
        for place, record in enumerate(record for one in predictions[14:] for record in one.records if record.label)
    }
    evidence = evidence_from_predictions(predictions, SCORING, about=About("test"), resampling=FEW, sizes=sizes)
    strata = evidence["strata"]
    assert {row["source"] for row in strata["subtype"]} == {"here"}
    assert sum(row["slices"] for row in strata["size"]) == len(sizes)
    assert [row["size"] for row in strata["size"]] == ["small", "middle", "large"]
    assert [(row["source"], row["from"], row["to"], row["exams"]["count"]) for row in strata["extent"]] == [
        ("here", 1, 2, 7),
        ("there", 1, 2, 10),
    ]


def test_the_gallery_takes_one_slice_a_patient_surest_errors_first(predictions):
    evidence = evidence_from_predictions(predictions, SCORING, about=About("test"), resampling=FEW, cases=3)
    misses = [case for case in evidence["cases"] if case["kind"] == "miss"]
    assert 0 < len(misses) <= 3
    assert len({case["patient"] for case in misses}) == len(misses)
    assert [case["probability"] for case in misses] == sorted(case["probability"] for case in misses)
    assert all(case["probability"] < SCORING.threshold and case["label"] == 1 for case in misses)


def test_exams_read_as_a_whole_have_exam_figures_alone():
    read = [
        series("whole", f"p{n}", [n % 2] * 3, [float(n % 2), 0, 0], doubtful=True, exam_labels={HEMORRHAGE: n % 2})
        for n in range(8)
    ]
    evidence = evidence_from_predictions(read, SCORING, about=About("test"), resampling=FEW)
    (group,) = evidence["groups"]
    assert group["slice"] is None
    assert group["exam"]["positive"] == 4
    assert "no_slice_labels" in {row["code"] for row in evidence["not_known"]}
    with pytest.raises(DatasetError, match="nothing to measure"):
        evidence_from_predictions([series("x", "p", [0], [0.0], doubtful=True)], SCORING, about=About("test"))


def test_two_precisions_are_compared_pair_by_pair(predictions):
    moved = [SeriesPrediction(one.records, one.logits + np.float32(0.3)) for one in predictions]
    evidence = evidence_from_predictions(
        predictions, SCORING, about=About("test"), resampling=FEW, other=("int8", moved)
    )
    comparison = evidence["comparison"]
    assert (comparison["first"], comparison["second"]) == ("fp32", "int8")
    slices = next(row for row in comparison["rows"] if (row["source"], row["unit"]) == ("here", "slice"))
    assert slices["auc_difference"] == {"value": 0.0, "low": 0.0, "high": 0.0}
    assert 0 < slices["probability_change"]["mean"] <= slices["probability_change"]["max"] < 0.1
    assert slices["flips_up"] == slices["flips_at_threshold"]
    assert "one_precision" not in {row["code"] for row in evidence["not_known"]}
    with pytest.raises(DatasetError, match="different series"):
        evidence_from_predictions(predictions, SCORING, about=About("test"), other=("int8", moved[1:]))


def test_the_checklist_has_every_item_and_says_what_is_not_reported(predictions):
    evidence = evidence_from_predictions(predictions, SCORING, about=About("test"), resampling=FEW)
    claim = evidence["claim"]
    assert [row["item"] for row in claim if row["item"] != "2024"] == [str(number) for number in range(1, 43)]
    statuses = {row["item"]: row["status"] for row in claim}
    assert statuses["34"] == statuses["22"] == statuses["32"] == "not reported"
    assert statuses["29"] == "reported"
    sections = {"", "top", "glance", "data", "discrimination", "method", "cases", "unknown", "comparison", "heatmaps"}
    assert {row["section"] for row in claim} <= sections


@pytest.mark.parametrize(
    ("side", "split", "source", "recorded", "protocol"),
    [
        ("test", "same", "here", False, "held_out"),
        ("val", "same", "here", True, "validation"),
        ("test", "other", "here", True, "unseen"),
        (None, None, "elsewhere", True, "external"),
        (None, None, "elsewhere", False, "unknown"),
        (None, None, "here", False, None),
    ],
)
def test_the_patients_part_in_the_model_is_told_from_the_record(side, split, source, recorded, protocol):
    from hemo_trainer.data.leaks import LeakCheck
    from hemo_trainer.evaluation.labelled import Labelled
    from hemo_trainer.evaluation.run import protocol_of

    fitted = {"split_hash": "same", "sources": [{"source": "here", "side": "train", "patients": 3}]}
    one = series(source, "p", [0, 1], [0, 1]).records
    data = Labelled((one,), lambda _: np.zeros((4, 4, 1), np.uint8), side, "f", split)
    manifest = {"training": {"data": fitted}}
    if protocol is None:
        with pytest.raises(PatientLeak, match="does not record to which"):
            protocol_of(manifest, data, LeakCheck(recorded=recorded))
    else:
        assert protocol_of(manifest, data, LeakCheck(recorded=recorded)) == protocol


def test_pictures_are_refused_where_they_would_travel_with_a_bundle(predictions, tmp_path):
    evidence = evidence_from_predictions(predictions, SCORING, about=About("test"), resampling=FEW)
    (tmp_path / "bundle" / "evidence").mkdir(parents=True)
    (tmp_path / "bundle" / "bundle.json").write_text("{}")
    (tmp_path / "run" / "evidence").mkdir(parents=True)
    (tmp_path / "run" / "run.json").write_text("{}")
    for folder in (tmp_path / "bundle" / "evidence", tmp_path / "run" / "evidence" / "more"):
        with pytest.raises(SettingsError, match="travel with a bundle"):
            write_evidence(folder, evidence, pictures={"miss-01": b"\x89PNG"})
    write_evidence(tmp_path / "run" / "evidence", evidence)
    assert not (tmp_path / "run" / "evidence" / ".gitignore").exists()
    write_evidence(tmp_path / "apart", evidence, pictures={"miss-01": b"\x89PNG"})
    assert "*" in (tmp_path / "apart" / ".gitignore").read_text().splitlines()


def test_hostile_names_stay_text_in_both_forms(predictions, tmp_path):
    hostile = [
        SeriesPrediction(tuple(replace(record, source=HOSTILE) for record in one.records), one.logits)
        for one in predictions[:14]
    ]
    evidence = evidence_from_predictions(hostile, SCORING, about=About(HOSTILE), resampling=FEW)
    page = write_evidence(tmp_path, evidence).read_text("utf-8")
    assert "<script" not in page
    assert "<script" not in (tmp_path / "evidence.md").read_text("utf-8").replace("\\<", "&lt;")


def test_the_documentation_names_every_field(predictions):
    evidence = evidence_from_predictions(predictions, SCORING, about=About("test"), resampling=FEW)
    text = (Path(__file__).resolve().parents[2] / "docs" / "evidence.md").read_text("utf-8")
    unit = evidence["groups"][0]["exam"]
    names = [*evidence, *evidence["about"], *evidence["bootstrap"], *evidence["strata"], *unit, *unit["decision"]]
    assert [name for name in names if f"`{name}`" not in text and name not in text] == []


class Anchors(HTMLParser):
    """Addresses on a page, and links to them."""

    def __init__(self) -> None:
        super().__init__()
        self.ids: list[str] = []
        self.links: list[str] = []

    def handle_starttag(self, tag, attrs):
        found = dict(attrs)
        self.ids += [found["id"]] if found.get("id") else []
        self.links += [found["href"]] if tag == "a" and found.get("href") else []


@pytest.fixture(scope="module")
def ward(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Phantoms in the plain layout, six bleeding and six not."""
    folder = tmp_path_factory.mktemp("ward") / "ward"
    for seed in range(12):
        bleed = "intraparenchymal" if seed % 2 else "none"
        phantom = make_phantom(PhantomSpec(seed, bleed=bleed, bleed_size=1.0, slices=5, rows=96, detail="fast"))
        for number, (plane, blood) in enumerate(zip(phantom.hu, phantom.blood_voxels, strict=True)):
            path = folder / ("Hemorrhage" if blood > 20 else "Normal") / f"phantom{seed}" / f"{number}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            cv2.imwrite(str(path), apply_window(plane.astype(np.float32), Window(40, 120)))
    return folder


@pytest.mark.slow
def test_a_bundle_is_measured_on_phantoms_and_the_page_opens(ward, tiny_bundle, tmp_path, browser):
    from hemo_trainer.evaluation.run import Plan, evaluate

    plan = Plan(device="cpu", resampling=FEW, cases=2, command="hemo-batch evaluate tiny ward")
    report = evaluate(tiny_bundle, ward, tmp_path / "report", cache=tmp_path / "cache", plan=plan)
    written = json.loads((tmp_path / "report" / "evidence.json").read_text("utf-8"))
    assert written == json.loads(json.dumps(report.evidence))
    assert written["about"]["model"]["name"] == "tiny"
    assert written["about"]["protocol"] == "unknown"
    assert written["groups"][0]["patients"] == 12
    assert STATEMENT in (tmp_path / "report" / "evidence.md").read_text("utf-8")
    assert "safe" not in (tmp_path / "report" / "evidence.md").read_text("utf-8")

    page = report.page.read_text("utf-8")
    assert re.findall(r"(?:src|href)=\"(?!data:|#)[^\"]*", page) == []
    anchors = Anchors()
    anchors.feed(page)
    assert {link.removeprefix("#") for link in anchors.links} <= set(anchors.ids)
    assert len(anchors.ids) == len(set(anchors.ids))
    assert len(re.findall(r"<img src=\"data:image/png", page)) == len(written["cases"]) > 0

    document = opened(browser, report.page)
    assert STATEMENT in document
    assert document.count("<svg") >= 4

    again = evaluate(tiny_bundle, ward, tmp_path / "again", cache=tmp_path / "cache", plan=plan)
    for name in ("evidence.json", "evidence.html", "evidence.md"):
        assert (again.page.parent / name).read_bytes() == (report.page.parent / name).read_bytes(), name
