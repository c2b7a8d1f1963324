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

from hemo_core.errors import (
    BadGeometry,
    DecodeFailed,
    Implausible,
    NonFinite,
    ScanError,
    TooLarge,
    Truncated,
    UnknownFormat,
)
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


def _volume(phantom: Phantom) -> np.ndarray:
    """As a converter that knows nothing of space stores it: columns, rows, slices."""
    return np.ascontiguousarray(phantom.hu.transpose(2, 1, 0))


def _affine(scale: float = 1.0) -> np.ndarray:
    pixel = SPEC.pixel_spacing_mm * scale
    return np.diag([-pixel, -pixel, SPEC.spacing_mm * scale, 1.0])


@pytest.mark.parametrize(("unit", "scale"), [("meter", 1e-3), ("mm", 1.0), ("micron", 1e3), ("unknown", 1.0)])
def test_spacing_is_read_in_the_unit_of_the_header(tmp_path, phantom, unit, scale):
    image = nibabel.Nifti1Image(_volume(phantom), _affine(scale))
    image.header.set_xyzt_units(unit)
    nibabel.save(image, tmp_path / "a.nii")
    scan = read(tmp_path, "a.nii", kind="nifti")
    assert scan.geometry.slice_spacing_mm == pytest.approx(SPEC.spacing_mm, rel=1e-5)
    assert scan.geometry.pixel_spacing_mm == pytest.approx((SPEC.pixel_spacing_mm,) * 2, rel=1e-5)
    assert "positions_not_credible" not in scan.quality


@pytest.mark.parametrize(
    "affine",
    [
        np.diag([-1.0, -1, 1, 1]),  # no spacing known to the converter
        _affine(1e-3),  # metres, called millimetres
        _affine(0.1),  # centimetres
        _affine(1e3),
        np.diag([-2.0, -2, 60, 1]),
    ],
    ids=["unit", "metres", "centimetres", "micrometres", "far-apart"],
)
def test_spacing_of_no_head_is_not_believed_and_nothing_is_averaged_on_it(tmp_path, phantom, affine):
    _save(tmp_path / "a.nii", _volume(phantom), affine)
    scan = read(tmp_path, "a.nii", kind="nifti")
    assert {"positions_not_credible", "unknown_spacing"} <= set(scan.quality)
    assert scan.geometry.slice_spacing_mm is None
    assert [one.position_mm for one in scan.slices] == [None] * SPEC.slices


def test_pixdim_and_affine_that_disagree_are_not_believed(tmp_path, phantom):
    image = nibabel.Nifti1Image(_volume(phantom), _affine())
    image.header.set_zooms((SPEC.pixel_spacing_mm, SPEC.pixel_spacing_mm, 1.0))
    (tmp_path / "a.nii").write_bytes(image.header.binaryblock + bytes(4) + image.get_fdata().astype("<i2").tobytes("F"))
    raw = bytearray((tmp_path / "a.nii").read_bytes())
    raw[108:112] = np.float32(352).tobytes()
    (tmp_path / "a.nii").write_bytes(raw)
    scan = read(tmp_path, "a.nii", kind="nifti")
    assert "positions_not_credible" in scan.quality
    assert scan.geometry.slice_spacing_mm is None


def test_one_millimetre_is_believed_where_it_makes_a_head(tmp_path):
    planes = np.repeat(head().hu, 14, axis=0)  # 112 slices
    _save(tmp_path / "a.nii", np.repeat(np.repeat(planes.transpose(2, 1, 0), 2, axis=0), 2, axis=1), np.eye(4))
    scan = read(tmp_path, "a.nii", kind="nifti")
    assert scan.geometry.slice_spacing_mm == pytest.approx(1.0)
    assert "positions_not_credible" not in scan.quality


def test_a_volume_of_half_a_head_says_so(tmp_path, phantom):
    _save(tmp_path / "a.nii", _volume(phantom), _affine())
    assert "partial_coverage" in read(tmp_path, "a.nii", kind="nifti").quality
    _save(tmp_path / "b.nii", np.concatenate([_volume(phantom)] * 3, axis=2), _affine())
    assert "partial_coverage" not in read(tmp_path, "b.nii", kind="nifti").quality


