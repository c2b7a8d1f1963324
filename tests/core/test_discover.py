"""Every file ends in one place, every series in a row; the right series is chosen, and the others say why not."""

from __future__ import annotations

import os
import shutil
from collections import Counter
from collections.abc import Iterable
from pathlib import Path

import numpy as np
import pytest
from pydicom.uid import generate_uid
from slices import head, slice_dataset, volume_of, write_series, write_slice

from hemo_core.errors import JobError, NoInput, ScanError, UsageError
from hemo_core.phantoms import DicomOptions, Phantom, write_demo, write_dicom, write_localizer, write_nifti, write_png
from hemo_core.scans.discover import REJECTION_CODES, discover
from hemo_core.scans.readers import read_scan
from hemo_core.scans.scan import ScanRef, decode_row, encode_row

SECONDARY_CAPTURE = "1.2.840.10008.5.1.4.1.1.7"


@pytest.fixture(scope="module")
def phantom() -> Phantom:
    return head()


def rows(root: Path, **settings: object) -> dict[str, ScanRef]:
    """Rows by path; the paths of a test are distinct."""
    found = list(discover(root, **settings))  # type: ignore[arg-type]
    assert len({one.scan_id for one in found}) == len(found)
    by_path = {one.path: one for one in found}
    assert len(by_path) == len(found)
    return by_path


def codes(refs: Iterable[ScanRef]) -> Counter[str]:
    """How often each rejection or error code occurs; ``scored`` for none."""
    return Counter(found.code if (found := one.rejection or one.failure) else "scored" for one in refs)


def test_series_are_found_by_content_whatever_their_names_and_folders(tmp_path, phantom):
    files = write_dicom(phantom, tmp_path / "ward" / "a", DicomOptions(shuffled=True))
    (tmp_path / "ward" / "b").mkdir()
    for number, path in enumerate(files[::2]):
        path.rename(tmp_path / "ward" / "b" / f"IMG{number}")
    found = discover(tmp_path)
    (one,) = list(found)
    assert one.path == "ward"
    assert len(one.files) == len(files)
    np.testing.assert_array_equal(
        volume_of(read_scan(one, found.mount)), np.where(phantom.hu < -1024, -1000, phantom.hu)
    )


def test_a_data_set_without_preamble_is_found(tmp_path, phantom):
    dataset = slice_dataset(phantom.hu[4])
    del dataset.file_meta
    dataset.save_as(tmp_path / "bare", implicit_vr=True, little_endian=True)
    assert (tmp_path / "bare").read_bytes()[128:132] != b"DICM"
    found = discover(tmp_path)
    (one,) = list(found)
    assert one.failure is None
    assert read_scan(one, found.mount).slices


def test_ids_follow_the_instances_not_the_names_or_the_place(tmp_path, phantom):
    write_dicom(phantom, tmp_path / "one" / "a")
    write_dicom(phantom, tmp_path / "two" / "x" / "y", DicomOptions(shuffled=False))
    first, second = (next(discover(tmp_path / name)).scan_id for name in ("one", "two"))
    assert first == second
    assert len(first) == 16
    int(first, 16)


