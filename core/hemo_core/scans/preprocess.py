"""Scan → model input. The one implementation, used by trainer and worker.

window → 8 bits → head crop → resize. Hounsfield slices are rounded to 8 bits right after the window, so a series and
its slices saved as pictures in that window become the same model input, bit for bit.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeAlias

import cv2
import numpy as np
import numpy.typing as npt

from hemo_core.bundle.contract import InputContract, Window
from hemo_core.scans.scan import HEAD_MM, Quality, Scan

Grey = npt.NDArray[np.uint8]
Float = npt.NDArray[np.float32]
Groups: TypeAlias = tuple[tuple[int, ...], ...]

VERSION = 2
"""Changes with the output of :func:`prepare`: pixels that another version prepared are not reused."""

_HALF_A_STEP = 0.5
_GAP = 1.5
_MASK_SIDE = 128
_HEAD_GREY = 24
_SMALLEST_HEAD = 0.35


@dataclass(frozen=True, slots=True, eq=False)
class Prepared:
    """Model input of one scan.

    Attributes:
        pixels: uint8 ``(slices, H, W, C)``.
        groups: for each model slice the indices of the source slices averaged into it.
        boxes: for each model slice its crop ``(x0, y0, side)`` in source pixels; may reach outside the picture.
        quality: codes that preparing added.
    """

    pixels: Grey
    groups: Groups
    boxes: tuple[tuple[int, int, int], ...]
    quality: tuple[str, ...]


def prepare(scan: Scan, contract: InputContract, groups: Groups | None = None) -> Prepared:
    """Turn a scan into model input.

    Args:
        scan: slices of ``(rows, columns)``, HU or grey.
        contract: the model's input contract.
        groups: indices of the slices that make up each model slice; None: as :func:`slice_groups` says.
    """
    if groups is None:
        positions = [one.position_mm for one in scan.slices]
        spacing = scan.geometry.slice_spacing_mm
        groups = slice_groups(len(scan.slices), spacing, contract.slice_spacing_mm, positions)
    pictures, boxes = [], []
    for group in groups:
        channels = windowed(scan, group, contract.windows)
        box = crop_box(channels[..., 0], contract)
        pictures.append(crop_resize(channels, box, contract.height, contract.width))
        boxes.append(box)
    averaged = any(len(group) > 1 for group in groups)
    codes = {Quality.THIN_SLICES_AVERAGED: averaged, Quality.IMPORTED_MODEL: contract.imported}
    quality = tuple(code.value for code, holds in codes.items() if holds)
    return Prepared(np.stack(pictures), groups, tuple(boxes), quality)


def to_input(pixels: Grey) -> Float:
    """uint8 grey → float32 in [0, 1], same shape: what the CNN's input tensor holds."""
    return np.asarray(pixels, np.float32) / np.float32(255.0)


def apply_window(pixels: Float, window: Window) -> Grey:
    """Linear clamp of Hounsfield units to 8-bit grey, same shape (DICOM PS3.3 C.11.2.1.3.2, LINEAR_EXACT)."""
    low = window.level - window.width / 2
    grey = np.asarray(pixels, np.float32) - np.float32(low)
    grey *= np.float32(255.0 / window.width)  # in place: fresh megabytes cost more than the arithmetic
    np.clip(grey, 0, 255, out=grey)
    return np.asarray(np.rint(grey, out=grey), np.uint8)


def slice_groups(
    count: int, spacing_mm: float | None, target_mm: float, positions: Sequence[float | None] = ()
) -> Groups:
    """Neighbouring slices that are averaged to about ``target_mm``.

    Groups of one where the spacing is unknown. No group reaches over a gap or over thicker slices, and there are never
    fewer groups than slices of ``target_mm`` in a head, if there are as many slices: a spacing that is wrong after all
    must not melt a head into a few pictures.

    Args:
        spacing_mm: usual distance between neighbours.
        positions: of all slices in mm, growing; where any is None, the slices are evenly spaced.
    """
    per_group = 1 if not spacing_mm or count == 1 else max(1, round(target_mm / spacing_mm))
    per_group = min(per_group, max(1, int(count * target_mm / HEAD_MM)))
    known = [position for position in positions if position is not None]
    if per_group == 1 or spacing_mm is None or len(known) < count:
        return tuple(tuple(range(first, min(first + per_group, count))) for first in range(0, count, per_group))
    widest = (per_group - _HALF_A_STEP) * spacing_mm
    groups = [[0]]
    for index in range(1, count):
        fits = len(groups[-1]) < per_group and known[index] - known[groups[-1][0]] < widest
        step = known[index] - known[index - 1]
        if fits and step < _GAP * spacing_mm:
            groups[-1].append(index)
        else:
            groups.append([index])
    return tuple(tuple(group) for group in groups)