def test_an_orientation_that_is_absent_or_said_twice_differently_is_coded(tmp_path, phantom):
    image = nibabel.Nifti1Image(_volume(phantom), _affine())
    image.set_sform(_affine(), 1)
    image.set_qform(_affine() * [[-1], [1], [1], [1]], 1)
    nibabel.save(image, tmp_path / "two.nii")
    image = nibabel.Nifti1Image(_volume(phantom), None)
    image.header.set_zooms((SPEC.pixel_spacing_mm, SPEC.pixel_spacing_mm, SPEC.spacing_mm))
    nibabel.save(image, tmp_path / "none.nii")
    for name in ("two.nii", "none.nii"):
        assert "unknown_orientation" in read(tmp_path, name, kind="nifti").quality
    _save(tmp_path / "one.nii", _volume(phantom), _affine())
    assert "unknown_orientation" not in read(tmp_path, "one.nii", kind="nifti").quality


@pytest.mark.parametrize("offset", [1000, 1024, 32768])
@pytest.mark.parametrize("kind", [np.uint16, np.float64])
def test_shifted_hounsfield_units_are_shifted_back(tmp_path, phantom, offset, kind):
    plain = np.clip(_volume(phantom), -1000, 3071).astype(np.int32)
    _save(tmp_path / "plain.nii", plain, _affine())
    _save(tmp_path / "shifted.nii", (plain + offset).astype(kind), _affine())
    scan = read(tmp_path, "shifted.nii", kind="nifti")
    np.testing.assert_array_equal(volume_of(scan), volume_of(read(tmp_path, "plain.nii", kind="nifti")))
    assert "shifted_hounsfield" in scan.quality


def test_values_that_are_no_hounsfield_units_are_refused_with_the_cause(tmp_path, phantom):
    volume = _volume(phantom)
    window = np.clip((volume.astype(np.float32) + 20) * (255 / 120), 0, 255).astype(np.uint8)
    _save(tmp_path / "window.nii", window, _affine())
    with pytest.raises(Implausible, match="grey levels of a display window"):
        read(tmp_path, "window.nii", kind="nifti")
    _save(tmp_path / "masked.nii", np.where((volume < -50) | (volume > 150), 0, volume), _affine())
    with pytest.raises(Implausible, match="0 HU where air should be"):
        read(tmp_path, "masked.nii", kind="nifti")


def test_pixels_that_are_not_square_are_made_square(tmp_path, phantom):
    _save(tmp_path / "a.nii", _volume(phantom), _affine())
    stretched = _affine() @ np.diag([1.0, 2, 1, 1])
    _save(tmp_path / "b.nii", _volume(phantom)[:, ::2], stretched)
    scan = read(tmp_path, "b.nii", kind="nifti")
    assert volume_of(scan).shape == volume_of(read(tmp_path, "a.nii", kind="nifti")).shape
    assert scan.geometry.pixel_spacing_mm == pytest.approx((SPEC.pixel_spacing_mm,) * 2, rel=1e-5)
    assert "resampled_pixels" in scan.quality
    _save(tmp_path / "sagittal.nii", _volume(phantom)[::8], _affine() @ np.diag([8.0, 1, 1, 1]))
    with pytest.raises(BadGeometry, match="not those of an axial slice"):
        read(tmp_path, "sagittal.nii", kind="nifti")


def test_voxels_that_are_no_numbers_and_sizes_that_lie_are_named(tmp_path, phantom):
    volume = _volume(phantom)
    colour = np.zeros(volume.shape, np.dtype([("R", "u1"), ("G", "u1"), ("B", "u1")]))
    for name, data in (("colour", colour), ("complex", volume.astype(np.complex64))):
        _save(tmp_path / f"{name}.nii", data)
        with pytest.raises(UnknownFormat, match=f"{name} voxels"):
            read(tmp_path, f"{name}.nii", kind="nifti")
    raw = bytearray(_save(tmp_path / "a.nii", volume).read_bytes())
    raw[72:74] = np.int16(8).tobytes()
    (tmp_path / "a.nii").write_bytes(raw)
    with pytest.raises(DecodeFailed, match="8 bits a voxel"):
        read(tmp_path, "a.nii", kind="nifti")


@pytest.mark.parametrize("kind", [nibabel.Nifti1Image, nibabel.Nifti2Image])
def test_an_offset_of_zero_means_behind_the_header(tmp_path, phantom, kind):
    nibabel.save(kind(_volume(phantom), _affine()), tmp_path / "a.nii")
    raw = bytearray((tmp_path / "a.nii").read_bytes())
    at = slice(108, 112) if kind is nibabel.Nifti1Image else slice(168, 176)
    raw[at] = bytes(at.stop - at.start)
    (tmp_path / "zero.nii").write_bytes(raw)
    plain, zero = (read(tmp_path, name, kind="nifti") for name in ("a.nii", "zero.nii"))
    np.testing.assert_array_equal(volume_of(zero), volume_of(plain))
