"""Intervals: Wilson's for a share, and a bootstrap that draws patients, because their slices are not independent."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

Names: TypeAlias = npt.NDArray[np.str_]
Mask: TypeAlias = npt.NDArray[np.bool_]
Float64: TypeAlias = npt.NDArray[np.float64]

LEVEL = 0.95
_FEWEST_PATIENTS = 2


@dataclass(frozen=True, slots=True)
class Interval:
    """A figure with its 95 % interval."""

    value: float
    low: float
    high: float

    def to_json(self) -> dict[str, float]:
        """JSON-ready, four decimals."""
        return {name: round(getattr(self, name), 4) for name in ("value", "low", "high")}

    def __str__(self) -> str:
        return f"{self.value:.3f} [{self.low:.3f}–{self.high:.3f}]"


@dataclass(frozen=True, slots=True)
class Resampling:
    """A bootstrap's settings: the same ones draw the same patients."""

    resamples: int = 2000
    seed: int = 7


@dataclass(frozen=True, slots=True, eq=False)
class Draws:
    """Resamples of patients, drawn with replacement, each with all of its items (Field and Welsh 2007, JRSS-B 69:369).

    scipy.stats.bootstrap draws single items, or paired ones, and knows no clusters; hence this.

    Attributes:
        owner: ``(n,)``, the number of each item's patient.
        times: ``(resamples, patients)``, how often a resample holds each patient.
    """

    owner: npt.NDArray[np.int64]
    times: Float64

    @classmethod
    def of(cls, patients: Names, settings: Resampling) -> Draws:
        """As many patients a resample as there are.

        Args:
            patients: ``(n,)``, the patient of each item.
            settings: number of resamples, and their seed.
        """
        known, owner = np.unique(patients, return_inverse=True)
        even = np.full(len(known), 1 / len(known))
        times = np.random.default_rng(settings.seed).multinomial(len(known), even, size=settings.resamples)
        return cls(np.asarray(owner, np.int64), times.astype(np.float64))

    @property
    def patients(self) -> int:
        """Number of patients."""
        return int(self.times.shape[1])

    def means(self, values: npt.NDArray[Any], chosen: Mask) -> Float64:
        """Mean of some items' values in each resample, NaN where it holds none of them.

        Args:
            values, chosen: ``(n,)``.
        """
        sums = self.times @ np.bincount(self.owner, values * chosen, self.patients)
        counts = self.times @ np.bincount(self.owner, chosen, self.patients)
        with np.errstate(invalid="ignore"):
            return np.asarray(sums / counts, np.float64)


def percentile(value: float | None, draws: Draws, resampled: Float64) -> Interval | None:
    """A figure with the percentile interval of its resamples.

    Args:
        value: of the whole; None where it does not exist.
        draws: where the resamples come from.
        resampled: ``(resamples,)``, NaN where it does not exist; such resamples are left out.

    Returns:
        None without a value, or with a single patient.
    """
    found = resampled[~np.isnan(resampled)]
    if value is None or draws.patients < _FEWEST_PATIENTS or not len(found):
        return None
    tail = 50 * (1 - LEVEL)
    low, high = np.percentile(found, [tail, 100 - tail])
    return Interval(value, float(low), float(high))


def wilson(hits: int, count: int) -> Interval:
    """Wilson's score interval of a share (Wilson 1927, doi:10.1080/01621459.1927.10502953).

    Args:
        hits, count: ``count`` is at least 1.
    """
    from scipy.stats import binomtest

    found = binomtest(hits, count).proportion_ci(LEVEL, method="wilson")
    return Interval(hits / count, float(found.low), float(found.high))


def to_json(interval: Interval | None) -> dict[str, Any] | None:
    """JSON-ready, or None."""
    return None if interval is None else interval.to_json()


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
