"""Grey that was stored as colour: the same in every channel, or in a light tint as films and screens have."""

from __future__ import annotations

import cv2
import numpy as np
import numpy.typing as npt

_SPREAD = 24
_TINT = 72
_SHARE = 0.01


def is_colour(pixels: npt.NDArray[np.uint8]) -> bool:
    """Whether a picture is more than grey in a light tint.

    A tint is the same for all pixels of one grey level, and leaves the channels of each pixel within 72 of each other;
    beside it, channels may differ by 24 as JPEG makes them. A hundredth of the pixels may be of any colour: a scale, an
    arrow, a line of text.

    Args:
        pixels: ``(rows, columns, 3)``.
    """
    low, high = pixels.min(axis=-1), pixels.max(axis=-1)
    allowed = _SHARE * low.size
    if np.count_nonzero(high - low > _SPREAD) <= allowed:
        return False
    if np.count_nonzero(high - low > _TINT) > allowed:
        return True
    grey = cv2.cvtColor(pixels, cv2.COLOR_RGB2GRAY)
    off = np.zeros(grey.shape, bool)
    for channel in cv2.split(pixels):
        tint = _by_level(grey, channel)[grey]
        off |= np.abs(channel - tint) > _SPREAD
    return bool(np.count_nonzero(off) > allowed)


def _by_level(grey: npt.NDArray[np.uint8], channel: npt.NDArray[np.uint8]) -> npt.NDArray[np.float32]:
    """Mean of the channel at each of the 256 grey levels."""
    count = np.bincount(grey.ravel(), minlength=256)
    total = np.bincount(grey.ravel(), channel.ravel(), minlength=256)
    return np.asarray(total / np.maximum(count, 1), np.float32)
