from __future__ import annotations

import csv
from pathlib import Path

import pytest

from hemo_core import records
from hemo_core.errors import JobError, JobNotFound
from hemo_core.jobs import layout
from hemo_core.jobs.results import COLUMNS, read_results

SCORED = {"outcome": "scored", "highest_slice": "3", "slices": "8", "report": "scans/a/report.json"}
LINES = (
    {"path": "a", "scan_id": "a", **SCORED, "label": "no_finding", "probability": "0.900000"},
    {"path": "null", "scan_id": "b", **SCORED, "label": "hemorrhage", "probability": "0.700000", "quality": "x y"},
    {"path": "c", "scan_id": "c", **SCORED, "label": "hemorrhage", "probability": "0.800000"},
    {"path": "d", "scan_id": "d", "outcome": "failed", "code": "truncated", "message": "ends early"},
    {"path": "e", "scan_id": "e", "outcome": "rejected", "code": "localizer", "message": "a scout view"},
)


def write(folder: Path, *lines: dict[str, str], columns: tuple[str, ...] = COLUMNS) -> Path:
    with (folder / layout.SUMMARY).open("w", encoding="utf-8", newline="") as stream:
        writer = csv.DictWriter(stream, columns, restval="")
        writer.writeheader()
        writer.writerows(lines)
    return folder


def test_positive_scans_come_first_and_then_the_highest(tmp_path: Path) -> None:
    found = read_results(write(tmp_path, *LINES), 100)
    assert [row.scan_id for row in found.scored] == ["c", "b", "a"]
    assert [row.code for row in found.not_scored] == ["truncated", "localizer"]
    assert found.outcomes == {"scored": 3, "failed": 1, "rejected": 1}
    assert found.labels == {"hemorrhage": 2, "no_finding": 1}
    assert found.codes == {"truncated": 1, "localizer": 1}
    assert found.page == tmp_path.resolve() / "index.html"


def test_few_rows_are_kept_and_all_are_counted(tmp_path: Path) -> None:
    found = read_results(write(tmp_path, *LINES), 1)
    assert [row.scan_id for row in (*found.scored, *found.not_scored)] == ["c", "d"]
    assert found.outcomes.total() == 5


def test_a_row_has_numbers_lists_and_nulls(tmp_path: Path) -> None:
    row = records.encode(read_results(write(tmp_path, *LINES), 100).scored[1])
    assert row == {
        "path": "null",
        "scan_id": "b",
        "outcome": "scored",
        "label": "hemorrhage",
        "probability": 0.7,
        "highest_slice": 3,
        "slices": 8,
        "quality": ("x", "y"),
        "code": None,
        "message": None,
        "duplicate_of": None,
        "report": "scans/a/report.json",
        "covered": None,
    }


def test_columns_of_another_version_are_no_obstacle(tmp_path: Path) -> None:
    columns = ("path", "scan_id", "outcome", "finding")
    found = read_results(write(tmp_path, {"path": "p", "scan_id": "a", "outcome": "open"}, columns=columns), 9)
    assert found.not_scored[0].path == "p"


@pytest.mark.parametrize("content", ["path,outcome\na,scored\n", "path,scan_id,outcome,slices\na,b,scored,many\n"])
def test_a_malformed_summary_is_a_job_error(tmp_path: Path, content: str) -> None:
    (tmp_path / layout.SUMMARY).write_text(content)
    with pytest.raises(JobError, match=r"summary\.csv: malformed summary"):
        read_results(tmp_path, 9)


def test_bytes_that_are_no_summary_are_a_job_error(tmp_path: Path) -> None:
    (tmp_path / layout.SUMMARY).write_bytes(b"path,scan_id,outcome\n\xff\xfe")
    with pytest.raises(JobError):
        read_results(tmp_path, 9)


def test_a_job_without_a_summary_has_no_results(tmp_path: Path) -> None:
    with pytest.raises(JobNotFound, match="no summary"):
        read_results(tmp_path, 9)