def test_each_file_of_a_mixed_tree_ends_in_exactly_one_place(tmp_path, phantom):
    write_dicom(phantom, tmp_path / "ct")
    write_nifti(phantom, tmp_path / "volumes" / "head.nii.gz")
    write_png(phantom, tmp_path / "pictures")
    (tmp_path / "labels.csv").write_text("a,b\n")
    (tmp_path / "README").write_text("Some text.\n")
    (tmp_path / ".hidden").write_bytes(b"\0\1\2")
    (tmp_path / "text.dcm").write_text("not a scan\n" * 40)
    (tmp_path / "empty.dcm").touch()
    (tmp_path / "mystery").write_bytes(bytes(range(256)) * 4)
    (tmp_path / "link.dcm").symlink_to(tmp_path / "ct")
    (tmp_path / "loop").symlink_to(tmp_path / "loop")
    (tmp_path / "cut.dcm").write_bytes(next((tmp_path / "ct").iterdir()).read_bytes()[:400])
    for name in ("pipe", "pipe.dcm"):
        os.mkfifo(tmp_path / name)
    for name in ("nothing sent", "folder.dcm"):
        (tmp_path / name).mkdir()
    write_dicom(phantom, tmp_path / "reports" / "night" / "scans" / "overlays")
    for name in ("job.json", "manifest.jsonl"):
        (tmp_path / "reports" / "night" / name).write_text("{}")
    found = discover(tmp_path)
    refs = list(found)
    placed = Counter([path for one in refs for path in one.files] + [path for path, _ in found.ignored])
    files = {path for path in tmp_path.rglob("*") if path.is_symlink() or not path.is_dir()}
    there = {str(path.relative_to(tmp_path)) for path in files if "reports" not in path.parts}
    assert set(placed) == there | {"nothing sent", "folder.dcm", "reports/night"}
    assert set(placed.values()) == {1}
    assert codes(refs) == {
        "scored": 2 + len(phantom.hu),
        "unknown_format": 2,
        "empty_file": 1,
        "file_unreadable": 4,
        "truncated": 1,
    }
    assert dict(found.ignored) == {
        ".hidden": "hidden",
        "README": "a text file",
        "labels.csv": "no scan format: csv",
        "nothing sent": "an empty folder",
        "pipe": "neither a file nor a folder (device, socket or pipe)",
        "reports/night": "the reports of a job",
    }


def test_a_pipe_is_no_input_and_is_not_waited_for(tmp_path):
    os.mkfifo(tmp_path / "pipe.dcm")
    with pytest.raises(NoInput, match="neither a file nor a folder"):
        discover(tmp_path / "pipe.dcm")


def test_a_dicomdir_is_ignored_with_a_reason(tmp_path, phantom):
    write_slice(tmp_path / "DICOMDIR", phantom.hu[0], SOPClassUID="1.2.840.10008.1.3.10", PixelData=None, Rows=None)
    found = discover(tmp_path)
    assert list(found) == []
    assert "DICOMDIR, an index" in dict(found.ignored)["DICOMDIR"]


def test_of_a_study_the_plain_soft_axial_head_series_is_chosen(tmp_path, phantom):
    study = {"StudyInstanceUID": generate_uid()}
    hu = phantom.hu
    capture = {"SOPClassUID": SECONDARY_CAPTURE, "SeriesDescription": "Dose Report"}
    write_series(tmp_path / "s" / "plain", hu, ConvolutionKernel="H30s", SeriesDescription="HEAD 5mm", **study)
    write_series(tmp_path / "s" / "thin", hu, 1.0, ConvolutionKernel="H30s", SeriesDescription="HEAD 1mm", **study)
    write_series(tmp_path / "s" / "bone", hu, ConvolutionKernel="H70h", SeriesDescription="HEAD 5mm", **study)
    write_series(tmp_path / "s" / "contrast", hu, ContrastBolusAgent="Iomeron 300", **study)
    write_series(tmp_path / "s" / "angio", hu, SeriesDescription="CTA Head 0.75", **study)
    write_series(tmp_path / "s" / "few", hu[:2], **study)
    write_series(tmp_path / "s" / "coronal", hu, ImageOrientationPatient=[1, 0, 0, 0, 0, -1], **study)
    write_series(tmp_path / "s" / "scout", hu[:1], ImageType=["ORIGINAL", "PRIMARY", "LOCALIZER"], **study)
    write_series(tmp_path / "s" / "report", hu[:1], **capture, **study)
    write_series(tmp_path / "s" / "mr", hu, Modality="MR", **study)
    write_series(tmp_path / "s" / "chest", hu, BodyPartExamined="CHEST", **study)
    write_series(tmp_path / "s" / "mip", hu, ImageType=["DERIVED", "SECONDARY", "AXIAL", "MIP"], **study)
    write_slice(tmp_path / "s" / "sr", hu[0], Modality="SR", PixelData=None, Rows=None, Columns=None, **study)
    found = rows(tmp_path)
    verdicts = {path.split("/")[1]: one.rejection.code if one.rejection else None for path, one in found.items()}
    assert verdicts == {
        "plain": None,
        "thin": "not_chosen",
        "bone": "bone_kernel",
        "contrast": "contrast",
        "angio": "contrast",
        "few": "too_few_slices",
        "coronal": "not_axial",
        "scout": "localizer",
        "report": "secondary_capture",
        "mr": "not_ct",
        "chest": "not_head",
        "mip": "projection",
    }
    assert all(one.failure is None for one in found.values())
    assert found["s/thin"].rejection.reason == "another series of the same study was chosen: 8 slices"
    assert codes(rows(tmp_path, all_series=True).values())["scored"] == 3
    overridden = rows(tmp_path, overrides=frozenset({"bone_kernel", "not_chosen"}))
    assert overridden["s/bone"].rejection is None
    assert overridden["s/thin"].rejection is None
    assert overridden["s/few"].rejection.code == "too_few_slices"


