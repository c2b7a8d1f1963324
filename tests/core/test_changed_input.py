"""What was submitted is what is read, or nothing is."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from slices import head, write_series

from hemo_core.errors import ChangedInput
from hemo_core.phantoms import write_nifti, write_png
from hemo_core.scans.discover import discover
from hemo_core.scans.readers import read_scan


def write_dicom(folder: Path, shift: int) -> None:
    write_series(folder, head().hu + shift, SeriesInstanceUID="1.2.3", StudyInstanceUID="1.2", SOPInstanceUID="1.2.4")


def write_volume(folder: Path, shift: int) -> None:
    write_nifti(replace(head(), hu=head().hu + np.float32(shift)), folder / "head.nii")


def write_picture(folder: Path, shift: int) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    shutil.copy(write_png(head(), folder.parent / "made", [3 + shift])[0], folder / "one.png")


@pytest.mark.parametrize("write", [write_dicom, write_volume, write_picture])
def test_files_swapped_after_they_were_submitted_are_refused(tmp_path, write):
    write(tmp_path / "scans", 0)
    found = discover(tmp_path / "scans")
    refs = [one for one in found if one.rejection is None]
    assert all(read_scan(one, found.mount).slices for one in refs)

    shutil.rmtree(tmp_path / "scans")
    write(tmp_path / "scans", 1)

    for one in refs:
        with pytest.raises(ChangedInput, match="when it was submitted"):
            read_scan(one, found.mount)


def test_rows_of_older_versions_are_read_as_they_were(tmp_path):
    write_dicom(tmp_path, 0)
    found = discover(tmp_path)
    (one,) = list(found)

    assert read_scan(replace(one, fingerprint=None), found.mount).slices
