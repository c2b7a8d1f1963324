"""What a job writes to disk and to the broker is read back by type, whoever wrote it."""

from __future__ import annotations

import json
import re
import struct
from pathlib import Path
from typing import Any

import pytest

from hemo_core import records
from hemo_core.errors import JobError, JobNotFound
from hemo_core.jobs import JobHeader, JobOptions, JobRows, layout, load_job_header, read_job_header
from hemo_core.jobs.rows import write_rows
from hemo_core.scans.scan import Cause, ScanRef

# as the versions before typed records wrote them
OLD_HEADER = """{
  "bundle_digest": "d1ce", "bundle_name": "hemo-ich", "bundle_version": "0.2.0", "chunk_size": 32,
  "created": "2026-11-21T18:54:39Z", "job": "night",
  "options": {"allow_implausible": false, "explain": true, "max_overlays": 8},
  "output_path": "night", "output_root": "out", "priority": "normal", "roots": ["scans"], "schema_version": 1,
  "total": 2
}"""
OLD_ROWS = tuple(
    json.dumps(row, sort_keys=True, separators=(",", ":"))
    for row in (
        {
            "duplicate_of": None,
            "error": None,
            "files": ["a/1.dcm", "a/2.dcm"],
            "kind": "dicom",
            "path": "a",
            "quality": ["phantom"],
            "rejection": {"code": "localizer", "reason": "a scout view"},
            "root": "scans",
            "scan_id": "0011223344556677",
            "series_description": "Scout",
            "series_uid": "2.25.2",
            "study_uid": "2.25.1",
        },
        {
            "duplicate_of": "0011223344556677",
            "error": {"code": "truncated", "reason": "ends early"},
            "files": ["caf\udce9.dcm"],
            "kind": "dicom",
            "path": "caf\udce9.dcm",
            "quality": [],
            "rejection": None,
            "root": "scans",
            "scan_id": "8899aabbccddeeff",
            "series_description": None,
            "series_uid": None,
            "study_uid": None,
        },
    )
)
HEADER = JobHeader("night", "2026-11-21T18:54:39Z", ("scans",), 2, 32, "hemo-ich", "0.2.0", "d1ce", "out", "night")
REFS = (
    ScanRef(
        "0011223344556677",
        "scans",
        "a",
        ("a/1.dcm", "a/2.dcm"),
        "dicom",
        "2.25.1",
        "2.25.2",
        rejection=Cause("localizer", "a scout view"),
        quality=("phantom",),
    ),
    ScanRef(
        "8899aabbccddeeff",
        "scans",
        "caf\udce9.dcm",
        ("caf\udce9.dcm",),
        "dicom",
        duplicate_of="0011223344556677",
        failure=Cause("truncated", "ends early"),
    ),
)


def write_manifest(folder: Path, lines: list[bytes]) -> None:
    """Any bytes as rows, with a true index."""
    ends = [0]
    for line in lines:
        ends.append(ends[-1] + len(line))
    (folder / layout.ROWS).write_bytes(b"".join(lines))
    (folder / layout.ROW_OFFSETS).write_bytes(struct.pack(f"<{len(ends)}Q", *ends))


def test_an_old_job_is_read(tmp_path: Path) -> None:
    (tmp_path / layout.HEADER).write_text(OLD_HEADER)
    write_manifest(tmp_path, [f"{row}\n".encode() for row in OLD_ROWS])
    assert read_job_header(tmp_path) == HEADER
    with JobRows(tmp_path) as rows:
        assert tuple(rows) == REFS


def test_rows_are_written_as_they_always_were_but_for_free_text_of_headers(tmp_path: Path) -> None:
    assert write_rows(tmp_path, REFS) == (2, {"scans"})
    kept = [
        {name: value for name, value in json.loads(row).items() if name != "series_description"} | {"fingerprint": None}
        for row in OLD_ROWS
    ]
    lines = [json.dumps(row, sort_keys=True, separators=(",", ":")) for row in kept]
    assert (tmp_path / layout.ROWS).read_text() == "".join(f"{line}\n" for line in lines)
    assert not list((tmp_path / layout.STAGING).iterdir())


def test_a_header_comes_back_as_it_went() -> None:
    header = JobHeader(
        **{**records.encode(HEADER), "roots": ("a", "b"), "options": JobOptions(precision="fp16"), "priority": "high"}
    )
    assert load_job_header(records.dumps(header)) == header


