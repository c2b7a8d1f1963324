"""Stored values → Hounsfield units, with what had to be repaired on the way."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from hemo_core.errors import DecodeFailed, NonFinite
from hemo_core.scans.readers.dicom_header import Header, frame_groups, group_item
from hemo_core.scans.readers.dicom_pixels import Stored
from hemo_core.scans.scan import Quality

if TYPE_CHECKING:
    from pydicom.dataset import Dataset

Hounsfield = npt.NDArray[np.float32]

AIR_HU = -1000.0
LOWEST_HU = -1024.0
_PADDING_BELOW = -200.0
_PADDING_ABOVE = 3000.0
_LARGEST = 1e9
_WRAP_BITS = 12
_WRAP_INTERCEPT = -100.0
_WRAP_FROM = 4096 + int(LOWEST_HU)
_WRAP_SHARE = 0.01


def to_hounsfield(dataset: Dataset, header: Header, frame: int, stored: Stored) -> tuple[Hounsfield, tuple[str, ...]]:
    """Modality rescale (PS3.3 C.11.1.1.2), padding to air, 12-bit wrap undone.

    MONOCHROME1 changes nothing here: it says how to display values (PS3.3 C.7.6.3.1.2), and Hounsfield units are
    what they are however they are shown. It is noted all the same.

    Args:
        stored: ``(rows, columns)`` stored values of this frame.

    Returns:
        float32 Hounsfield units of the same shape, at least -1024, and quality codes.

    Raises:
        NonFinite: the rescale gives no finite numbers.
        DecodeFailed: its slope is 0.
    """
    slope, intercept = _rescale(dataset, frame)
    if not (abs(slope) < _LARGEST and abs(intercept) < _LARGEST):  # also refuses NaN
        raise NonFinite(f"rescale slope {slope} and intercept {intercept} give no finite values", path=header.path)
    if slope == 0:
        raise DecodeFailed("the rescale slope is 0, every value would be the same", path=header.path)
    codes = [Quality.MONOCHROME1.value] if header.photometric == "MONOCHROME1" else []
    padding = _padding(dataset, stored)
    if slope > 0 and _wrapped(dataset, stored, intercept):
        codes.append(Quality.WRAPPED_12_BIT.value)
        stored = np.where(stored >= _WRAP_FROM, stored.astype(np.int32) - (1 << _WRAP_BITS), stored)
    units = stored.astype(np.float32)
    units *= np.float32(slope)  # in place: fresh megabytes cost more than the arithmetic
    units += np.float32(intercept)
    for low, high in padding:
        if not _PADDING_BELOW < low * slope + intercept < _PADDING_ABOVE:
            units[(stored >= low) & (stored <= high)] = AIR_HU
    units[units < LOWEST_HU] = AIR_HU  # outside the reconstruction circle; no tissue is lighter than air
    return units, tuple(codes)


def _rescale(dataset: Dataset, frame: int) -> tuple[float, float]:
    """(slope, intercept) of one frame: its own, the shared ones (PS3.3 C.7.6.16.2.9), or the object's."""
    for groups in frame_groups(dataset, frame):
        item = group_item(groups, "PixelValueTransformationSequence")
        if item is not None:
            return _value(item, "RescaleSlope", 1.0), _value(item, "RescaleIntercept", 0.0)
    return _value(dataset, "RescaleSlope", 1.0), _value(dataset, "RescaleIntercept", 0.0)


def _value(dataset: Dataset, keyword: str, default: float) -> float:
    """A decimal string as a number; ``default`` where it is absent, NaN where it is malformed."""
    value: Any = dataset.get(keyword)
    if value is None or value == "":
        return default
    try:
        return float(value)
    except (TypeError, ValueError):
        return math.nan


def _padding(dataset: Dataset, stored: Stored) -> tuple[tuple[int, int], ...]:
    """The range of stored values that stand for "nothing was measured here" (PS3.3 C.7.5.1.1.2), if there is one."""
    first, last = dataset.get("PixelPaddingValue"), dataset.get("PixelPaddingRangeLimit")
    if not isinstance(first, int):
        return ()
    ends = [_signed(value, stored.dtype) for value in (first, last if isinstance(last, int) else first)]
    return ((min(ends), max(ends)),)


def _signed(value: int, dtype: np.dtype[Any]) -> int:
    """Padding of signed pixels is sometimes written with an unsigned representation."""
    bits = dtype.itemsize * 8
    return value - (1 << bits) if dtype.kind == "i" and value >= 1 << (bits - 1) else value


def _wrapped(dataset: Dataset, stored: Stored, intercept: float) -> bool:
    """Unsigned 12-bit values without an offset: air, stored as a negative number, came out near the top of the range.

    Metal can reach that range too, but never fills one pixel in a hundred; air does.
    """
    if stored.dtype.kind != "u" or dataset.get("BitsStored") != _WRAP_BITS or intercept <= _WRAP_INTERCEPT:
        return False
    return bool(np.count_nonzero(stored >= _WRAP_FROM) > _WRAP_SHARE * stored.size)
