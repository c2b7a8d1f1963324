from __future__ import annotations

import time
from dataclasses import replace

import cv2
import numpy as np
import pytest

from hemo_core.bundle.contract import InputContract
from hemo_core.inference.heat import blend, heat_on_source, palette
from hemo_core.phantoms import PhantomSpec, make_phantom
from hemo_core.scans.preprocess import prepare
from hemo_core.scans.scan import Geometry, Scan, ScanRef, Slice
from hemo_worker.outputs import overlay
from hemo_worker.outputs.overlay import overlay_png


def decoded(data: bytes):
    return cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR)


def panels(picture):
    """Left and right panel without caption line and side marks' columns."""
    top, size = overlay._HEADER, overlay._PANEL
    left, right = overlay._LEFT_PANEL, overlay._RIGHT_PANEL
    rows = slice(top + 30, top + size)
    return picture[rows, left + 24 : left + size - 24], picture[rows, right + 24 : right + size - 24]


@pytest.fixture(scope="module")
def phantom_scan() -> Scan:
    phantom = make_phantom(
        PhantomSpec(seed=3, bleed="intraparenchymal", slices=6, spacing_mm=18, rows=256, detail="fast")
    )
    files = tuple(f"s/{at}.dcm" for at in range(6))
    ref = ScanRef("00112233aabbccdd", "scans", "s", files, "dicom")
    slices = tuple(
        Slice(hu.astype(np.float32), name, None, position)
        for hu, name, position in zip(phantom.hu, files, phantom.table_mm, strict=True)
    )
    spacing = phantom.spec.pixel_spacing_mm
    return Scan(ref, slices, "hu", Geometry("position", (spacing, spacing), 18.0, 0.0), ("phantom",))


def spot(row: int, column: int) -> np.ndarray:
    heat = np.zeros((10, 10), np.float32)
    heat[row, column] = 1
    return heat


def test_heat_lands_where_its_cell_lies_on_the_source():
    heat = heat_on_source(spot(2, 7), (40, 20, 100), 200, 180, (1.0, 1.0))
    row, column = np.unravel_index(np.argmax(heat), heat.shape)
    assert (row, column) == (20 + 25 - 1, 40 + 75 - 1) or (abs(row - 44.5) <= 1 and abs(column - 114.5) <= 1)
    assert heat[:20].max() == heat[120:].max() == heat[:, :40].max() == heat[:, 140:].max() == 0


def test_a_crop_that_reaches_outside_the_picture_keeps_its_place():
    whole = heat_on_source(spot(5, 5), (-30, -50, 200), 120, 140, (1.0, 1.0))
    row, column = np.unravel_index(np.argmax(whole), whole.shape)
    assert abs(row - (110 - 50 - 0.5)) <= 1
    assert abs(column - (110 - 30 - 0.5)) <= 1
    assert heat_on_source(spot(5, 5), (500, 500, 50), 120, 140, (1.0, 1.0)).max() == 0


def test_cold_tissue_keeps_its_grey_and_the_palette_grows_lighter():
    grey = np.full((50, 50), 90, np.uint8)
    heat = np.zeros((50, 50), np.float32)
    heat[20:30, 20:30] = 1
    mixed = blend(grey, heat)
    assert (mixed[:15] == 90).all()
    assert (mixed[25, 25] != 90).any()
    lightness = cv2.cvtColor(palette(), cv2.COLOR_BGR2Lab)[:, 0, 0].astype(int)
    assert (np.diff(lightness) >= -1).all()
    assert lightness[-1] - lightness[0] > 150


def test_the_original_stands_unchanged_beside_the_overlay(phantom_scan):
    prepared = prepare(phantom_scan, InputContract())
    left, right = panels(decoded(overlay_png(phantom_scan, prepared, 3, spot(4, 6), 0.8, threshold=0.4)))
    assert (left[..., 0] == left[..., 1]).all()
    assert (left[..., 1] == left[..., 2]).all()
    coloured = (right != left).any(axis=-1)
    assert 0.002 < coloured.mean() < 0.2


