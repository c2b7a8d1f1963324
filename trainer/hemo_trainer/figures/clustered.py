"""Means of figures that come a few from each patient, with intervals that know it."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from hemo_trainer.figures.intervals import Draws, Interval, Resampling, percentile


def clustered_mean(values: npt.ArrayLike, patients: Sequence[str]) -> Interval | None:
    """The mean with its 95 % bootstrap interval over patients; None with fewer than two patients.

    Args:
        values: ``(n,)``.
        patients: ``(n,)``, whose value it is.
    """
    numbers = np.asarray(values, np.float64)
    if numbers.size == 0:
        return None
    draws = Draws.of(np.asarray(patients), Resampling())
    return percentile(float(numbers.mean()), draws, draws.means(numbers, np.ones(numbers.shape, np.bool_)))


def mean_json(values: npt.ArrayLike, patients: Sequence[str]) -> dict[str, float | None] | None:
    """The mean as ``value``, ``low`` and ``high``, JSON-ready: no interval from one patient, None without a value."""
    numbers = np.asarray(values, np.float64)
    found = clustered_mean(numbers, patients)
    if found is not None:
        return {**found.to_json()}
    return {"value": round(float(numbers.mean()), 4), "low": None, "high": None} if numbers.size else None
