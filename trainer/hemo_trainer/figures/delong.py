"""DeLong's variance of an AUC, by midranks in O(n log n) (Sun and Xu 2014, doi:10.1109/LSP.2014.2337313)."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from hemo_trainer.figures.intervals import LEVEL, Float64, Interval

_FEWEST = 2


def delong(labels: npt.NDArray[np.int64], scores: Float64) -> Interval | None:
    """AUC with DeLong's normal interval (DeLong 1988, doi:10.2307/2531595), cut at 0 and 1.

    It takes the items as independent: use it for exams of different patients, not for slices.

    Args:
        labels: ``(n,)``, 1 or 0.
        scores: ``(n,)``, greater means more likely 1.

    Returns:
        None with fewer than two items of either label.
    """
    from scipy.stats import norm

    placed = placements(labels, scores)
    if placed is None:
        return None
    of_positives, of_negatives = placed
    value = float(of_positives.mean())
    variance = of_positives.var(ddof=1) / len(of_positives) + of_negatives.var(ddof=1) / len(of_negatives)
    half = float(norm.ppf((1 + LEVEL) / 2) * np.sqrt(variance))
    return Interval(value, max(0.0, value - half), min(1.0, value + half))


def placements(labels: npt.NDArray[np.int64], scores: Float64) -> tuple[Float64, Float64] | None:
    """DeLong's structural components V10 and V01; the mean of either is the AUC.

    Returns:
        For each positive the share of negatives below it, and for each negative the share of positives above it, ties
        counting half. None with fewer than two items of either label.
    """
    from scipy.stats import rankdata

    positive = labels == 1
    many, few = int(positive.sum()), int((~positive).sum())
    if min(many, few) < _FEWEST:
        return None
    overall = rankdata(scores)
    below = (overall[positive] - rankdata(scores[positive])) / few
    above = 1 - (overall[~positive] - rankdata(scores[~positive])) / many
    return np.asarray(below, np.float64), np.asarray(above, np.float64)
