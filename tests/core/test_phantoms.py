"""Phantoms: reproducible, true to their truth, and the same after a round trip through each format."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pydicom
import pytest

from hemo_core.errors import ScanError
from hemo_core.phantoms import DicomOptions, PhantomSpec, make_phantom, write_demo, write_dicom, write_nifti, write_png
from hemo_core.phantoms.spec import BLEEDS
from hemo_core.scans.discover import discover
from hemo_core.scans.phantom_marks import dicom_is_phantom, nifti_is_phantom, picture_is_phantom
from hemo_core.scans.readers import read_scan
from hemo_core.scans.scan import Quality

SMALL = PhantomSpec(7, bleed="epidural", bleed_size=0.7, rows=128, slices=12, spacing_mm=9.0, detail="fast")


@pytest.fixture(scope="module")
def phantom():
    return make_phantom(SMALL)


def test_the_same_recipe_gives_the_same_phantom_and_another_seed_another(phantom):
    again, other = make_phantom(SMALL), make_phantom(replace(SMALL, seed=8))
    assert np.array_equal(phantom.hu, again.hu)
    assert np.array_equal(phantom.blood, again.blood)
    assert not np.array_equal(phantom.hu, other.hu)


@pytest.mark.parametrize("bleed", [kind for kind in BLEEDS if kind != "none"])
@pytest.mark.parametrize("seed", [1, 2, 3])
def test_blood_is_where_the_truth_says_and_as_dense_as_acute_blood(bleed, seed):
    made = make_phantom(replace(SMALL, seed=seed, bleed=bleed, noise_hu=0.0))
    assert made.bleeds
    assert sum(made.blood_voxels) == np.count_nonzero(made.blood)
    assert 50 < np.median(made.hu[made.blood]) < 85


@pytest.mark.parametrize("mimic", ["none", "pineal", "choroid", "dense_falx"])
def test_a_phantom_without_a_bleed_has_no_blood(mimic):
    made = make_phantom(replace(SMALL, bleed="none", mimic=mimic))
    assert not made.bleeds
    assert not any(made.blood_voxels)


def test_a_head_has_air_fat_fluid_brain_and_bone_in_the_proportions_of_one(phantom):
    hu = phantom.hu[4:9].astype(np.float32)
    brain = np.mean((hu > 20) & (hu < 45))
    bone = np.mean(hu > 300)
    assert 0.15 < brain < 0.5
    assert 0.03 < bone < 0.25
    assert np.mean(hu < -900) > 0.3


@pytest.mark.parametrize(
    "options",
    [
        DicomOptions(),
        DicomOptions(syntax="implicit"),
        DicomOptions(syntax="rle"),
        DicomOptions(syntax="jpeg-2000"),
        DicomOptions(monochrome1=True),
        DicomOptions(shuffled=True, missing=(3,)),
    ],
    ids=["explicit", "implicit", "rle", "jpeg-2000", "monochrome1", "shuffled-missing"],
)
def test_a_series_reads_back_to_the_same_hounsfield_units(phantom, tmp_path, options):
    written = write_dicom(phantom, tmp_path, options)
    kept = [index for index in range(SMALL.slices) if index not in options.missing]
    assert len(written) == len(kept)
    for index, path in zip(kept, written, strict=True):
        dataset = pydicom.dcmread(path)
        hu = dataset.pixel_array * float(dataset.RescaleSlope) + float(dataset.RescaleIntercept)
        assert np.array_equal(hu, np.clip(phantom.hu[index], -1024, 3071))
        assert dicom_is_phantom(dataset)


def test_slices_lie_one_spacing_apart_along_the_normal_of_a_tilted_series(tmp_path):
    tilted = make_phantom(replace(SMALL, tilt_deg=15.0))
    datasets = [pydicom.dcmread(path, stop_before_pixels=True) for path in write_dicom(tilted, tmp_path)]
    row, column = np.reshape(datasets[0].ImageOrientationPatient, (2, 3)).astype(float)
    normal = np.cross(row, column)
    along = [float(np.dot(normal, np.asarray(dataset.ImagePositionPatient, float))) for dataset in datasets]
    assert np.allclose(np.diff(along), SMALL.spacing_mm, atol=1e-3)
    assert np.isclose(np.degrees(np.arccos(normal[2])), 15.0, atol=1e-3)
    assert len({dataset.SOPInstanceUID for dataset in datasets}) == SMALL.slices


def test_a_wrapped_series_stores_air_above_bone(phantom, tmp_path):
    dataset = pydicom.dcmread(write_dicom(phantom, tmp_path, DicomOptions(wrapped=True))[5])
    stored = dataset.pixel_array.astype(np.int32)
    assert dataset.RescaleIntercept == 0
    assert stored[0, 0] > 3000
    assert np.array_equal(np.where(stored >= 2048, stored - 4096, stored), np.clip(phantom.hu[5], -2048, 2047))


def test_an_enhanced_object_holds_every_slice_with_its_position(phantom, tmp_path):
    (path,) = write_dicom(phantom, tmp_path, DicomOptions(multiframe=True))
    dataset = pydicom.dcmread(path)
    transform = dataset.SharedFunctionalGroupsSequence[0].PixelValueTransformationSequence[0]
    hu = dataset.pixel_array * float(transform.RescaleSlope) + float(transform.RescaleIntercept)
    assert np.array_equal(hu, phantom.hu)
    heights = [f.PlanePositionSequence[0].ImagePositionPatient[2] for f in dataset.PerFrameFunctionalGroupsSequence]
    assert np.allclose(np.diff([float(height) for height in heights]), SMALL.spacing_mm, atol=1e-3)


def test_nifti_keeps_values_place_and_mark(phantom, tmp_path):
    import nibabel

    image = nibabel.load(write_nifti(phantom, tmp_path / "a.nii.gz"))
    assert np.array_equal(np.asarray(image.dataobj).transpose(2, 1, 0), phantom.hu)
    assert np.allclose(image.header.get_zooms(), (SMALL.pixel_spacing_mm, SMALL.pixel_spacing_mm, 9.0), atol=1e-3)
    assert nibabel.aff2axcodes(image.affine) == ("L", "P", "S")
    assert nifti_is_phantom(image.header)


def test_a_picture_is_marked_in_its_name_and_inside(phantom, tmp_path):
    (path,) = write_png(phantom, tmp_path, [4])
    renamed = path.rename(tmp_path / "slice.png")
    assert picture_is_phantom(path.name)
    assert not picture_is_phantom(renamed.name)
    assert picture_is_phantom(renamed.name, renamed.read_bytes()[:4096])


def test_an_ordinary_header_is_no_phantom():
    plain = pydicom.Dataset()
    plain.PatientID, plain.SeriesDescription = "PHANTOM-5", "HEAD 5mm"
    assert not dicom_is_phantom(plain)
    assert not picture_is_phantom("slice.png", b"\x89PNG\r\n\x1a\n")


@pytest.mark.parametrize(
    "options",
    [
        DicomOptions(shuffled=True),
        DicomOptions(syntax="jpeg-2000"),
        DicomOptions(monochrome1=True),
        DicomOptions(wrapped=True),
        DicomOptions(multiframe=True),
    ],
    ids=["shuffled", "jpeg-2000", "monochrome1", "wrapped", "multiframe"],
)
def test_the_reader_brings_back_a_series_in_order_and_knows_it_for_a_phantom(phantom, tmp_path, options):
    write_dicom(phantom, tmp_path / "series", options)
    (ref,) = discover(tmp_path)
    scan = read_scan(ref, tmp_path)
    expected = np.clip(phantom.hu, -1024, 2047 if options.wrapped else 3071)
    assert np.array_equal(np.stack([plane.pixels for plane in scan.slices]), expected)
    assert scan.geometry.slice_spacing_mm == pytest.approx(SMALL.spacing_mm, abs=1e-3)
    assert Quality.PHANTOM in scan.quality


def test_the_reader_brings_back_a_tilted_series_from_dicom_and_from_nifti_alike(tmp_path):
    tilted = make_phantom(replace(SMALL, tilt_deg=-12.0))
    write_dicom(tilted, tmp_path / "series")
    write_nifti(tilted, tmp_path / "a.nii")
    scans = [read_scan(ref, tmp_path) for ref in discover(tmp_path)]
    assert {scan.ref.kind for scan in scans} == {"dicom", "nifti"}
    for scan in scans:
        assert np.array_equal(np.stack([plane.pixels for plane in scan.slices]), tilted.hu)
        assert abs(scan.geometry.tilt_deg) == pytest.approx(12.0, abs=0.1)
        assert {Quality.PHANTOM, Quality.GANTRY_TILT} <= set(scan.quality)


def test_the_reader_knows_a_picture_for_a_phantom_by_its_comment(phantom, tmp_path):
    write_png(phantom, tmp_path, [4])[0].rename(tmp_path / "slice.png")
    (ref,) = discover(tmp_path)
    assert Quality.PHANTOM in read_scan(ref, tmp_path).quality


def test_the_demo_folder_holds_bleeds_others_and_what_cannot_be_scored_and_discovery_finds_just_that(tmp_path):
    scans = write_demo(tmp_path, rows=128)
    assert {scan.expected for scan in scans} == {"hemorrhage", "no_finding", "rejected", "failed"}
    assert len((tmp_path / "phantoms.csv").read_text().splitlines()) == 1 + len(scans)
    found = {ref.path: ref for ref in discover(tmp_path)}
    assert set(found) == {scan.path for scan in scans}
    for scan in scans:
        ref = found[scan.path]
        assert (ref.rejection is not None) == (scan.expected == "rejected"), ref
        if scan.expected == "failed":
            with pytest.raises(ScanError):
                read_scan(ref, tmp_path)
        elif scan.expected != "rejected":
            assert Quality.PHANTOM in read_scan(ref, tmp_path).quality
