"""Laying a heat map over the slice it explains."""

from __future__ import annotations

from functools import lru_cache

import cv2
import numpy as np
import numpy.typing as npt

Grey = npt.NDArray[np.uint8]
Colour = npt.NDArray[np.uint8]
Float = npt.NDArray[np.float32]
Box = tuple[int, int, int]

_STRONGEST = 0.62  # opacity at the peak: the tissue below stays visible
_CONTOUR = 0.5
_PALETTE_START = 0.22  # the darkest part of the palette would look like a shadow on the slice


def heat_on_source(heatmap: Float, box: Box, rows: int, columns: int, scale: tuple[float, float]) -> Float:
    """Carry a heat map back onto the source slice.

    The map's ``(h, w)`` cells tile the crop ``box``, so it is resized bilinearly to the box and pasted where the box
    lies; outside the box, which the model never saw, heat is zero.

    Args:
        heatmap: float32 ``(h, w)`` between 0 and 1.
        box: crop ``(x0, y0, side)`` in source pixels; may reach outside.
        rows, columns: size of the wanted picture.
        scale: wanted pixels for one source pixel, (vertical, horizontal).

    Returns:
        float32 ``(rows, columns)`` between 0 and 1.
    """
    x0, y0, side = box
    top, left = round(y0 * scale[0]), round(x0 * scale[1])
    high, wide = max(1, round(side * scale[0])), max(1, round(side * scale[1]))
    large = cv2.resize(np.asarray(heatmap, np.float32), (wide, high), interpolation=cv2.INTER_LINEAR)
    result = np.zeros((rows, columns), np.float32)
    first_row, first_column = max(top, 0), max(left, 0)
    last_row, last_column = min(top + high, rows), min(left + wide, columns)
    if last_row > first_row and last_column > first_column:
        result[first_row:last_row, first_column:last_column] = large[
            first_row - top : last_row - top, first_column - left : last_column - left
        ]
    return np.clip(result, 0, 1)


def blend(grey: Grey, heat: Float) -> Colour:
    """Colour the warm parts of a picture.

    Opacity grows with heat and is zero where heat is, so cold tissue keeps its own grey. A thin line marks half of the
    peak.

    Args:
        grey: uint8 ``(rows, columns)``.
        heat: float32 ``(rows, columns)`` between 0 and 1.

    Returns:
        uint8 ``(rows, columns, 3)``, BGR.
    """
    level = np.rint(heat * 255).astype(np.uint8)
    colours = cv2.applyColorMap(level, palette())
    opacity = np.asarray(cv2.LUT(level, _opacity()), np.float32)
    picture = cv2.cvtColor(grey, cv2.COLOR_GRAY2BGR)
    mixed = cv2.blendLinear(picture, colours, 1 - opacity, opacity)
    edges, _ = cv2.findContours((heat >= _CONTOUR).astype(np.uint8), cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
    cv2.drawContours(mixed, edges, -1, (235, 235, 235), 1, cv2.LINE_AA)
    return np.asarray(mixed, np.uint8)


@lru_cache(maxsize=1)
def palette() -> Colour:
    """The colour of each heat level: uint8 ``(256, 1, 3)``, BGR.

    Inferno (van der Walt and Smith): lightness rises evenly, also for readers who do not tell red from green.
    """
    steps = np.rint(np.linspace(_PALETTE_START * 255, 255, 256)).astype(np.uint8)
    return np.asarray(cv2.applyColorMap(steps[:, None], cv2.COLORMAP_INFERNO), np.uint8)


@lru_cache(maxsize=1)
def _opacity() -> Float:
    """Opacity of each heat level: float32 ``(1, 256)``, a smooth step up to the strongest."""
    level = np.linspace(0, 1, 256, dtype=np.float32)
    eased = np.clip((level - 0.08) / 0.55, 0, 1)
    return np.asarray(_STRONGEST * eased * eased * (3 - 2 * eased), np.float32)[None]