@pytest.mark.parametrize("text", ["Head w/o contrast", "NON-CONTRAST HEAD", "Head NC 5.0", "Nativ", "HEAD PLAIN"])
def test_words_for_no_contrast_are_not_taken_for_contrast(tmp_path, phantom, text):
    write_series(tmp_path / "a", phantom.hu[:1], SeriesDescription=text, ContrastBolusAgent="NONE")
    assert codes(discover(tmp_path)) == {"scored": 1}


@pytest.mark.parametrize("kernel", ["H60s", "J70h", "Hr64", "BONE", "BONEPLUS", "FC30", "FC81", "EDGE"])
def test_sharp_kernels_of_several_makers_are_known(tmp_path, phantom, kernel):
    write_series(tmp_path / "a", phantom.hu[:1], ConvolutionKernel=kernel)
    assert codes(discover(tmp_path)) == {"bone_kernel": 1}


@pytest.mark.parametrize(
    "kernel", ["H31s", "J40s", "Hr38", "STANDARD", "SOFT", "FC21", "FC64", "STD+", "SB", "UB", "B"]
)
def test_soft_kernels_of_several_makers_are_known(tmp_path, phantom, kernel):
    write_series(tmp_path / "a", phantom.hu[:1], ConvolutionKernel=kernel)
    assert codes(discover(tmp_path)) == {"scored": 1}


def test_a_series_of_one_slice_is_scored_where_the_study_has_no_better_one(tmp_path, phantom):
    for number in range(3):
        write_slice(tmp_path / "singles" / f"{number}", phantom.hu[number])
    found = rows(tmp_path)
    assert codes(found.values()) == {"scored": 3}
    assert set(found) == {f"singles/{number}" for number in range(3)}


def test_a_localizer_filed_with_its_series_costs_the_series_nothing(tmp_path, phantom):
    series = {"SeriesInstanceUID": generate_uid(), "StudyInstanceUID": generate_uid()}
    scout = {"ImageType": ["ORIGINAL", "PRIMARY", "LOCALIZER"], "ImageOrientationPatient": [0, 1, 0, 0, 0, -1]}
    write_series(tmp_path / "a", phantom.hu[:1, :80, :90], **series, **scout)
    write_series(tmp_path / "b", phantom.hu, **series)
    shutil.move(tmp_path / "a" / "000.dcm", tmp_path / "b" / "!first")
    found = discover(tmp_path)
    scout_row, one = sorted(found, key=lambda row: len(row.files))
    assert scout_row.rejection.code == "localizer"
    assert one.rejection is None
    assert len(read_scan(one, found.mount).slices) == len(one.files) == len(phantom.hu)


