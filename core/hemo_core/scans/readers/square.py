"""Pixels that are not square → square ones: a head that is squeezed to half its height is no head the model knows."""

from __future__ import annotations

from typing import cast

import cv2

from hemo_core.errors import BadGeometry
from hemo_core.scans.readers.safe_open import check_size
from hemo_core.scans.scan import Pixels

RESAMPLED_NOTE = "The pixels were not square; the slices were resampled so that the head keeps its shape."
_SQUARE = 0.02
_MOST_UNEQUAL = 3.0


def is_square(spacing: tuple[float, float] | None) -> bool:
    """Whether a (row, column) spacing is that of square pixels, within 2 %; an unknown one counts as square."""
    return spacing is None or abs(spacing[0] / spacing[1] - 1.0) <= _SQUARE


def squared(pixels: Pixels, spacing: tuple[float, float], path: str) -> Pixels:
    """Resample ``(rows, columns)`` linearly to the finer of the two spacings.

    Args:
        spacing: (row, column), in any unit, both above zero.

    Raises:
        BadGeometry: one spacing is more than three times the other: no axial slice of a head CT is stored so.
        TooLarge: the result would be.
    """
    finer = min(spacing)
    if max(spacing) > _MOST_UNEQUAL * finer:
        text = f"the pixels are {spacing[0]:.3g} by {spacing[1]:.3g}: not those of an axial slice, or a wrong spacing"
        raise BadGeometry(text, path=path, hint="correct the pixel spacing, or reformat the scan to axial slices")
    rows, columns = (round(side * step / finer) for side, step in zip(pixels.shape, spacing, strict=True))
    check_size(rows, columns, 1, path)
    return cast("Pixels", cv2.resize(pixels, (columns, rows), interpolation=cv2.INTER_LINEAR))
