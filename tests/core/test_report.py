from __future__ import annotations

import json
import re
from dataclasses import dataclass, replace
from pathlib import Path

import jsonschema
import numpy as np
import pytest
from findings import one_finding, three_findings

from hemo_core import wording
from hemo_core.bundle.contract import HeatmapCheck, InputContract, ScoringContract
from hemo_core.errors import FileMissing, ReportInvalid, ScoringFailed
from hemo_core.inference.scoring import FindingScore, ScanScore, score_scan
from hemo_core.jobs.layout import is_picture_name, picture_name
from hemo_core.records import encode
from hemo_core.report import (
    EngineFacts,
    Report,
    dump_report,
    failed_report,
    load_report,
    rejected_report,
    scored_report,
)
from hemo_core.scans.preprocess import prepare
from hemo_core.scans.scan import Cause, Geometry, Quality, Scan, ScanRef, Slice
from hemo_core.schemas import current, published

HOSTILE = "d\u00e9j\u00e0 \"vu\" 'x' \\ \n </script> \udcff\udc80/\u202egnp.dcm"
SCHEMA = published("report-2")
VALIDATOR = jsonschema.Draft202012Validator(SCHEMA)


@dataclass(frozen=True)
class FakeBundle:
    name: str = "hemo-test"
    version: str = "1.2.3"
    digest: str = "sha256:" + "ab" * 32
    scoring: ScoringContract = one_finding(threshold=0.4)  # noqa: RUF009 (frozen)
    heatmap_check: HeatmapCheck = "not_measured"


def a_ref(**changes) -> ScanRef:
    ref = ScanRef("00112233aabbccdd", "scans", HOSTILE, ("a/1.dcm", "a/2.dcm", "a/3.dcm"), "dicom", "2.25.1", "2.25.2")
    return replace(ref, **changes)


def a_scan(ref: ScanRef, spacing: float = 5.0) -> Scan:
    slices = tuple(
        Slice(np.zeros((64, 64), np.float32), name, f"2.25.9.{at}", at * spacing - 1e-9)
        for at, name in enumerate(ref.files)
    )
    notes = {"gantry_tilt": "The gantry was tilted by 12 degrees."}
    geometry = Geometry("position", (0.488281251, 0.488281251), spacing, 12.00049)
    return Scan(ref, slices, "hu", geometry, ("gantry_tilt", "missing_slices"), notes)


def a_score(probability: float, slices: np.ndarray, label: str) -> ScanScore:
    finding = FakeBundle().scoring.primary
    return ScanScore((FindingScore(finding, 0.0, probability, np.zeros(len(slices)), slices),), label)


def a_report(logits=(-3.0, 2.0, -1.0), spacing=5.0, averaged_to=5.0) -> Report:
    ref = a_ref(quality=("invalid_uid", "gantry_tilt"))
    scan = a_scan(ref, spacing)
    prepared = prepare(scan, InputContract(height=32, width=32, slice_spacing_mm=averaged_to))
    score = score_scan(np.asarray(logits)[:, None], FakeBundle().scoring)
    heatmaps = {1: "drawn", 2: "empty_heatmap"} if len(logits) == 3 else {}
    return scored_report(ref, scan, prepared, score, FakeBundle(), heatmaps, engine=EngineFacts("CPUExecutionProvider"))


def every_outcome() -> list[Report]:
    rejected = a_ref(rejection=Cause("localizer", "a localizer"))
    unreadable = a_ref(failure=Cause("truncated", "ends early"))
    missing = FileMissing("gone", path="/mnt/store/a/2.dcm", hint="copy it again")
    return [
        a_report(),
        a_report((-3.0,), spacing=1.0, averaged_to=90.0),
        rejected_report(rejected, FakeBundle()),
        rejected_report(unreadable),
        failed_report(a_ref(), missing, FakeBundle()),
    ]


@pytest.mark.parametrize("report", every_outcome(), ids=lambda report: report.outcome)
def test_a_report_is_valid_and_survives_the_round_trip(report):
    data = dump_report(report)
    VALIDATOR.validate(json.loads(data))
    assert load_report(data) == report
    assert dump_report(load_report(data)) == data
    assert load_report(data).scan.path == HOSTILE


