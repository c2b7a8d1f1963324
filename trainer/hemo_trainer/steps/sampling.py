"""What a training step is made of: sub-series and single slices, balanced over sources and classes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from hemo_trainer.config import BatchConfig
from hemo_trainer.datasets.record import SliceRecord

Rows = tuple[int, ...]


@dataclass(frozen=True, slots=True)
class SourcePool:
    """Rows of one data set that training may draw.

    Attributes:
        series: rows of each series with more than one slice, in slice order.
        positive_series: indices into ``series`` of those with a positive slice.
        positives, negatives: rows of slices with and without the finding; those in doubt are in neither.
    """

    series: tuple[Rows, ...]
    positive_series: tuple[int, ...]
    positives: Rows
    negatives: Rows


class Sampler:
    """Draws the rows of one step. Chance comes from the generator passed in, so a step can be drawn again.

    Args:
        records: all records; rows are indices into it.
        train_rows: the rows of the training side.
        shares: relative weight of each source.
        config: how many of what.

    Attributes:
        config: as given.
    """

    def __init__(
        self,
        records: Sequence[SliceRecord],
        train_rows: Sequence[int],
        shares: Mapping[str, float],
        config: BatchConfig,
    ) -> None:
        self._records = records
        self.config = config
        names = sorted({records[row].source for row in train_rows})
        self._pools = {
            name: _pool(records, [row for row in train_rows if records[row].source == name]) for name in names
        }
        self._shares = shares

    def draw(self, rng: np.random.Generator) -> list[Rows]:
        """Sequences of rows for one step: sub-series first, then single slices."""
        config = self.config
        sequences: list[Rows] = []
        with_series = [name for name, pool in self._pools.items() if pool.series]
        if with_series and config.series_slices:
            length = int(rng.choice(config.lengths))
            drawn = config.series_slices // length
            sequences += [self._sub_series(self._source(with_series, rng), length, rng) for _ in range(drawn)]
        names = list(self._pools)
        return sequences + [(self._single(self._source(names, rng), rng),) for _ in range(config.singles)]

    def _source(self, names: Sequence[str], rng: np.random.Generator) -> SourcePool:
        weights = np.array([self._shares.get(name, 1.0) for name in names])
        return self._pools[names[int(rng.choice(len(names), p=weights / weights.sum()))]]

    def _single(self, pool: SourcePool, rng: np.random.Generator) -> int:
        wants_positive = rng.random() < self.config.positive_share
        rows = (pool.positives if wants_positive else pool.negatives) or pool.positives or pool.negatives
        return rows[int(rng.integers(len(rows)))]

    def _sub_series(self, pool: SourcePool, length: int, rng: np.random.Generator) -> Rows:
        wants_positive = bool(pool.positive_series) and rng.random() < self.config.positive_series_share
        choices: Sequence[int] = pool.positive_series if wants_positive else range(len(pool.series))
        series = pool.series[choices[int(rng.integers(len(choices)))]]
        last = max(0, len(series) - length)
        first = int(rng.integers(last + 1))
        if wants_positive:
            inside = [place for place, row in enumerate(series) if self._records[row].label]
            centre = inside[int(rng.integers(len(inside)))]
            first = int(np.clip(centre - rng.integers(length), 0, last))
        return series[first : first + length]


def _pool(records: Sequence[SliceRecord], rows: Sequence[int]) -> SourcePool:
    by_series: dict[str, list[int]] = {}
    for row in rows:
        if not records[row].single:
            by_series.setdefault(records[row].series_key, []).append(row)
    series = tuple(
        tuple(sorted(series_rows, key=lambda row: records[row].order))
        for series_rows in by_series.values()
        if len(series_rows) > 1
    )
    positive = (any(records[row].label for row in one) for one in series)
    return SourcePool(
        series=series,
        positive_series=tuple(index for index, is_positive in enumerate(positive) if is_positive),
        positives=tuple(row for row in rows if records[row].label == 1),
        negatives=tuple(row for row in rows if records[row].label == 0),
    )