def test_overlay_bytes_are_the_same_every_time(phantom_scan):
    prepared = prepare(phantom_scan, InputContract())
    first = overlay_png(phantom_scan, prepared, 3, spot(4, 6), 0.8, threshold=0.4)
    overlay_png(phantom_scan, prepared, 1, spot(1, 1), 0.1)
    assert overlay_png(phantom_scan, prepared, 3, spot(4, 6), 0.8, threshold=0.4) == first


def test_an_empty_heat_map_draws_no_colour(phantom_scan):
    heat = np.zeros((10, 10), np.float32)
    prepared = prepare(phantom_scan, InputContract())
    left, right = panels(decoded(overlay_png(phantom_scan, prepared, 3, heat, 0.8)))
    assert (left == right).all()


def written(monkeypatch, scan: Scan, **options) -> list[str]:
    """The texts that are put on the picture."""
    texts: list[str] = []
    write = overlay._text

    def note(canvas, text, *rest):
        texts.append(text)
        return write(canvas, text, *rest)

    overlay._blank.cache_clear()
    with monkeypatch.context() as spy:
        spy.setattr(overlay, "_text", note)
        overlay_png(scan, prepare(scan, InputContract()), 2, spot(4, 6), 0.8734, **options)
    overlay._blank.cache_clear()
    return texts


def test_the_picture_says_what_it_is(phantom_scan, monkeypatch, forbidden_words):
    texts = written(monkeypatch, phantom_scan, threshold=0.41)
    for text in ("Slice 3 of 6", "PHANTOM", "0.873", "threshold 0.410", "R", "L", "scan 00112233aabbccdd"):
        assert text in texts
    assert "Research use only, not a medical device" in texts
    assert "window 40/120 HU" in texts
    assert not forbidden_words(" ".join(texts))


@pytest.mark.parametrize(
    "change",
    [
        {"quality": ("not_axial",)},
        {"quality": ("unknown_spacing",)},
        {"slices": "unplaced"},
    ],
)
def test_sides_are_marked_only_where_they_are_known(phantom_scan, monkeypatch, change):
    if "slices" in change:
        change = {"slices": tuple(replace(item, position_mm=None) for item in phantom_scan.slices)}
    texts = written(monkeypatch, replace(phantom_scan, **change))
    assert "R" not in texts
    assert "L" not in texts


def test_grey_pictures_of_any_shape_are_drawn():
    for rows, columns in ((40, 90), (700, 300), (1, 1)):
        ref = ScanRef("00112233aabbccdd", "scans", "p.png", ("p.png",), "image")
        pixels = np.full((rows, columns), 120, np.uint8)
        scan = Scan(ref, (Slice(pixels, "p.png"),), "grey8", Geometry("single"), ("unknown_window",))
        picture = decoded(overlay_png(scan, prepare(scan, InputContract()), 0, spot(4, 6), 0.5))
        assert picture.shape == (overlay._HEIGHT, overlay._WIDTH, 3)


def test_averaged_slices_say_so(phantom_scan, monkeypatch):
    unplaced = tuple(replace(one, position_mm=None) for one in phantom_scan.slices)
    thin = replace(phantom_scan, slices=unplaced * 6, geometry=replace(phantom_scan.geometry, slice_spacing_mm=2.5))
    assert any("mean of input slices 5-6" in text for text in written(monkeypatch, thin))


def test_an_overlay_takes_milliseconds(phantom_scan):
    prepared = prepare(phantom_scan, InputContract())
    overlay_png(phantom_scan, prepared, 3, spot(4, 6), 0.8)
    durations = []
    for _ in range(15):
        start = time.process_time()
        overlay_png(phantom_scan, prepared, 3, spot(4, 6), 0.8)
        durations.append(time.process_time() - start)
    assert min(durations) < 0.05