def test_a_scan_found_again_gets_its_own_row(tmp_path, phantom):
    write_dicom(phantom, tmp_path / "one")
    for copy in ("two", "one/again"):
        shutil.copytree(tmp_path / "one", tmp_path / copy)
    write_png(phantom, tmp_path / "pictures", [4])
    shutil.copytree(tmp_path / "pictures", tmp_path / "zcopy")
    found = list(discover(tmp_path))
    series = [one for one in found if one.kind == "dicom"]
    first = series[0].scan_id
    assert [one.scan_id for one in series] == [first, f"{first}-2", f"{first}-3"]
    assert [one.duplicate_of for one in series] == [None, first, first]
    assert {len(one.files) for one in series} == {len(phantom.hu)}
    assert [one.duplicate_of is None for one in found if one.kind == "image"] == [True, False]


def test_one_file_copied_inside_a_series_is_dropped_with_a_code(tmp_path, phantom):
    files = write_dicom(phantom, tmp_path / "one")
    shutil.copy(files[2], tmp_path / "one" / "copy of it")
    found = discover(tmp_path)
    (one,) = list(found)
    assert dict(found.ignored) == {"one/copy of it": "a copy of another file of its series"}
    assert len(one.files) == len(files)
    assert "extra_slices_dropped" in one.quality
    assert len(read_scan(one, found.mount).slices) == len(files)


def test_pictures_of_a_folder_become_one_scan_in_natural_order_on_request(tmp_path, phantom):
    files = write_png(phantom, tmp_path / "p1", range(3))
    for name, path in zip(("slice10.png", "slice9.png", "Slice1.png"), files, strict=True):
        path.rename(tmp_path / "p1" / name)
    write_png(phantom, tmp_path / "p2", [0])
    assert len(rows(tmp_path)) == 4
    found = rows(tmp_path, group_folders=True)
    assert found["p1"].files == ("p1/Slice1.png", "p1/slice9.png", "p1/slice10.png")
    assert set(found) == {"p1", next(path for path in found if path.startswith("p2"))}


def test_one_file_is_an_input_too(tmp_path, phantom):
    files = write_dicom(phantom, tmp_path / "one")
    found = discover(files[0])
    (one,) = list(found)
    assert found.mount == tmp_path / "one"
    assert one.path == files[0].name
    assert read_scan(one, found.mount).slices


def test_input_that_is_not_there_and_codes_that_are_none_are_usage_errors(tmp_path):
    with pytest.raises(NoInput, match="nothing is at this path"):
        discover(tmp_path / "absent")
    with pytest.raises(UsageError, match="no such rejection code: bone"):
        discover(tmp_path, overrides=frozenset({"bone"}))
    assert "bone_kernel" in REJECTION_CODES


def test_names_that_are_no_unicode_survive_the_manifest(tmp_path, phantom):
    import json

    name = os.fsdecode(b"scan-\xff.png")
    write_png(phantom, tmp_path / "p", [4])[0].rename(tmp_path / name)
    (one,) = list(discover(tmp_path))
    again = decode_row(json.loads(json.dumps(encode_row(one))), error=JobError)
    assert again == one
    assert read_scan(again, tmp_path).slices


def test_the_demo_folder_ends_as_its_truth_says(tmp_path):
    truth = {one.path: one.expected for one in write_demo(tmp_path, rows=128)}
    found = {one.path: one for one in discover(tmp_path)}
    for path, expected in truth.items():
        ref = found[path]
        actual = "failed" if ref.failure else "rejected" if ref.rejection else "scored"
        if actual == "scored":
            try:
                read_scan(ref, tmp_path)
            except ScanError:
                actual = "failed"
        assert actual == (expected if expected in {"rejected", "failed"} else "scored"), path


def test_a_localizer_alone_is_rejected(tmp_path, phantom):
    write_localizer(phantom, tmp_path / "a")
    assert codes(discover(tmp_path)) == {"localizer": 1}


def test_public_single_slices_each_get_a_row(real_data: Path):
    found = rows(real_data / "dicom")
    assert codes(found.values()) == {"scored": 12}
    assert len(found["rsna_ID_fff502d5"].files) == 36
    assert len(found["ge_hispeed"].files) == 28