def test_the_schema_is_sound_and_refuses_what_contradicts_itself():
    jsonschema.Draft202012Validator.check_schema(SCHEMA)
    good = encode(a_report())
    wrong = [
        {**good, "outcome": "failed"},
        {**good, "label": None},
        {**good, "findings": []},
        {**good, "findings": [{**good["findings"][0], "role": "tertiary"}]},
        {**good, "probability": 1.2},
        {**good, "slices": []},
        {key: value for key, value in good.items() if key != "statement"},
    ]
    assert not any(VALIDATOR.is_valid(report) for report in wrong)


def test_the_same_scan_gives_the_same_bytes_without_the_last_bits():
    score = score_scan(np.asarray([[-3.0], [2.0], [-1.0]]), FakeBundle().scoring)
    ref = a_ref()
    scan = a_scan(ref)
    prepared = prepare(scan, InputContract(height=32, width=32))

    def dumped(noise: float) -> bytes:
        noisy = a_score(score.probability + noise, score.slice_probabilities + noise, score.label)
        return dump_report(
            scored_report(ref, scan, prepared, noisy, FakeBundle(), engine=EngineFacts("CPUExecutionProvider"))
        )

    assert dumped(0.0) == dumped(1e-9)
    text = dumped(0.0).decode("ascii")
    assert "-0.0" not in text
    assert list(json.loads(text)) == sorted(json.loads(text))


def test_a_report_says_what_a_reader_needs():
    report = a_report()
    assert (report.outcome, report.label, report.highest_slice, report.threshold) == ("scored", "hemorrhage", 2, 0.4)
    assert report.label_text == "hemorrhage suspected by the model"
    assert [item.code for item in report.quality] == ["invalid_uid", "gantry_tilt", "missing_slices"]
    assert report.quality[1].note == "The gantry was tilted by 12 degrees."
    assert report.quality[2].note == Quality.MISSING_SLICES.text
    assert report.geometry == Geometry("position", (0.488, 0.488), 5.0, 12.0)
    second, third = report.slices[1:]
    assert (second.picture, second.heatmap, third.picture, third.heatmap) == (None, "drawn", None, "empty_heatmap")
    assert (second.sources[0].sop_instance_uid, second.sources[0].position_mm) == ("2.25.9.1", 5.0)


def test_averaged_slices_name_their_sources():
    report = a_report((-3.0,), spacing=1.0, averaged_to=90.0)
    assert [source.number for source in report.slices[0].sources] == [1, 2, 3]
    assert "thin_slices_averaged" in [item.code for item in report.quality]


def test_an_error_names_its_file_below_the_root_on_every_machine():
    one = failed_report(a_ref(), FileMissing("gone", path="/mnt/store/a/2.dcm"))
    other = failed_report(a_ref(), FileMissing("gone", path="/data/a/2.dcm"))
    assert one.error is not None
    assert one.error.file == "a/2.dcm"
    assert dump_report(one) == dump_report(other)


def test_a_score_that_is_no_probability_is_refused():
    ref = a_ref()
    scan = a_scan(ref)
    prepared = prepare(scan, InputContract(height=32, width=32))
    bad = a_score(float("nan"), np.zeros(3), "no_finding")
    with pytest.raises(ScoringFailed, match="no probability"):
        scored_report(ref, scan, prepared, bad, FakeBundle(), engine=EngineFacts("CPUExecutionProvider"))
    short = a_score(0.5, np.zeros(2), "no_finding")
    with pytest.raises(ScoringFailed, match="2 slice scores for 3 slices"):
        scored_report(ref, scan, prepared, short, FakeBundle(), engine=EngineFacts("CPUExecutionProvider"))


@pytest.mark.parametrize(
    "data", [b"", b"{", b"[]", b"{}", b'{"schema": "hemo-batch/report", "schema_version": 3}', b'{"schema_version": 1}']
)
def test_a_torn_foreign_or_newer_report_is_refused(data):
    with pytest.raises(ReportInvalid):
        load_report(data)


def test_a_wrong_type_is_refused_with_the_name_of_its_field():
    body = json.loads(dump_report(a_report()))
    for changes, field in (
        ({"probability": "high"}, r"\$\.probability"),
        ({"probability": 1.5}, r"\$\.probability"),
        ({"slices": [{**body["slices"][0], "number": 0}]}, r"\$\.slices\[0\]\.number"),
        ({"findings": [{**body["findings"][0], "threshold": None}]}, r"\$\.findings\[0\]\.threshold"),
        ({"label": None}, "outcome scored does not go with label"),
        ({"outcome": "failed"}, "outcome failed does not go with label"),
    ):
        with pytest.raises(ReportInvalid, match=field) as caught:
            load_report(json.dumps({**body, **changes}).encode())
        assert caught.value.code == "report_invalid"


