"""The scan that was there is the scan that is scored, whatever its headers get wrong."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydicom.uid import generate_uid
from slices import head, slice_dataset

from hemo_core.errors import BadGeometry
from hemo_core.phantoms import Phantom
from hemo_core.scans.discover import discover
from hemo_core.scans.readers import read_scan
from hemo_core.scans.scan import Scan, ScanRef

Change = Callable[[int], dict[str, Any]]


@pytest.fixture(scope="module")
def phantom() -> Phantom:
    return head()


def nothing(_: int) -> dict[str, Any]:
    return {}


def write(
    folder: Path, volume: np.ndarray, change: Change = nothing, *, step: float = 5.0, first: float = 0.0, **tags: Any
) -> dict[str, Any]:
    """A series whose slice ``number`` also says what ``change(number)`` says. Returns the identifiers it shares."""
    shared = {"StudyInstanceUID": generate_uid(), "SeriesInstanceUID": generate_uid(), "PatientID": "P1", **tags}
    folder.mkdir(parents=True, exist_ok=True)
    for number, plane in enumerate(volume):
        own = {"InstanceNumber": number + 1, "SliceLocation": first + step * number, **shared, **change(number)}
        own = {name: value for name, value in own.items() if (name, value) != ("SliceLocation", None)}
        dataset = slice_dataset(plane, first + step * number, **own)
        dataset.save_as(folder / f"{shared['SeriesInstanceUID'][-6:]}-{number:03d}.dcm", enforce_file_format=True)
    return shared


def scored(root: Path) -> list[tuple[ScanRef, Scan]]:
    found = discover(root)
    refs = [one for one in found if one.rejection is None and one.failure is None]
    return [(one, read_scan(one, found.mount)) for one in refs]


def codes(root: Path) -> list[str]:
    return sorted(one.rejection.code for one in discover(root) if one.rejection is not None)


def whole(scan: Scan, volume: np.ndarray) -> bool:
    """Whether a scan is the volume, slice for slice."""
    return len(scan.slices) == len(volume) and all(
        np.array_equal(one.pixels, plane) for one, plane in zip(scan.slices, volume, strict=True)
    )


# -- identity ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("shared", ["StudyInstanceUID", "SeriesInstanceUID", "both"])
def test_two_patients_are_never_in_one_scan_whatever_their_uids_say(tmp_path, phantom, shared):
    same = {"StudyInstanceUID": "1.2.3"} | ({"SeriesInstanceUID": "1.2.4"} if shared != "StudyInstanceUID" else {})
    for number, patient in enumerate(("A", "B", "C")):
        write(tmp_path / "archive" / patient, phantom.hu + number, PatientID=patient, first=2.0 * number, **same)

    found = scored(tmp_path)

    assert sorted(len(scan.slices) for _, scan in found) == [len(phantom.hu)] * 3
    assert len({one.path for one, _ in found}) == 3


def test_two_patients_without_uids_in_one_folder_are_two_scans(tmp_path, phantom):
    blank = {"StudyInstanceUID": "", "SeriesInstanceUID": "", "SOPInstanceUID": ""}
    for number, patient in enumerate(("A", "B")):
        for at, plane in enumerate(phantom.hu):
            dataset = slice_dataset(plane + number, 5.0 * at, PatientID=patient, InstanceNumber=at, **blank)
            dataset.file_meta.MediaStorageSOPInstanceUID = generate_uid()
            dataset.save_as(tmp_path / f"{patient}{at}.dcm", enforce_file_format=True)

    assert sorted(len(scan.slices) for _, scan in scored(tmp_path)) == [len(phantom.hu)] * 2


def test_a_series_uid_that_is_new_in_every_file_does_not_part_the_series(tmp_path, phantom):
    write(tmp_path, phantom.hu, lambda _: {"SeriesInstanceUID": generate_uid()}, SeriesNumber=3)

    ((one, scan),) = scored(tmp_path)

    assert whole(scan, phantom.hu)
    assert "invalid_uid" in one.quality


def test_one_sop_uid_for_slices_that_differ_makes_no_copies_of_them(tmp_path, phantom):
    uid = generate_uid()
    write(tmp_path / "a", phantom.hu, lambda _: {"SOPInstanceUID": uid})
    write(tmp_path / "b", phantom.hu + 1, lambda _: {"SOPInstanceUID": uid}, PatientID="P2")

    found = scored(tmp_path)

    assert [len(scan.slices) for _, scan in found] == [len(phantom.hu)] * 2
    assert len({one.scan_id.partition("-")[0] for one, _ in found}) == 2
    assert all("invalid_uid" in one.quality for one, _ in found)


def test_single_slices_of_many_patients_under_one_series_uid_are_not_stacked(tmp_path, phantom):
    for number, patient in enumerate("ABCD"):
        write(tmp_path / patient, phantom.hu[4:5], PatientID=patient, SeriesInstanceUID="1.2.3", first=37.0 * number**2)

    assert [len(scan.slices) for _, scan in scored(tmp_path)] == [1] * 4


# -- what one series may hold ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("second_first", [False, True])
@pytest.mark.parametrize(
    ("other", "code"),
    [
        ({"ContrastBolusAgent": "IOHEXOL"}, "contrast"),
        ({"ConvolutionKernel": "H60s"}, "bone_kernel"),
        ({"AcquisitionNumber": 2}, "not_chosen"),
        ({"ImageType": ["DERIVED", "SECONDARY", "MIP"]}, "projection"),
    ],
)
def test_two_pictures_of_one_place_in_one_series_are_told_apart(tmp_path, phantom, other, code, second_first):
    plain = {"ConvolutionKernel": "H30s", "AcquisitionNumber": 1}
    ids = write(tmp_path / ("b" if second_first else "a"), phantom.hu, **plain)
    del ids["ConvolutionKernel"], ids["AcquisitionNumber"]
    write(tmp_path / ("a" if second_first else "b"), phantom.hu + 7, **ids, **{**plain, **other})

    ((_, scan),) = scored(tmp_path)

    assert codes(tmp_path) == [code]
    assert whole(scan, phantom.hu) or (code == "not_chosen" and whole(scan, phantom.hu + 7))


def test_a_second_pass_half_a_step_further_is_not_interleaved(tmp_path, phantom):
    ids = write(tmp_path, phantom.hu, AcquisitionNumber=1)
    write(tmp_path, phantom.hu + 3, first=2.5, **{**ids, "AcquisitionNumber": 2})

    ((_, scan),) = scored(tmp_path)

    assert whole(scan, phantom.hu) or whole(scan, phantom.hu + 3)


def test_an_acquisition_for_each_slice_is_still_one_scan(tmp_path, phantom):
    write(tmp_path, phantom.hu, lambda number: {"AcquisitionNumber": number + 1})

    ((_, scan),) = scored(tmp_path)
    assert whole(scan, phantom.hu)


def test_base_and_vertex_filed_as_two_series_are_both_scored_and_say_that_they_are_parts(tmp_path, phantom):
    ids = write(tmp_path / "base", phantom.hu[:5], SeriesDescription="HEAD base")
    vertex = {"SeriesInstanceUID": generate_uid(), "SeriesDescription": "HEAD vertex"}
    write(tmp_path / "vertex", phantom.hu[5:], first=25.0, **{**ids, **vertex})

    found = scored(tmp_path)

    assert sorted(len(scan.slices) for _, scan in found) == [3, 5]
    assert all("partial_coverage" in scan.quality for _, scan in found)


def test_reformats_that_outnumber_the_axial_slices_do_not_take_their_place(tmp_path, phantom):
    ids = write(tmp_path / "a", phantom.hu)
    coronal = {"ImageOrientationPatient": [1, 0, 0, 0, 0, -1]}
    write(tmp_path / "b", np.repeat(phantom.hu, 3, axis=0), **{**ids, **coronal})

    ((_, scan),) = scored(tmp_path)
    assert whole(scan, phantom.hu)
    assert codes(tmp_path) == ["not_axial"]


def test_a_colour_series_does_not_win_over_the_grey_one(tmp_path, phantom):
    ids = write(tmp_path / "grey", phantom.hu)
    colour = {"SamplesPerPixel": 3, "PhotometricInterpretation": "RGB", "SeriesInstanceUID": generate_uid()}
    write(tmp_path / "colour", np.repeat(phantom.hu, 2, axis=0), **{**ids, **colour})

    ((_, scan),) = scored(tmp_path)
    assert whole(scan, phantom.hu)
    assert codes(tmp_path) == ["secondary_capture"]


# -- geometry that cannot be ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "change",
    [
        lambda _: {"ImagePositionPatient": [0, 0, 0]},
        lambda number: {"ImagePositionPatient": [-0.1, -0.1, 0.005 * number]},
        lambda number: {"ImagePositionPatient": [-10, -10, 0.5 * number]},
        lambda number: {"ImagePositionPatient": None} if number % 2 else {},
    ],
    ids=["all zero", "metres", "centimetres", "some missing"],
)
def test_positions_that_cannot_be_are_not_believed_and_no_slice_is_lost(tmp_path, phantom, change):
    write(tmp_path / "located", phantom.hu, change)
    write(tmp_path / "numbered", phantom.hu, change, SliceLocation=None, PatientID="P2")

    found = scored(tmp_path)

    assert all(whole(scan, phantom.hu) for _, scan in found)
    assert all("positions_not_credible" in scan.quality for _, scan in found)
    assert {one.path: scan.geometry.order_from for one, scan in found} == {"located": "position", "numbered": "frame"}


def test_without_anything_to_order_by_the_scan_fails(tmp_path, phantom):
    same = {"ImagePositionPatient": [0, 0, 0], "InstanceNumber": 1, "SliceLocation": None}
    write(tmp_path, phantom.hu, lambda _: same)

    with pytest.raises(BadGeometry, match="order is not known"):
        scored(tmp_path)


# -- names, folders, companions, copies --------------------------------------------------------------------------------


NAMES = st.tuples(
    st.lists(st.sampled_from(["a", "DIR 1", "x.txt", "IM.LOG", "ü", ".hidden", "9"]), max_size=3),
    st.sampled_from("zyxabc"),
    st.sampled_from(["", ".M", ".txt", ".db", ".dcm"]),
)


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(names=st.lists(NAMES, min_size=8, max_size=8))
def test_names_folders_order_and_the_submitted_level_change_nothing(tmp_path_factory, phantom, names):
    tidy, untidy = tmp_path_factory.mktemp("tidy"), tmp_path_factory.mktemp("untidy")
    write(tidy / "s", phantom.hu)
    for number, (path, (folders, begins, ends)) in enumerate(zip(sorted((tidy / "s").iterdir()), names, strict=True)):
        place = untidy.joinpath("archive", *folders)
        place.mkdir(parents=True, exist_ok=True)
        shutil.copy(path, place / f"{begins}{number}{ends}")
    (untidy / "Thumbs.db").write_bytes(b"\xd0\xcf\x11\xe0" + bytes(600))
    (untidy / "archive" / "._0.dcm").write_bytes(b"\0\5\x16\7\0\2\0\0Mac OS X        " + bytes(60))

    ((expected, _),) = scored(tidy)
    for level in (untidy, untidy / "archive"):
        ((one, scan),) = scored(level)
        assert one.scan_id == expected.scan_id
        assert whole(scan, phantom.hu)


def test_objects_that_are_no_images_are_ignored_with_what_they_are(tmp_path, phantom):
    ids = write(tmp_path / "scan", phantom.hu)
    for number, (sop, modality) in enumerate(
        [("88.22", "SR"), ("88.59", "KO"), ("11.1", "PR"), ("104.1", "DOC"), ("481.3", "RTSTRUCT"), ("66", "OT")]
    ):
        absent = dict.fromkeys(("PixelData", "Rows", "Columns"))
        tags = {**ids, **absent, "SOPClassUID": f"1.2.840.10008.5.1.4.1.1.{sop}", "Modality": modality}
        dataset = slice_dataset(phantom.hu[0], **tags)
        dataset.save_as(tmp_path / "scan" / f"{number}.dcm", enforce_file_format=True)

    found = discover(tmp_path)
    (one,) = list(found)

    assert whole(read_scan(one, found.mount), phantom.hu)
    assert {reason.partition(": ")[2] for _, reason in found.ignored} == {
        "a structured report",
        "key objects",
        "a presentation state",
        "an encapsulated PDF",
        "a structure set",
        "raw data",
    }