def test_what_a_newer_version_added_is_ignored(tmp_path: Path) -> None:
    newer = json.loads(OLD_HEADER)
    newer["deadline"] = newer["options"]["colour"] = "red"
    assert load_job_header(json.dumps(newer)) == HEADER
    write_manifest(tmp_path, [json.dumps(json.loads(OLD_ROWS[0]) | {"colour": "ab"}).encode()])
    with JobRows(tmp_path) as rows:
        assert rows[0] == REFS[0]


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"total": "2"}, "expected `int`, got `str` - at `$.total`"),
        ({"roots": "scans"}, "expected `array`, got `str` - at `$.roots`"),
        ({"roots": [1]}, "at `$.roots[0]`"),
        ({"options": None}, "at `$.options`"),
        ({"options": {"max_overlays": "many"}}, "expected `int`, got `str` - at `$.options.max_overlays`"),
        ({"options": {"precision": "fp8"}}, "invalid enum value 'fp8' - at `$.options.precision`"),
        ({"priority": "urgent"}, "invalid enum value 'urgent' - at `$.priority`"),
        ({"job": "a/b"}, "cannot be a job id"),
        ({"output_path": "../x"}, "leaves its root"),
        ({"output_path": "/x"}, "leaves its root"),
        ({"chunk_size": 0}, "makes no sense"),
        ({"schema_version": 2}, "of version 2, not 1"),
        ({"schema_version": None}, "of version None, not 1"),
    ],
)
def test_a_wrong_header_is_a_job_error_that_names_the_field(change: dict[str, Any], said: str) -> None:
    with pytest.raises(JobError, match=re.escape(said)):
        load_job_header(json.dumps(json.loads(OLD_HEADER) | change))


@pytest.mark.parametrize("text", ["", "[]", "null", "{", '"x"', '{"schema_version": 1}', b"\xff", "[" * 99_999])
def test_what_is_no_header_is_a_job_error(tmp_path: Path, text: str | bytes) -> None:
    (tmp_path / layout.HEADER).write_bytes(text.encode() if isinstance(text, str) else text)
    with pytest.raises(JobError) as caught:
        read_job_header(tmp_path)
    assert caught.value.path == str(tmp_path / "job.json")


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"files": 3}, "expected `array`, got `int` - at `$.files`"),
        ({"files": ["a", None]}, "at `$.files[1]`"),
        ({"kind": "video"}, "invalid enum value 'video' - at `$.kind`"),
        ({"error": "truncated"}, "expected `object | null`, got `str` - at `$.failure`"),
        ({"rejection": {"code": "x"}}, "missing required field `reason` - at `$.rejection`"),
        ({"path": None}, "at `$.path`"),
        ({"scan_id": "../../elsewhere"}, "is no scan id"),
    ],
)
def test_a_wrong_row_is_a_job_error_that_names_row_and_field(tmp_path: Path, change: dict[str, Any], said: str) -> None:
    write_manifest(tmp_path, [OLD_ROWS[0].encode(), json.dumps(json.loads(OLD_ROWS[1]) | change).encode()])
    with JobRows(tmp_path) as rows:
        assert rows[0] == REFS[0]
        with pytest.raises(JobError, match="malformed row 1 of the manifest: .*" + re.escape(said)):
            _ = rows[1]


@pytest.mark.parametrize("line", [b"", b"[]", b"3", b"{", b"\xff\xfe", b"{}"])
def test_what_is_no_row_is_a_job_error(tmp_path: Path, line: bytes) -> None:
    write_manifest(tmp_path, [line])
    with JobRows(tmp_path) as rows, pytest.raises(JobError, match="malformed row 0 of the manifest"):
        _ = rows[0]


@pytest.mark.parametrize("index", [b"", b"\0" * 8, b"\0" * 12, b"\xff" * 16, struct.pack("<2Q", 9, 3)])
def test_a_damaged_index_is_a_job_error(tmp_path: Path, index: bytes) -> None:
    write_manifest(tmp_path, [OLD_ROWS[0].encode()])
    (tmp_path / layout.ROW_OFFSETS).write_bytes(index)
    with JobRows(tmp_path) as rows, pytest.raises(JobError, match="row 0 is not in the manifest"):
        _ = rows[0]


@pytest.mark.parametrize("name", [layout.ROWS, layout.ROW_OFFSETS])
def test_half_a_manifest_is_no_job(tmp_path: Path, name: str) -> None:
    write_manifest(tmp_path, [OLD_ROWS[0].encode()])
    (tmp_path / name).unlink()
    with pytest.raises(JobNotFound, match="no manifest"):
        JobRows(tmp_path)
