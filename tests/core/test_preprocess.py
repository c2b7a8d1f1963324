import hashlib
from pathlib import Path

import numpy as np
import pytest

from hemo_core.bundle.contract import InputContract, Window
from hemo_core.phantoms import PhantomSpec, make_phantom
from hemo_core.scans.discover import discover
from hemo_core.scans.preprocess import VERSION, apply_window, crop_resize, head_box, prepare, slice_groups, to_input
from hemo_core.scans.readers import read_scan
from hemo_core.scans.scan import Geometry, Scan, ScanRef, Slice

BRAIN = Window(40, 120)


def scan_of(planes, units, spacing_mm=None) -> Scan:
    ref = ScanRef(scan_id="0", root="scans", path="a", files=("a",), kind="dicom")
    slices = tuple(Slice(plane, "a") for plane in planes)
    return Scan(ref, slices, units, Geometry(order_from="position", slice_spacing_mm=spacing_mm))


def as_pictures(scan: Scan) -> Scan:
    greys = [apply_window(np.asarray(one.pixels, np.float32), BRAIN) for one in scan.slices]
    return Scan(scan.ref, tuple(Slice(grey, "a") for grey in greys), "grey8", scan.geometry)


def test_the_window_maps_its_edges_to_black_and_white_and_rounds_to_the_nearest_grey():
    hounsfield = np.array([[-1000, -20, -19.9, 40.3, 99.9, 100, 3000]], np.float32)
    assert apply_window(hounsfield, BRAIN).tolist() == [[0, 0, 0, 128, 255, 255, 255]]
    assert hounsfield[0, 0] == -1000
    every_grey = np.arange(256, dtype=np.float32)[None] * 120 / 255 - 20
    assert apply_window(every_grey, BRAIN).tolist() == [list(range(256))]


def test_a_series_and_its_slices_saved_as_pictures_are_the_same_model_input():
    hu = make_phantom(PhantomSpec(3, bleed="subdural", slices=6, rows=256, detail="fast")).hu.astype(np.float32)
    series = scan_of(hu, "hu")
    from_hu, from_pictures = prepare(series, InputContract()), prepare(as_pictures(series), InputContract())
    assert np.array_equal(from_hu.pixels, from_pictures.pixels)
    assert from_hu.boxes == from_pictures.boxes
    assert from_hu.pixels.shape == (6, 160, 160, 1)


@pytest.mark.parametrize("name", ["rsna_ID_fff502d5", "ge_hispeed"])
def test_a_real_series_and_its_pictures_are_the_same_model_input(real_data: Path, name: str):
    folder = real_data / "dicom" / name
    (ref,) = discover(folder)
    series = read_scan(ref, folder)
    from_hu, from_pictures = prepare(series, InputContract()), prepare(as_pictures(series), InputContract())
    assert np.array_equal(from_hu.pixels, from_pictures.pixels)


@pytest.mark.parametrize(
    ("count", "spacing", "sizes"),
    [
        (3, None, [1, 1, 1]),
        (3, 5.0, [1, 1, 1]),
        (41, 2.5, [2] * 20 + [1]),
        (1, 0.6, [1]),
        (161, 0.625, [8] * 20 + [1]),
        (24, 1.0, [1] * 24),  # 24 mm of a head, or a spacing that is wrong
        (60, 1.0, [3] * 20),
    ],
)
def test_thin_slices_are_grouped_to_about_the_training_spacing(count, spacing, sizes):
    groups = slice_groups(count, spacing, 5.0)
    assert [len(group) for group in groups] == sizes
    assert [index for group in groups for index in group] == list(range(count))
    if spacing is not None:
        placed = [spacing * index - 70 for index in range(count)]
        assert slice_groups(count, spacing, 5.0, placed) == groups


def test_no_average_reaches_over_a_gap_or_over_thick_slices():
    thin, thick = [1.25 * index for index in range(60)], [76.0 + 5 * index for index in range(12)]
    groups = slice_groups(72, 1.25, 5.0, [*thin, *thick])
    assert [len(group) for group in groups] == [4] * 15 + [1] * 12
    holed = [place for place in (1.25 * index for index in range(96)) if not 41 < place < 59]
    for group in slice_groups(len(holed), 1.25, 5.0, holed):
        assert holed[group[-1]] - holed[group[0]] <= 3.75


