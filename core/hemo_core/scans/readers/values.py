"""What numbers without a header to explain them are: Hounsfield units, shifted ones, a display window, or neither."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from hemo_core.scans.quality import sample
from hemo_core.scans.readers.dicom_hounsfield import AIR_HU, LOWEST_HU

Values = npt.NDArray[np.float32]

SHIFTED_NOTE = "Stored as Hounsfield units plus {offset}, as its air and brain show; the offset was taken off."
_OFFSETS = (1000, 1024, 8192, 32768)
LOWEST_SHIFTED = -124.0
"""Values that go lower are not shifted by 1000 or more: air would have come out above this."""
_PAGES = 9
_SIDE = 256
_BRAIN_HU = 33.0  # where the median of soft tissue lies in a head
_SOFT_HU = (-20.0, 100.0)
_AIR_HU = (-1100.0, -900.0)
_BETWEEN_HU = (-800.0, -250.0)
_DENSE_HU = -200.0
_BONE_HU = (200.0, 32767.0)
_LEAST_AIR = 0.01
_LEAST_SOFT = 0.3
_MOST_BETWEEN = 0.15
_MOST_OFF_HU = 25.0
_CLEARLY_HU = 8.0
_GREYS = 256
_WRAPPED_FROM = 30000.0  # 16-bit values above this were negative, whatever the intercept
_PLATEAU = 0.002
_LEAST_SPREAD = 8.0


def hounsfield_offset(pages: Sequence[npt.NDArray[Any]]) -> int | None:
    """The offset that makes values Hounsfield units of a head: 1000, 1024, 8192 or 32768; None if none does.

    There must be air, little between air and fat, bone, and soft tissue around the 33 HU of brain: 1000 and 1024 differ
    by less than the window is wide, so the tissue decides between them, and none is taken where it does not.
    """
    values = _sampled(pages)
    fits = [(abs(middle - _BRAIN_HU), offset) for offset in _OFFSETS if (middle := _soft(values - offset)) is not None]
    (off, offset), (runner_up, _) = sorted([*fits, (np.inf, 0), (np.inf, 0)])[:2]
    return offset if off <= _MOST_OFF_HU and runner_up - off >= _CLEARLY_HU else None


def without_offset(page: Values, offset: float) -> Values:
    """Hounsfield units of shifted values; what lies below any air is padding and becomes air."""
    units = page - np.float32(offset)  # a copy: what was read stays as it is
    units[units < LOWEST_HU] = AIR_HU
    return units


def is_windowed(pages: Sequence[npt.NDArray[Any]]) -> bool:
    """Whether values of more than 8 bits are a picture in a display window, which stretching does not flatten.

    Either they have no more than 256 levels, or they end in a plateau (bone, cut off) and tissue fills the range below.
    """
    values = _sampled(pages)
    low, high = float(values.min()), float(values.max())
    if len(np.unique(values)) <= _GREYS:
        return True
    grey = (values - low) * (255.0 / (high - low))
    tissue = grey[(grey > 2) & (grey < 253)]  # noqa: PLR2004 - neither black nor white
    if np.count_nonzero(values == high) < _PLATEAU * values.size or not tissue.size:
        return False
    return bool(np.subtract(*np.percentile(tissue, (75, 25))) >= _LEAST_SPREAD)


def why_no_hounsfield(pages: Sequence[npt.NDArray[Any]]) -> str | None:
    """What is wrong with values that should be Hounsfield units of a head, where that can be told; else None."""
    values = _sampled(pages)
    low, high = float(values.min()), float(values.max())
    if low == high:
        return None
    if (offset := hounsfield_offset(pages)) is not None:
        return f"the values are Hounsfield units plus {offset}: the rescale is missing or wrong"
    wrapped = np.where(values > _WRAPPED_FROM, values - (1 << 16), values)
    if high > _WRAPPED_FROM and _any_fit(wrapped):
        return "the values are signed ones that the header calls unsigned"
    if low == 0 and np.count_nonzero(values == 0) > values.size // 5 and 0 < high <= 255:  # noqa: PLR2004 - 8 bits
        return "the values run from 0 to 255 at most: grey levels of a display window, no Hounsfield units"
    if np.count_nonzero(values == 0) > values.size // 5:
        return "the surround is 0 HU where air should be: a masked volume, or one without its rescale"
    return None


def _any_fit(values: Values) -> bool:
    return any(_soft(values - offset) is not None for offset in (0, *_OFFSETS))


def _soft(units: Values) -> float | None:
    """Median of the soft tissue, if these are Hounsfield units of a head; else None."""
    padding = units < _AIR_HU[0]
    if np.any(padding) and len(np.unique(units[padding])) > 1:  # one value may stand for "outside the circle"
        return None
    air = np.count_nonzero((units >= _AIR_HU[0]) & (units <= _AIR_HU[1]))
    between = np.count_nonzero((units > _BETWEEN_HU[0]) & (units < _BETWEEN_HU[1]))
    dense = np.count_nonzero(units > _DENSE_HU)
    soft = units[(units > _SOFT_HU[0]) & (units < _SOFT_HU[1])]
    head = (
        air >= _LEAST_AIR * units.size
        and between <= _MOST_BETWEEN * units.size
        and soft.size >= max(_LEAST_SOFT * dense, 1)
        and _BONE_HU[0] <= float(units.max()) <= _BONE_HU[1]
    )
    return float(np.median(soft)) if head else None


def _sampled(pages: Sequence[npt.NDArray[Any]]) -> Values:
    """Some values of some pages, finite ones: enough to judge by."""
    few = [page[:: max(1, page.shape[0] // _SIDE), :: max(1, page.shape[1] // _SIDE)] for page in sample(pages, _PAGES)]
    values = np.concatenate([one.ravel() for one in few]).astype(np.float32)
    return values[np.isfinite(values)]
