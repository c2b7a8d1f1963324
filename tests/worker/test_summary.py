from __future__ import annotations

import csv
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from hemo_core.errors import DecodeFailed, JobNotFound, SinkError
from hemo_core.report import dump_report, failed_report, rejected_report
from hemo_core.scans.scan import Cause
from hemo_core.text import csv_cell, visible
from hemo_worker.outputs import summary
from hemo_worker.outputs.summary import COLUMNS, summarise


def table(folder: Path) -> list[dict[str, str]]:
    with (folder / "summary.csv").open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


@pytest.fixture
def job(tmp_path, workshop):
    """One scan of each outcome and label."""
    refs = [
        workshop.ref(0, "a/bleed"),
        workshop.ref(1, "a/one slice"),
        workshop.ref(2, "a/none", duplicate_of="0000000000000000"),
        workshop.ref(3, "b/broken.dcm"),
        workshop.ref(4, "b/scout", rejection=Cause("localizer", "a localizer")),
        workshop.ref(5, "b/late"),
    ]
    folder = workshop.job(tmp_path / "job", refs, [("README.txt", "no scan by its name")])
    workshop.write(folder, workshop.scored(refs[0], [-3, 4, 4, -3], [1]), {"slice-002.png": b"png"})
    workshop.write(folder, workshop.scored(refs[1], [-1.5, -1.5, -0.3, -1.5]), {})
    workshop.write(folder, workshop.scored(refs[2], [-3, -3, -3, -3]), {})
    workshop.write(folder, failed_report(refs[3], DecodeFailed("damaged"), workshop.bundle), {})
    workshop.write(folder, rejected_report(refs[4], workshop.bundle), {})
    return folder


def test_every_row_of_the_manifest_has_its_row(job):
    found = summarise(job)
    rows = table(job)
    assert tuple(rows[0]) == COLUMNS
    assert [row["path"] for row in rows] == ["a/bleed", "a/one slice", "a/none", "b/broken.dcm", "b/scout", "b/late"]
    assert [row["outcome"] for row in rows] == ["scored"] * 3 + ["failed", "rejected", "cancelled"]
    assert [row["label"] for row in rows[:3]] == ["hemorrhage", "review", "no_finding"]
    assert [row["code"] for row in rows[3:]] == ["decode_failed", "localizer", ""]
    assert (rows[0]["highest_slice"], rows[0]["slices"], rows[0]["quality"]) == ("2", "4", "phantom")
    assert rows[2]["duplicate_of"] == "0000000000000000"
    assert (job / rows[0]["report"]).is_file()
    assert found.outcomes == {"scored": 3, "failed": 1, "rejected": 1, "cancelled": 1}
    assert found.labels == {"hemorrhage": 1, "review": 1, "no_finding": 1}
    assert found.codes == {"decode_failed": 1, "localizer": 1}
    assert found.total == 6


def test_before_the_end_a_scan_without_a_report_is_open(job):
    assert summarise(job, finished=False).outcomes["open"] == 1
    assert table(job)[-1]["outcome"] == "open"


def test_summarising_again_changes_nothing(job):
    summarise(job)
    before = {name: (job / name).read_bytes() for name in ("summary.csv", "index.html")}
    summarise(job)
    assert {name: (job / name).read_bytes() for name in before} == before
    assert not list((job / ".staging").iterdir())


def test_a_torn_report_is_a_failed_row_and_stops_nothing(job):
    (job / "scans" / "0000000000000000" / "report.json").write_bytes(b'{"schema"')
    assert summarise(job).outcomes["failed"] == 2
    assert table(job)[0]["code"] == "report_invalid"


def spoiled(content: object) -> Iterator[object]:
    """The content with each of its values, one after another, missing or of another type."""
    if isinstance(content, dict):
        for name, value in content.items():
            rest = {other: kept for other, kept in content.items() if other != name}
            yield rest
            yield from ({**rest, name: wrong} for wrong in (None, "high", -7, 1e300, [], {}, True, [[]]))
            yield from ({**rest, name: made} for made in spoiled(value))
    elif isinstance(content, list) and content:
        yield from ([made, *content[1:]] for made in spoiled(content[0]))


def test_whatever_is_wrong_in_a_report_the_summary_is_written_and_only_that_row_fails(tmp_path, workshop):
    good = workshop.scored(workshop.ref(), [-3, 4, 4, -3], [1])
    reports = list(spoiled(json.loads(dump_report(good))))
    refs = [workshop.ref(number) for number in range(len(reports) + 1)]
    folder = workshop.job(tmp_path / "job", refs)
    workshop.write(folder, good, {"slice-002.png": b"png"})
    for ref, report in zip(refs[1:], reports, strict=True):
        (folder / "scans" / ref.scan_id).mkdir()
        (folder / "scans" / ref.scan_id / "report.json").write_text(json.dumps(report))
    found = summarise(folder)
    assert found.total == len(refs)
    assert found.codes["report_invalid"] > len(reports) // 2
    assert set(found.outcomes) <= {"scored", "failed", "rejected"}
    assert table(folder)[0]["outcome"] == "scored"