def test_thin_slices_are_averaged_in_hounsfield_units_before_the_window():
    planes = [np.full((64, 64), value, np.float32) for value in (20, 140)]  # averaged after the window: 70 HU, not 80
    prepared = prepare(scan_of(planes, "hu", spacing_mm=2.5), InputContract(slice_spacing_mm=90.0))
    assert prepared.groups == ((0, 1),)
    assert set(np.unique(prepared.pixels)) == {round((80 + 20) * 255 / 120)}
    assert prepared.quality == ("thin_slices_averaged",)


def test_each_window_is_a_channel_and_a_picture_fills_them_all():
    contract = InputContract(height=32, width=32, windows=(BRAIN, Window(80, 200)))
    plane = np.full((64, 64), 70, np.float32)
    assert prepare(scan_of([plane], "hu"), contract).pixels[0, 5, 5].tolist() == [191, 115]
    assert prepare(scan_of([np.full((64, 64), 9, np.uint8)], "grey8"), contract).pixels[0, 5, 5].tolist() == [9, 9]


@pytest.mark.parametrize(("left", "top"), [(100, 120), (30, 40), (240, 200)])
def test_the_crop_follows_the_head_and_ignores_thin_things_beside_it(left, top):
    picture = np.zeros((512, 512), np.uint8)
    picture[top : top + 240, left : left + 200] = 120
    picture[500:502] = 255  # the table
    x0, y0, side = head_box(picture, margin=0.05)
    assert side == pytest.approx(240 * 1.1, abs=8)
    assert x0 + side / 2 == pytest.approx(left + 100, abs=4)
    assert y0 + side / 2 == pytest.approx(top + 120, abs=4)


def test_an_empty_slice_keeps_the_whole_picture_and_a_small_head_is_not_blown_up():
    assert head_box(np.zeros((200, 300), np.uint8), 0.05) == (0, -50, 300)
    speck = np.zeros((300, 300), np.uint8)
    speck[140:170, 140:170] = 200
    assert head_box(speck, 0.05)[2] == round(0.35 * 300)


def test_a_crop_that_reaches_outside_is_black_there():
    picture = np.full((10, 10, 1), 200, np.uint8)
    cut = crop_resize(picture, (-5, -5, 20), 20, 20)
    assert cut[:5].max() == cut[:, :5].max() == cut[15:].max() == cut[:, 15:].max() == 0
    assert (cut[5:15, 5:15] == 200).all()


def test_the_input_tensor_is_grey_over_255():
    pixels = np.array([[[[0], [51], [255]]]], np.uint8)
    assert to_input(pixels).ravel().tolist() == pytest.approx([0.0, 0.2, 1.0])
    assert to_input(pixels).dtype == np.float32


def test_the_whole_picture_is_what_a_model_without_a_head_crop_sees():
    hu = make_phantom(PhantomSpec(3, slices=1, rows=96, detail="fast")).hu.astype(np.float32)[:, :, :80]
    prepared = prepare(scan_of(hu, "hu"), InputContract(64, 64, crop="whole"))
    assert prepared.boxes == ((-8, 0, 96),)
    padded = np.pad(apply_window(hu[0], BRAIN), ((0, 0), (8, 8)))[..., None]
    assert np.array_equal(prepared.pixels[0], crop_resize(padded, (0, 0, 96), 64, 64))


def test_each_scan_of_an_imported_model_says_that_nothing_is_known_of_its_accuracy():
    scan = scan_of(np.zeros((1, 8, 8), np.float32), "hu")
    assert prepare(scan, InputContract(imported=True)).quality == ("imported_model",)
    assert prepare(scan, InputContract()).quality == ()


def test_what_is_prepared_changes_only_with_the_version():
    """Another digest? Then pixels that trainers have kept are stale: count VERSION up, and note its digest here."""
    rows, columns = np.mgrid[:200, :180]
    distance = ((rows - 100) / 80) ** 2 + ((columns - 90) / 60) ** 2
    noise = np.random.default_rng(0).integers(-9, 9, distance.shape)
    planes = [np.where(distance < 1, 20 + 40 * distance + 7 * z + noise, -1000.0).astype(np.float32) for z in range(6)]
    contracts = {
        InputContract(slice_spacing_mm=30.0): 2.5,
        InputContract(96, 80, (BRAIN, Window(80, 200)), crop="whole"): None,
    }
    digest = hashlib.sha256()
    for contract, spacing_mm in contracts.items():
        prepared = prepare(scan_of(planes, "hu", spacing_mm), contract)
        digest.update(prepared.pixels.tobytes() + repr((prepared.groups, prepared.boxes)).encode())
    assert {VERSION: digest.hexdigest()} == {2: "7fdbc848cb3fc2dfbeec96aea8248e582701812b46448093f154abbb117e70ff"}
