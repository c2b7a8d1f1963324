"""The gate lets head CT through and keeps photographs, screenshots and noise out."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image
from slices import head, read, volume_of, write_series

from hemo_core.bundle.contract import Window
from hemo_core.errors import Implausible
from hemo_core.phantoms import PhantomSpec, write_png
from hemo_core.scans.plausible import slice_problem
from hemo_core.scans.preprocess import apply_window

SIDE = 256


def photograph(side: int = SIDE) -> np.ndarray:
    """Soft shapes over the whole picture, as in a landscape."""
    coarse = np.random.default_rng(4).integers(0, 256, (9, 9), dtype=np.uint8)
    return cv2.resize(coarse, (side, side), interpolation=cv2.INTER_CUBIC)


def text(ground: int, ink: int) -> np.ndarray:
    page = np.full((600, 800), ground, np.uint8)
    for line in range(30, 600, 22):
        cv2.putText(page, "The quick brown fox jumps over the lazy dog", (10, line), 0, 0.6, ink, 1, cv2.LINE_AA)
    return page


@pytest.mark.parametrize(
    ("picture", "reason"),
    [
        (photograph(), "no dark surround"),
        (photograph(100), "no dark surround"),
        (np.random.default_rng(0).integers(0, 256, (SIDE, SIDE), dtype=np.uint8), "no dark surround"),
        (np.random.default_rng(0).binomial(1, 0.2, (SIDE, SIDE)).astype(np.uint8) * 100, "noise"),
        (text(255, 0), "no dark surround"),
        (text(0, 255), "noise, text"),
        (np.zeros((SIDE, SIDE), np.uint8), "blank"),
        (np.full((SIDE, SIDE), 255, np.uint8), "blank"),
        (np.full((32, 32), 9, np.uint8), "too few"),
        (np.tile(np.arange(SIDE, dtype=np.uint8), (SIDE, 1)), "no dark surround"),
        (np.pad(np.full((100, 100), 90, np.uint8), 80), "no single roundish object"),
    ],
    ids=["photo", "small-photo", "noise", "sparse-noise", "page", "terminal", "black", "white", "icon", "ramp", "box"],
)
def test_what_is_no_head_is_refused_with_the_reason(picture, reason):
    assert reason in str(slice_problem(picture, "grey8"))


@pytest.mark.parametrize("seed", range(4))
def test_every_slice_of_a_phantom_passes_in_hounsfield_units_and_as_a_picture(seed):
    phantom = head(PhantomSpec(seed, slices=6, rows=128, detail="fast"))
    for plane in phantom.hu.astype(np.float32):
        assert slice_problem(plane, "hu") is None
        assert slice_problem(apply_window(plane, Window(40, 120)), "grey8") is None


def test_slices_above_the_head_fail_no_series_but_a_folder_of_other_things_does(tmp_path):
    phantom = head(PhantomSpec(3, slices=6, rows=128, detail="fast"))
    files = write_png(phantom, tmp_path / "scan")
    for number in range(3):
        Image.new("L", (128, 128)).save(tmp_path / "scan" / f"z{number}.png")
    black = sorted((tmp_path / "scan").glob("z*.png"))
    assert "zero_pixels" in read(tmp_path, *files, *black, kind="image").quality
    Image.fromarray(photograph(128)).save(tmp_path / "photo.png")
    photo = tmp_path / "photo.png"
    with pytest.raises(Implausible, match="7 of 10 slices looked at: no dark surround"):
        read(tmp_path, *files[:3], *[photo] * 7, kind="image")


def test_what_is_refused_can_be_scored_on_request_and_says_so(tmp_path):
    Image.fromarray(photograph()).save(tmp_path / "photo.png")
    with pytest.raises(Implausible, match="does not look like a head CT: no dark surround"):
        read(tmp_path, "photo.png", kind="image")
    scan = read(tmp_path, "photo.png", kind="image", allow_implausible=True)
    assert "implausible" in scan.quality
    np.testing.assert_array_equal(volume_of(scan)[0], photograph())


def test_hounsfield_units_with_a_wrong_offset_are_refused(tmp_path):
    phantom = head(PhantomSpec(3, slices=4, rows=96, detail="fast"))
    with pytest.raises(Implausible, match="no dark surround"):
        read(tmp_path, *write_series(tmp_path, phantom.hu + 1024))


def test_public_head_ct_pictures_pass(real_data: Path):
    refused: Counter[str] = Counter()
    pictures = [
        path for part in ("ct-ich", "phe-sich", "rsna-slices") for path in sorted((real_data / part).rglob("*.jpg"))
    ]
    chosen = pictures[::7]
    for path in chosen:
        problem = slice_problem(cv2.imread(str(path), cv2.IMREAD_GRAYSCALE), "grey8")
        refused[problem or "passed"] += 1
    not_blank = len(chosen) - refused["the picture is blank"]
    assert refused["passed"] >= 0.995 * len(chosen)
    assert refused["passed"] >= 0.999 * not_blank
