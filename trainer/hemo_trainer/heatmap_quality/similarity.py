"""How alike two heat maps are."""

from __future__ import annotations

import cv2
import numpy as np
import numpy.typing as npt

Float = npt.NDArray[np.float32]

_SIGMA, _REACH = 1.5, 5
_C1, _C2 = 0.01**2, 0.03**2  # for a range of 1


def spearman(one: Float, other: Float) -> float:
    """Rank correlation of the cells of two maps ``(h, w)``, ties at their mean rank.

    A map that is the same everywhere has no ranks: 1 if both maps are equal, else 0.
    """
    from scipy.stats import rankdata

    if np.array_equal(one, other):
        return 1.0
    first, second = rankdata(one.ravel()), rankdata(other.ravel())
    first, second = first - first.mean(), second - second.mean()
    spread = float(np.sqrt((first @ first) * (second @ second)))
    return float(first @ second) / spread if spread > 0 else 0.0


def ssim(one: Float, other: Float) -> float:
    """Mean structural similarity of two maps ``(H, W)`` of range 1 (Wang et al. 2004, doi:10.1109/TIP.2003.819861).

    With the paper's 11×11 Gaussian window of standard deviation 1.5, where it fits into the picture.
    """
    x, y = np.asarray(one, np.float64), np.asarray(other, np.float64)
    mean_x, mean_y = _blurred(x), _blurred(y)
    var_x = _blurred(x * x) - mean_x * mean_x
    var_y = _blurred(y * y) - mean_y * mean_y
    shared = _blurred(x * y) - mean_x * mean_y
    top = (2 * mean_x * mean_y + _C1) * (2 * shared + _C2)
    index = top / ((mean_x * mean_x + mean_y * mean_y + _C1) * (var_x + var_y + _C2))
    return float(index[_REACH:-_REACH, _REACH:-_REACH].mean())


def _blurred(values: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    window = 2 * _REACH + 1
    return np.asarray(cv2.GaussianBlur(values, (window, window), _SIGMA), np.float64)
