"""The gate lets head CT through and keeps photographs, screenshots and noise out."""

from __future__ import annotations

import os
from collections import Counter
from pathlib import Path

import cv2
import numpy as np
import pytest
from not_heads import BRAIN, KINDS, cylinder, photograph
from PIL import Image
from slices import head, read, volume_of, write_series

from hemo_core.errors import Implausible
from hemo_core.phantoms import PhantomSpec, write_png
from hemo_core.scans.plausible import slice_problem
from hemo_core.scans.preprocess import apply_window

EVERY = int(os.environ.get("HEMO_EVERY", "60"))
"""Every how many of the public pictures; 1 takes an hour."""


@pytest.mark.parametrize(("kind", "name"), [(kind, name) for kind, names in KINDS.items() for name in names])
def test_what_is_no_head_is_refused(kind, name):
    assert slice_problem(KINDS[kind][name](), "grey8") is not None


@pytest.mark.parametrize(
    ("kind", "name", "reason"),
    [
        ("photograph", "small", "no dark surround"),
        ("text", "terminal", "noise, text"),
        ("pattern", "black", "blank"),
        ("phantom", "water", "a perfect circle"),
        ("phantom", "head-shaped", "uniform inside"),
        ("phantom", "Shepp-Logan", "drawn"),
        ("montage", "2 x 2", "several objects side by side"),
        ("montage", "5 x 4", "several objects side by side"),
        ("montage", "2 x 1, tight", "several objects that touch"),
        ("chest", "chest in the brain window", "too dark inside"),
        ("magnetic resonance", "T1", "nothing as white as bone"),
        ("abdomen", "pelvis in the brain window", "no ring of bone"),
    ],
)
def test_the_reason_is_the_true_one(kind, name, reason):
    assert reason in str(slice_problem(KINDS[kind][name](), "grey8"))


def test_a_picture_of_a_few_pixels_is_refused():
    assert "too few" in str(slice_problem(np.full((32, 32), 9, np.uint8), "grey8"))


@pytest.mark.parametrize("seed", range(4))
def test_every_slice_of_a_phantom_passes_in_hounsfield_units_and_as_a_picture(seed):
    phantom = head(PhantomSpec(seed, slices=6, rows=128, detail="fast"))
    for plane in phantom.hu.astype(np.float32):
        assert slice_problem(plane, "hu") is None
        assert slice_problem(apply_window(plane, BRAIN), "grey8") is None


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
    with pytest.raises(Implausible, match="Hounsfield units plus 1024: the rescale is missing"):
        read(tmp_path, *write_series(tmp_path, phantom.hu + 1024))


@pytest.mark.parametrize(
    ("volume", "reason"),
    [
        (np.stack([cylinder(128)] * 6), "a perfect circle"),
        (np.random.default_rng(0).normal(-1000, 10, (6, 128, 128)), "blank"),
        (np.where(cylinder(128, radius=0.05) > -500, 0.0, -1000.0)[None].repeat(6, 0), "nearly empty throughout"),
    ],
    ids=["water", "air", "rod"],
)
def test_a_series_of_a_phantom_is_refused(tmp_path, volume, reason):
    with pytest.raises(Implausible, match=reason):
        read(tmp_path, *write_series(tmp_path, volume))


def test_slices_of_a_series_that_are_nearly_empty_do_not_outvote_the_head(tmp_path):
    phantom = head(PhantomSpec(3, slices=4, rows=128, detail="fast"))
    above = np.where(cylinder(128, radius=0.05) > -500, 30, -1000)[None].repeat(8, 0)
    scan = read(tmp_path, *write_series(tmp_path, np.concatenate([phantom.hu, above])))
    assert "implausible" not in scan.quality


def tinted(grey: np.ndarray, white: tuple[int, int, int]) -> np.ndarray:
    """In the colour that white has on a tinted film."""
    return np.rint(grey[..., None] * (np.array(white) / 255)).astype(np.uint8)


@pytest.mark.parametrize("white", [(255, 255, 255), (255, 243, 214), (205, 225, 255)], ids=["grey", "sepia", "blue"])
@pytest.mark.parametrize("form", ["png", "jpg"])
def test_grey_stored_as_colour_and_light_tints_are_read(tmp_path, white, form):
    grey = apply_window(head(PhantomSpec(3, slices=6, rows=128, detail="fast")).hu[3].astype(np.float32), BRAIN)
    Image.fromarray(tinted(grey, white)).save(tmp_path / f"head.{form}", quality=90)
    (page,) = volume_of(read(tmp_path, f"head.{form}", kind="image"))
    assert np.corrcoef(page.ravel(), grey.ravel())[0, 1] > 0.99


def test_a_coloured_picture_is_refused_and_names_the_override(tmp_path):
    grey = apply_window(head(PhantomSpec(3, slices=6, rows=128, detail="fast")).hu[3].astype(np.float32), BRAIN)
    Image.fromarray(cv2.applyColorMap(grey, cv2.COLORMAP_JET)).save(tmp_path / "map.png")
    with pytest.raises(Implausible, match="colour") as caught:
        read(tmp_path, "map.png", kind="image")
    assert "--allow-implausible" in str(caught.value.hint)


def cropped(picture: np.ndarray, share: float) -> np.ndarray:
    """Without so much of the border around the head."""
    rows, columns = np.nonzero(cv2.morphologyEx(picture, cv2.MORPH_OPEN, np.ones((9, 9))) > 24)
    if rows.size == 0:
        return picture
    top, left = round(rows.min() * share), round(columns.min() * share)
    bottom, right = (
        side - round((side - 1 - found.max()) * share)
        for side, found in zip(picture.shape, (rows, columns), strict=True)
    )
    return picture[top:bottom, left:right]


def resized(picture: np.ndarray, side: int) -> np.ndarray:
    how = cv2.INTER_AREA if side < len(picture) else cv2.INTER_LINEAR
    return cv2.resize(picture, (side, side), interpolation=how)


CHANGES = {
    "as it is": lambda picture: picture,
    **{
        f"cropped by {percent} %": lambda picture, p=percent: cropped(picture, p / 100) for percent in (25, 50, 75, 100)
    },
    "25 % border": lambda picture: np.pad(picture, round(0.25 * max(picture.shape))),
    "mirrored": lambda picture: np.ascontiguousarray(picture[:, ::-1]),
    **{f"{side} pixels": lambda picture, s=side: resized(picture, s) for side in (128, 256, 512, 1024)},
}


@pytest.mark.parametrize("change", CHANGES)
def test_public_head_ct_pictures_pass_however_they_were_cut_and_resized(real_data: Path, change, record_property):
    parts = ("ct-ich", "phe-sich", "rsna-slices")
    pictures = [path for part in parts for path in sorted((real_data / part).rglob("*.jpg"))][::EVERY]
    seen = Counter(
        slice_problem(CHANGES[change](cv2.imread(str(path), cv2.IMREAD_GRAYSCALE)), "grey8") for path in pictures
    )
    record_property(change, f"{seen[None]} of {len(pictures)} pass; {dict(seen)}")
    assert seen[None] >= 0.99 * len(pictures)