@pytest.mark.parametrize(
    ("change", "outcome"),
    [
        ({"probability": "high"}, "failed"),
        ({"slices": None}, "failed"),
        ({"scan": []}, "failed"),
        ({"added_by_a_newer_version": {"a": 1}}, "scored"),
    ],
)
def test_a_report_of_wrong_type_is_a_failed_row_and_one_of_a_newer_version_is_none(job, change, outcome):
    path = job / "scans" / "0000000000000000" / "report.json"
    path.write_text(json.dumps(json.loads(path.read_bytes()) | change))
    summarise(job)
    row = table(job)[0]
    assert (row["outcome"], row["code"]) == (outcome, "report_invalid" if outcome == "failed" else "")


def test_a_folder_in_a_reports_place_is_a_failed_row(job):
    path = job / "scans" / "0000000000000000" / "report.json"
    path.unlink()
    path.mkdir()
    summarise(job)
    assert table(job)[0]["code"] == "report_invalid"


def test_no_job_and_no_disk_are_errors(tmp_path, job, monkeypatch):
    with pytest.raises(JobNotFound):
        summarise(tmp_path / "nothing")
    summarise(job)
    before = (job / "summary.csv").read_bytes()

    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("hemo_core.files.os.fsync", full)
    with pytest.raises(SinkError, match="No space left"):
        summarise(job)
    assert (job / "summary.csv").read_bytes() == before


@pytest.mark.parametrize("name", ["=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "\r=1", "＝1"])
def test_a_spreadsheet_sees_text_and_no_formula(tmp_path, workshop, name):
    ref = workshop.ref(0, f'{name},"x"\n=2')
    folder = workshop.job(tmp_path / "job", [ref])
    workshop.write(folder, failed_report(ref, DecodeFailed(f"{name} is damaged")), {})
    summarise(folder)
    row = table(folder)[0]
    for cell in (row["path"], row["message"]):
        assert cell[0] in "'\\"
        assert "\n" not in cell


def test_undecodable_and_misleading_names_are_shown_as_they_are():
    assert visible("a\udcff/\u202egnp.dcm\u200b") == "a\\xff/\\u202egnp.dcm\\u200b"
    assert visible("Köln/脳 «x»") == "Köln/脳 «x»"
    assert csv_cell("study/1") == "study/1"


def large_job(folder: Path, workshop, count: int) -> Path:
    """A job whose scans share a few reports by hard links."""
    refs = [workshop.ref(number) for number in range(count)]
    workshop.job(folder, refs)
    report = workshop.scored(refs[0], [-3, 2, 1, -3])
    kinds = [folder / f"kind-{kind}" for kind in range(100)]
    for kind, path in enumerate(kinds):
        path.write_bytes(dump_report(replace(report, probability=0.5 + kind / 250)))
    for number, ref in enumerate(refs):
        place = folder / "scans" / ref.scan_id
        place.mkdir(parents=True)
        os.link(kinds[100 * number // count], place / "report.json")
    return folder


def peak_bytes(folder: Path) -> int:
    """Peak memory of a process that summarises the job."""
    code = (
        "import sys, pathlib; from hemo_worker.outputs.summary import summarise; summarise(pathlib.Path(sys.argv[1]))"
    )
    path = os.pathsep.join(part for part in sys.path if part)
    child = subprocess.Popen([sys.executable, "-c", code, str(folder)], env={**os.environ, "PYTHONPATH": path})
    _, status, usage = os.wait4(child.pid, 0)
    child.returncode = os.waitstatus_to_exitcode(status)
    assert child.returncode == 0
    return usage.ru_maxrss * 1024


@pytest.mark.slow
def test_twenty_thousand_rows_need_no_more_memory_than_few(tmp_path, workshop):
    count = 20_000
    few = peak_bytes(large_job(tmp_path / "few", workshop, summary.PAGE_ROWS))
    folder = large_job(tmp_path / "many", workshop, count)
    assert peak_bytes(folder) < few + 16e6
    assert sum(1 for _ in (folder / "summary.csv").open()) == count + 1
    page = (folder / "index.html").read_text("utf-8")
    assert f"holds the {summary.PAGE_ROWS:,} scans that rank highest of {count:,} scored" in page
    assert page.count('"label":"hemorrhage"') == summary.PAGE_ROWS
    assert f'"id":"{count - 1:016x}"' in page
    assert f'"id":"{0:016x}"' not in page
    assert len(page) < 2e6