def test_a_field_that_a_newer_version_added_is_ignored():
    body = json.loads(dump_report(a_report()))
    newer = {**body, "urgency": 3, "scan": {**body["scan"], "protocol": "head"}}
    VALIDATOR.validate(newer)
    assert load_report(json.dumps(newer).encode()) == a_report()


def test_a_report_of_version_1_is_read():
    body = json.loads(dump_report(a_report()))
    del body["findings"], body["files"], body["geometry"]["covered_mm"], body["geometry"]["slices_found"]
    old = {**body, "schema_version": 1}
    jsonschema.validate(old, published("report-1"))
    assert load_report(json.dumps(old).encode()) == a_report()
    unscored = {**json.loads(dump_report(every_outcome()[-1])), "schema_version": 1}
    del unscored["findings"], unscored["files"]
    jsonschema.validate(unscored, published("report-1"))
    assert load_report(json.dumps(unscored).encode()) == every_outcome()[-1]


def test_the_published_schema_is_that_of_the_type():
    assert {name: published(name) for name in current()} == current()


def test_every_finding_of_a_model_is_reported():
    ref = a_ref()
    scan = a_scan(ref)
    prepared = prepare(scan, InputContract(height=32, width=32))
    score = score_scan([[-3.0, 3.0, -2.0], [0.0, -1.0, -2.0], [2.0, -2.0, -2.0]], three_findings())
    report = scored_report(ref, scan, prepared, score, FakeBundle(), engine=EngineFacts("CPUExecutionProvider"))
    VALIDATOR.validate(json.loads(dump_report(report)))
    assert load_report(dump_report(report)) == report
    assert (report.label, report.label_text) == ("bleed", "intracranial bleed suspected by the model")
    told = [(one.name, one.role, one.code, one.threshold) for one in report.findings]
    assert told == [
        ("left_sided", "detail", None, 0.3),
        ("bleed", "primary", "1386000", 0.5),
        ("mass_effect", "detail", None, 0.9),
    ]
    assert report.primary == report.findings[1]
    assert (report.primary.probability, report.primary.threshold) == (report.probability, report.threshold)
    assert report.primary.slice_probabilities == tuple(item.probability for item in report.slices)
    assert report.findings[0].slice_probabilities == (0.047426, 0.5, 0.880797)
    assert report.findings[2].probability == 0.017986
    assert report.highest_slice == 1


def test_picture_names_lead_nowhere_else():
    assert picture_name(0) == "slice-001.png"
    assert is_picture_name(picture_name(1233))
    for name in ("../slice-001.png", "slice-001.png\n", "slice-1.png", "report.json", "slice-001.png/x"):
        assert not is_picture_name(name)


def test_every_quality_code_has_words_and_none_promises_anything():
    labels = wording.label_texts(("hemorrhage", "hemorrhage"))
    texts = [wording.STATEMENT, *labels.values(), *wording.OUTCOME_TEXT.values()]
    texts += [*wording.HEATMAP_TEXT.values(), *(code.text for code in Quality)]
    assert all(wording.quality_text(code.value).endswith(".") for code in Quality)
    assert wording.quality_text("of_a_newer_version") == "of_a_newer_version"
    for word in ("normal", "safe", "skip", "rule out", "ruled out", "healthy", "negative"):
        assert not [text for text in texts if word in text.lower()]


def test_the_guide_explains_every_field_and_code():
    guide = Path(__file__).resolve().parents[2].joinpath("docs", "report.md").read_text("utf-8")

    def names(schema: dict) -> set[str]:
        found = set(schema.get("properties", {}))
        parts = [*schema.get("properties", {}).values(), *schema.get("anyOf", []), *schema.get("$defs", {}).values()]
        parts += [schema["items"]] if isinstance(schema.get("items"), dict) else []
        return found.union(*(names(part) for part in parts)) if parts else found

    fields = names(SCHEMA)
    assert {"scan_id", "sop_instance_uid", "hint"} <= fields
    assert not [field for field in fields if not re.search(rf"`[a-z_.\[\]]*\b{field}\b", guide)]
    assert not [code for code in Quality if f"`{code}`" not in guide]
    labels = wording.label_texts(("hemorrhage", "hemorrhage"))
    assert not [label for label in (*labels, *labels.values()) if label not in guide]
    for word in ("normal", "safe", "skip", "rule out", "healthy"):
        assert word not in guide.lower()
