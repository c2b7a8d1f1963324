"""Statistics on ranks, in numpy: the exporter brings neither scipy nor scikit-learn along."""

from __future__ import annotations

from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

Doubles: TypeAlias = npt.NDArray[np.float64]


def midranks(values: npt.NDArray[Any]) -> Doubles:
    """Ranks from 1 of ``(n,)``; equal values share the mean of their ranks."""
    _, place, counts = np.unique(values, return_inverse=True, return_counts=True)
    last = np.cumsum(counts)
    means = last - (counts - 1) / 2
    return np.asarray(means[place.reshape(-1)], np.float64)


def auc(positive: npt.NDArray[np.bool_], scores: npt.NDArray[Any]) -> float | None:
    """Area under the ROC curve (Mann and Whitney 1947); None where one class is missing.

    Args:
        positive: ``(n,)``.
        scores: ``(n,)``, ties count one half.
    """
    hits = int(np.count_nonzero(positive))
    misses = positive.size - hits
    if not hits or not misses:
        return None
    above = float(midranks(scores)[positive].sum()) - hits * (hits + 1) / 2
    return above / (hits * misses)


def rank_correlation(left: npt.NDArray[Any], right: npt.NDArray[Any]) -> float:
    """Spearman's rank correlation of two arrays of one shape.

    1 where both are constant (two empty heat maps agree), 0 where only one is.
    """
    ranks = [midranks(values.reshape(-1)) for values in (left, right)]
    centred = [values - values.mean() for values in ranks]
    lengths = [float(np.sqrt((values**2).sum())) for values in centred]
    if min(lengths) == 0:
        return float(max(lengths) == 0)
    return float(np.clip((centred[0] * centred[1]).sum() / (lengths[0] * lengths[1]), -1, 1))
