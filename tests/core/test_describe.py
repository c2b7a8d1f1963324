"""What ``inspect`` can say about a scan, file by file."""

from __future__ import annotations

import hashlib
from pathlib import Path

from slices import head, ref, write_series

from hemo_core.phantoms import DicomOptions, write_dicom, write_png
from hemo_core.scans.describe import describe_files, outlooks
from hemo_core.scans.discover import discover
from hemo_core.scans.readers import read_scan


def test_a_series_is_described_file_by_file_with_the_digest_of_its_stored_pixels(tmp_path: Path):
    phantom = head()
    plain = write_series(tmp_path / "plain", phantom.hu)

    found = next(outlooks(discover(tmp_path), with_files=True))

    assert (found.would, found.slices, found.code) == ("score", len(phantom.hu), None)
    assert [one.pixels_sha256 for one in found.files] == [
        hashlib.sha256(plane.astype("<i2").tobytes()).hexdigest() for plane in phantom.hu
    ]
    assert {one.transfer_syntax for one in found.files} == {"1.2.840.10008.1.2.1"}
    assert found.files[0].bytes == plain[0].stat().st_size


def test_the_digest_does_not_depend_on_how_the_pixels_were_packed(tmp_path: Path):
    phantom = head()
    digests = set()
    for syntax in ("explicit", "rle", "jpeg-2000"):
        files = write_dicom(phantom, tmp_path / syntax, DicomOptions(syntax=syntax))
        digests.add(describe_files(ref(tmp_path, files[3]), tmp_path, None)[0].pixels_sha256)
    assert len(digests) == 1


def test_a_file_that_cannot_be_read_is_described_by_its_error(tmp_path: Path):
    picture = ref(tmp_path, write_png(head(), tmp_path, [3])[0], kind="image")
    assert describe_files(picture, tmp_path, read_scan(picture, tmp_path))[0].pixels_sha256
    (tmp_path / "text.dcm").write_text("text " * 100)
    assert describe_files(ref(tmp_path, "text.dcm"), tmp_path, None)[0].error.code == "unknown_format"