def windowed(scan: Scan, group: tuple[int, ...], windows: tuple[Window, ...]) -> Grey:
    """One model slice, the mean of the source slices of ``group``, at source size: uint8 ``(rows, columns, C)``."""
    members = [scan.slices[index].pixels for index in group]
    whole = np.stack([np.asarray(member, np.float32) for member in members]) if len(members) > 1 else None
    mean = members[0] if whole is None else np.mean(whole, axis=0, dtype=np.float32)
    if scan.units == "grey8":
        grey = np.rint(mean).astype(np.uint8) if mean.dtype != np.uint8 else mean
        return np.repeat(np.asarray(grey, np.uint8)[..., None], len(windows), axis=-1)
    greys = [apply_window(np.asarray(mean, np.float32), window) for window in windows]
    return greys[0][..., None] if len(greys) == 1 else np.asarray(cv2.merge(greys), np.uint8)


def crop_box(grey: Grey, contract: InputContract) -> tuple[int, int, int]:
    """What the model sees of a windowed picture ``(rows, columns)``: ``(x0, y0, side)`` as the contract's crop says."""
    return whole_box(grey) if contract.crop == "whole" else head_box(grey, contract.crop_margin)


def whole_box(grey: Grey) -> tuple[int, int, int]:
    """The centred square ``(x0, y0, side)`` over the whole of a picture ``(rows, columns)``."""
    rows, columns = grey.shape
    side = max(rows, columns)
    return (columns - side) // 2, (rows - side) // 2, side


def head_box(grey: Grey, margin: float) -> tuple[int, int, int]:
    """The square around the head in a windowed picture.

    Args:
        grey: uint8 ``(rows, columns)``.
        margin: border as a fraction of the head's larger side.

    Returns:
        ``(x0, y0, side)`` in pixels; the centred square over the whole picture if no head stands out.
    """
    rows, columns = grey.shape
    scale = max(rows, columns) / _MASK_SIDE
    size = (max(1, round(columns / scale)), max(1, round(rows / scale)))
    small = cv2.resize(grey, size, interpolation=cv2.INTER_AREA)
    mask = (small > _HEAD_GREY).astype(np.uint8)
    mask = cv2.morphologyEx(mask, cv2.MORPH_OPEN, np.ones((5, 5), np.uint8))
    count, _, stats, _ = cv2.connectedComponentsWithStats(mask, connectivity=4)
    whole = max(rows, columns)
    if count == 1:  # the background is a component, too
        return whole_box(grey)
    left, top, wide, high, _ = stats[1 + int(np.argmax(stats[1:, cv2.CC_STAT_AREA]))]
    side = max(max(wide, high) * scale * (1 + 2 * margin), _SMALLEST_HEAD * whole)
    side_px = round(min(side, whole))
    x0 = round((left + wide / 2) * scale - side_px / 2)
    y0 = round((top + high / 2) * scale - side_px / 2)
    return x0, y0, side_px


def crop_resize(picture: Grey, box: tuple[int, int, int], height: int, width: int) -> Grey:
    """Cut ``box`` out of uint8 ``(rows, columns, C)``, black outside, and resize to ``(height, width, C)``."""
    x0, y0, side = box
    rows, columns, channels = picture.shape
    top, left = max(y0, 0), max(x0, 0)
    bottom, right = min(y0 + side, rows), min(x0 + side, columns)
    cut = picture[top:bottom, left:right]
    if cut.shape[:2] != (side, side):
        cut = np.zeros((side, side, channels), np.uint8)
        cut[top - y0 : bottom - y0, left - x0 : right - x0] = picture[top:bottom, left:right]
    interpolation = cv2.INTER_AREA if side >= max(height, width) else cv2.INTER_LINEAR
    resized = cv2.resize(cut, (width, height), interpolation=interpolation)
    return np.asarray(resized, np.uint8).reshape(height, width, channels)
