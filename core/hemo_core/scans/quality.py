"""What the pixels themselves say about how far a scan can be trusted."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import TypeVar

import cv2
import numpy as np
import numpy.typing as npt

from hemo_core.scans.scan import Pixels, Quality, Scan

T = TypeVar("T")

_SAMPLED = 9
_BLOCK = 8
_TISSUE_HU = (-20.0, 120.0)
_QUIET_HU = 0.5
_QUIET_SHARE = 0.25
_FEWEST_BLOCKS = 40
_BONE_HU = 1000.0
_FAT_HU = -200.0
_CEILING_SHARE = 0.005
_FLOOR_SHARE = 0.05


def pixel_quality(scan: Scan) -> dict[Quality, str]:
    """Codes that need the pixels, each with one sentence."""
    found: dict[Quality, str] = {}
    ranges = [_range(one.pixels) for one in scan.slices]
    blank = sum(low == high for low, high in ranges)
    if blank:
        found[Quality.ZERO_PIXELS] = f"{blank} of {len(scan.slices)} slices hold nothing but one value."
    if scan.units == "hu":
        clipped = _clipped([one.pixels for one in scan.slices], ranges)
        if clipped is not None:
            found[Quality.CLIPPED_RANGE] = clipped
    if scan.units == "hu" and scan.ref.kind == "dicom":
        ruined = sum(has_block_artefacts(one.pixels) for one in sample(scan.slices, _SAMPLED))
        if ruined:
            found[Quality.BLOCK_ARTEFACTS] = (
                f"In {ruined} of {min(len(scan.slices), _SAMPLED)} slices looked at, tissue has no noise at all, "
                "as after strong lossy compression; the score is not to be relied on."
            )
    return found


def sample(items: Sequence[T], count: int) -> list[T]:
    """At most ``count`` of the items, spread evenly."""
    if len(items) <= count:
        return list(items)
    return [items[round(index * (len(items) - 1) / (count - 1))] for index in range(count)]


def clipped_range(pictures: Sequence[Pixels]) -> str | None:
    """Whether a display window was burnt into Hounsfield units: one sentence, or None.

    Bone and metal reach far above 1000 HU; a plateau of many pixels at a lower maximum was cut there, and so was one
    at a minimum above fat.
    """
    return _clipped(pictures, [_range(one) for one in pictures])


def _range(pixels: Pixels) -> tuple[float, float]:
    """(lowest, highest) value."""
    low, high, _, _ = cv2.minMaxLoc(pixels)
    return low, high


def _clipped(pictures: Sequence[Pixels], ranges: Sequence[tuple[float, float]]) -> str | None:
    """:func:`clipped_range`, given the lowest and highest value of each picture."""
    highest, lowest = max(high for _, high in ranges), min(low for low, _ in ranges)
    if highest == lowest:
        return None
    pixels = sum(one.size for one in pictures)
    if highest < _BONE_HU and sum(np.count_nonzero(one == highest) for one in pictures) > _CEILING_SHARE * pixels:
        return f"The values were cut off at {highest:.0f} HU: a display window was burnt in."
    if lowest > _FAT_HU and sum(np.count_nonzero(one == lowest) for one in pictures) > _FLOOR_SHARE * pixels:
        return f"The values were cut off at {lowest:.0f} HU: a display window was burnt in."
    return None


def has_block_artefacts(pixels: Pixels) -> bool:
    """Whether lossy compression flattened the tissue.

    Every CT slice is noisy: in 8 x 8 pixels of plain tissue, values scatter by 1.2 HU or more around a plane (measured
    on eight scanners). Strong JPEG or JPEG 2000 compression keeps a block's mean and slope and drops the rest.

    Args:
        pixels: ``(rows, columns)`` Hounsfield units.
    """
    blocks = _tissue_blocks(np.asarray(pixels, np.float32))
    if len(blocks) < _FEWEST_BLOCKS:
        return False
    residual = blocks - blocks @ _plane_projection()
    quiet = np.count_nonzero(residual.std(axis=1) < _QUIET_HU)
    return bool(quiet > _QUIET_SHARE * len(blocks))


def _tissue_blocks(pixels: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """The 8 x 8 blocks that are tissue throughout, ``(blocks, 64)``."""
    high, wide = (side // _BLOCK for side in pixels.shape)
    whole = pixels[: high * _BLOCK, : wide * _BLOCK]
    if whole.size == 0:
        return np.zeros((0, _BLOCK * _BLOCK), np.float32)
    tissue = ((whole > _TISSUE_HU[0]) & (whole < _TISSUE_HU[1])).view(np.uint8) * np.uint8(255)
    share = cv2.resize(tissue, (wide, high), interpolation=cv2.INTER_AREA)  # 255 only where every pixel of a block is
    tiles = whole.reshape(high, _BLOCK, wide, _BLOCK).swapaxes(1, 2)
    return np.asarray(tiles[share == np.iinfo(np.uint8).max].reshape(-1, _BLOCK * _BLOCK), np.float32)


@lru_cache(maxsize=1)
def _plane_projection() -> npt.NDArray[np.float32]:
    """Matrix that maps a flattened block to the plane that fits it best."""
    down, across = np.mgrid[:_BLOCK, :_BLOCK]
    basis = np.stack([np.ones(_BLOCK * _BLOCK), down.ravel(), across.ravel()], axis=1)
    return np.asarray(basis @ np.linalg.pinv(basis), np.float32)


class QualityNotes:
    """Codes in order of discovery, each with a note; sentences of a code found twice are joined."""

    def __init__(self) -> None:
        self._notes: dict[str, list[str]] = {}

    def add(self, code: Quality, note: str) -> None:
        """Remember a code and one sentence about it; the same sentence is kept once."""
        notes = self._notes.setdefault(code.value, [])
        if note not in notes:
            notes.append(note)

    @property
    def codes(self) -> tuple[str, ...]:
        """All codes, without duplicates."""
        return tuple(self._notes)

    @property
    def notes(self) -> Mapping[str, str]:
        """The sentences, by code."""
        return {code: " ".join(notes) for code, notes in self._notes.items()}
