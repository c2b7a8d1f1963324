"""Means of figures that come a few from each patient, with intervals that know it."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from hemo_trainer.metrics import Interval

_RESAMPLES = 2000
_SEED = 7


def clustered_mean(values: npt.ArrayLike, patients: Sequence[str]) -> Interval | None:
    """The mean with its 95 % percentile bootstrap over patients; None without a value.

    Args:
        values: ``(n,)``.
        patients: ``(n,)``, whose value it is. Patients are drawn, each with all its values.
    """
    numbers = np.asarray(values, np.float64)
    if numbers.size == 0:
        return None
    _, member = np.unique(np.asarray(patients), return_inverse=True)
    sums = np.bincount(member, weights=numbers)
    counts = np.bincount(member)
    picks = np.random.default_rng(_SEED).integers(len(sums), size=(_RESAMPLES, len(sums)))
    means = sums[picks].sum(axis=1) / counts[picks].sum(axis=1)
    low, high = np.percentile(means, [2.5, 97.5])
    return Interval(float(numbers.mean()), float(low), float(high))
