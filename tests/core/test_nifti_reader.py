"""A NIfTI volume is turned to look like axial DICOM, whatever the order of its axes."""

from __future__ import annotations

import gzip
import itertools
from contextlib import suppress
from pathlib import Path

import nibabel
import numpy as np
import pytest
from slices import SPEC, head, read, volume_of

from hemo_core.errors import BadGeometry, DecodeFailed, NonFinite, ScanError, TooLarge, Truncated, UnknownFormat
from hemo_core.phantoms import Phantom, write_nifti


@pytest.fixture(scope="module")
def phantom() -> Phantom:
    return head()


@pytest.mark.parametrize("name", ["head.nii", "head.nii.gz", "misnamed.dcm"])
def test_a_volume_gives_the_slices_that_were_written(tmp_path, phantom, name):
    source = write_nifti(phantom, tmp_path / ("head.nii" if name == "misnamed.dcm" else name))
    (tmp_path / name).write_bytes(source.read_bytes())
    scan = read(tmp_path, name, kind="nifti")
    np.testing.assert_array_equal(volume_of(scan), np.where(phantom.hu < -1024, -1000, phantom.hu))
    assert scan.units == "hu"
    assert scan.geometry.order_from == "affine"
    assert scan.geometry.slice_spacing_mm == pytest.approx(SPEC.spacing_mm)
    assert scan.geometry.pixel_spacing_mm == pytest.approx((SPEC.pixel_spacing_mm,) * 2, rel=1e-5)
    assert "phantom" in scan.quality


@pytest.mark.parametrize("axes", list(itertools.permutations(range(3))))
@pytest.mark.parametrize("flips", [(1, 1, 1), (-1, 1, 1), (1, -1, -1)])
def test_any_order_and_direction_of_axes_gives_the_same_slices(tmp_path, phantom, axes, flips):
    image = nibabel.load(write_nifti(phantom, tmp_path / "plain.nii"))
    orientation = np.array([[axis, flip] for axis, flip in zip(axes, flips, strict=True)])
    nibabel.save(image.as_reoriented(orientation), tmp_path / "turned.nii")
    one, other = read(tmp_path, "plain.nii", kind="nifti"), read(tmp_path, "turned.nii", kind="nifti")
    np.testing.assert_array_equal(volume_of(one), volume_of(other))
    np.testing.assert_allclose(
        [part.position_mm for part in one.slices], [part.position_mm for part in other.slices], atol=1e-3
    )


def _save(path: Path, data: np.ndarray, affine: np.ndarray | None = None) -> Path:
    nibabel.save(nibabel.Nifti1Image(data, np.diag([2.0, 2, 5, 1]) if affine is None else affine), path)
    return path


def test_trailing_axes_of_length_one_are_no_fourth_dimension_but_a_time_series_is(tmp_path, phantom):
    volume = phantom.hu.transpose(2, 1, 0)
    _save(tmp_path / "one.nii", volume[..., None])
    assert len(read(tmp_path, "one.nii", kind="nifti").slices) == SPEC.slices
    _save(tmp_path / "four.nii", np.stack([volume, volume], axis=-1))
    with pytest.raises(BadGeometry, match="4 dimensions"):
        read(tmp_path, "four.nii", kind="nifti")


def test_a_time_series_is_refused_before_it_is_unpacked(tmp_path):
    header = nibabel.Nifti1Header()
    header.set_data_shape((512, 512, 40, 30_000))
    header.set_data_dtype(np.int16)
    (tmp_path / "bomb.nii.gz").write_bytes(gzip.compress(header.binaryblock + bytes(1000)))
    with pytest.raises(BadGeometry, match="4 dimensions"):
        read(tmp_path, "bomb.nii.gz", kind="nifti")


def test_what_is_broken_gets_its_own_error(tmp_path, phantom):
    volume = phantom.hu.transpose(2, 1, 0).astype(np.float32)
    volume[0, 0, 0] = np.nan
    _save(tmp_path / "nan.nii", volume)
    with pytest.raises(NonFinite):
        read(tmp_path, "nan.nii", kind="nifti")
    whole = write_nifti(phantom, tmp_path / "whole.nii").read_bytes()
    packed = write_nifti(phantom, tmp_path / "whole.nii.gz").read_bytes()
    for data, suffix in ((whole, ".nii"), (packed, ".nii.gz")):
        for share in (0.4, 0.9, 0.999):
            (tmp_path / f"cut{suffix}").write_bytes(data[: int(len(data) * share)])
            with pytest.raises(Truncated):
                read(tmp_path, f"cut{suffix}", kind="nifti")
    (tmp_path / "text.nii").write_text("no volume\n" * 100)
    (tmp_path / "text.nii.gz").write_bytes(gzip.compress(b"no volume\n" * 100))
    for name in ("text.nii", "text.nii.gz"):
        with pytest.raises(UnknownFormat):
            read(tmp_path, name, kind="nifti")


def test_a_header_that_lies_is_refused_before_anything_is_unpacked(tmp_path, phantom):
    header = bytearray(write_nifti(phantom, tmp_path / "whole.nii").read_bytes()[:352])
    header[42:48] = np.array([30000, 30000, 30000], "<i2").tobytes()
    (tmp_path / "bomb.nii.gz").write_bytes(gzip.compress(bytes(header) + bytes(50 << 20)))
    with pytest.raises(TooLarge):
        read(tmp_path, "bomb.nii.gz", kind="nifti")
    header[42:48] = np.array([-3, 0, 5], "<i2").tobytes()
    (tmp_path / "negative.nii").write_bytes(bytes(header) + bytes(1000))
    with pytest.raises(DecodeFailed, match="impossible dimensions"):
        read(tmp_path, "negative.nii", kind="nifti")


def test_damaged_headers_never_raise_anything_but_scan_errors(tmp_path, phantom):
    whole = bytearray(write_nifti(phantom, tmp_path / "whole.nii").read_bytes())
    rng = np.random.default_rng(5)
    for _ in range(80):
        broken = whole.copy()
        for at in rng.integers(4, 344, 6):
            broken[at] = rng.integers(256)
        (tmp_path / "broken.nii").write_bytes(broken)
        with suppress(ScanError):
            read(tmp_path, "broken.nii", kind="nifti", allow_implausible=True)
