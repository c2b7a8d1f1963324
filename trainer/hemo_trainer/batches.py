"""Training steps as arrays: flat slices, and where each stands in which sequence."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from hemo_trainer.augment import augment_sequence
from hemo_trainer.config import AugmentConfig, BatchConfig
from hemo_trainer.datasets.record import SliceRecord
from hemo_trainer.sampling import Rows, Sampler

Step = tuple[dict[str, npt.NDArray[Any]], dict[str, npt.NDArray[Any]], dict[str, npt.NDArray[Any]]]


class StepBuilder:
    """Builds step ``number`` of a run; the same seed and number give the same arrays.

    Args:
        pixels: uint8 ``(records, H, W, C)``.
        records: labels of the rows of ``pixels``.
        sampler: draws rows.
        batch, augment: settings.
        smoothing: label smoothing.
        seed: of the run.
    """

    def __init__(
        self,
        pixels: npt.NDArray[np.uint8],
        records: Sequence[SliceRecord],
        sampler: Sampler,
        *,
        batch: BatchConfig,
        augment: AugmentConfig,
        smoothing: float,
        seed: int,
    ) -> None:
        self._pixels, self._records, self._sampler = pixels, records, sampler
        self._batch, self._augment, self._smoothing, self._seed = batch, augment, smoothing, seed
        self._longest = max(batch.lengths)
        self._sequences = batch.series_slices // min(batch.lengths) + batch.singles

    def build(self, number: int) -> Step:
        """Inputs, targets and sample weights of one step.

        Inputs: ``slices`` float32 ``(n, H, W, C)``; ``index`` int32 ``(S, T)``, the slice at each place of each
        sequence; ``mask`` bool ``(S, T)``; ``place`` int32 ``(n,)``, the flat place of each slice.
        Targets: ``slice`` and ``aux`` ``(n, 1)``, ``scan`` ``(S, 1)``.
        """
        rng = np.random.default_rng((self._seed, number))
        sequences = [self._maybe_reversed(rows, rng) for rows in self._sampler.draw(rng)]
        slices = np.concatenate([augment_sequence(self._pixels[list(rows)], self._augment, rng) for rows in sequences])
        index, mask, place = _layout([len(rows) for rows in sequences], self._sequences, self._longest)
        inputs = {"slices": slices, "index": index, "mask": mask, "place": place}
        return inputs, *self._targets(sequences)

    def _maybe_reversed(self, rows: Rows, rng: np.random.Generator) -> Rows:
        return rows[::-1] if rng.random() < self._augment.reverse else rows

    def _targets(self, sequences: Sequence[Rows]) -> tuple[dict[str, npt.NDArray[Any]], dict[str, npt.NDArray[Any]]]:
        flat = [self._records[row] for rows in sequences for row in rows]
        label = self._smooth(np.array([[record.label] for record in flat], np.float32))
        certain = np.array([record.certain for record in flat], np.float32)
        scan = np.zeros((self._sequences, 1), np.float32)
        scan_weight = np.zeros(self._sequences, np.float32)
        for number, rows in enumerate(sequences):
            members = [self._records[row] for row in rows]
            positive = any(member.label and member.certain for member in members)
            scan[number] = positive
            scan_weight[number] = positive or all(member.certain for member in members)
        weights = {"slice": _mean_one(certain), "aux": _mean_one(certain), "scan": _mean_one(scan_weight)}
        return {"slice": label, "aux": label, "scan": self._smooth(scan)}, weights

    def _smooth(self, label: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
        return label * np.float32(1 - self._smoothing) + np.float32(self._smoothing / 2)


def _layout(
    lengths: Sequence[int], sequences: int, longest: int
) -> tuple[npt.NDArray[np.int32], npt.NDArray[np.bool_], npt.NDArray[np.int32]]:
    """``index``, ``mask`` ``(sequences, longest)`` and ``place`` ``(sum(lengths),)``; see :meth:`StepBuilder.build`."""
    index = np.zeros((sequences, longest), np.int32)
    mask = np.zeros((sequences, longest), np.bool_)
    place = np.empty(sum(lengths), np.int32)
    first = 0
    for number, length in enumerate(lengths):
        index[number, :length] = np.arange(first, first + length)
        mask[number, :length] = True
        place[first : first + length] = number * longest + np.arange(length)
        first += length
    return index, mask, place


def _mean_one(weights: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """Scale so that the mean is one: the loss then averages over what counts."""
    total = float(weights.sum())
    return weights * np.float32(len(weights) / total) if total else weights
