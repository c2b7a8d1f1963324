"""Training steps as arrays: flat slices, and where each stands in which sequence."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from hemo_trainer.config import TrainConfig
from hemo_trainer.datasets.record import SliceRecord
from hemo_trainer.steps.augment import augment_sequence
from hemo_trainer.steps.lesions import paint_sequence
from hemo_trainer.steps.sampling import Rows, Sampler

Arrays = dict[str, npt.NDArray[Any]]
Step = tuple[Arrays, Arrays, Arrays]


@dataclass(frozen=True, slots=True, eq=False)
class _Sequence:
    """Slices ``(t, H, W, C)``, their labels and certainties ``(t,)`` and subtypes ``(t, 5)``, −1 where unknown."""

    slices: npt.NDArray[np.float32]
    labels: npt.NDArray[np.float32]
    certain: npt.NDArray[np.float32]
    subtypes: npt.NDArray[np.float32]


class StepBuilder:
    """Builds step ``number`` of a run; the same seed and number give the same arrays.

    Args:
        pixels: uint8 ``(records, H, W, C)``.
        records: labels of the rows of ``pixels``.
        sampler: draws rows.
        config: the run's; its ``batch``, ``augment``, ``lesions``, smoothing and seed count here.
        side: pixels of a smaller picture to train on; H by default.
    """

    def __init__(
        self,
        pixels: npt.NDArray[np.uint8],
        records: Sequence[SliceRecord],
        sampler: Sampler,
        config: TrainConfig,
        *,
        side: int | None = None,
    ) -> None:
        self._pixels, self._records, self._sampler = pixels, records, sampler
        self._config, self._side = config, side
        batch = sampler.config
        self._longest = max(batch.lengths)
        self._sequences = batch.series_slices // min(batch.lengths) + batch.singles

    def build(self, number: int) -> Step:
        """Inputs, targets and sample weights of one step.

        Inputs: ``slices`` float32 ``(n, H, W, C)``; ``index`` int32 ``(S, T)``, the slice at each place of each
        sequence; ``mask`` bool ``(S, T)``; ``place`` int32 ``(n,)``, the flat place of each slice.
        Targets: ``slice`` and ``aux`` ``(n, 1)``, ``subtype`` ``(n, 5)`` with −1 for unknown, ``scan`` ``(S, 1)``.
        """
        rng = np.random.default_rng((self._config.seed, number))
        sequences = [self._sequence(rows, rng) for rows in self._sampler.draw(rng)]
        slices = np.concatenate([sequence.slices for sequence in sequences])
        lengths = [len(sequence.labels) for sequence in sequences]
        index, mask, place = _layout(lengths, self._sequences, self._longest)
        inputs = {"slices": slices, "index": index, "mask": mask, "place": place}
        return inputs, *self._targets(sequences)

    def _sequence(self, rows: Rows, rng: np.random.Generator) -> _Sequence:
        """Pixels and labels of one sequence: perhaps reversed, perhaps with a made-up bleed, then augmented."""
        augment = self._config.augment
        rows = rows[::-1] if rng.random() < augment.reverse else rows
        members = [self._records[row] for row in rows]
        labels = np.array([member.label for member in members], np.float32)
        certain = np.array([member.certain for member in members], np.float32)
        subtypes = np.array([[-1 if one is None else one for one in member.subtypes] for member in members], np.float32)
        pixels = self._pixels[list(rows)]
        if not labels.any() and certain.all():
            pixels, bleeding, kind = paint_sequence(pixels, self._config.lesions, rng)
            if kind is not None:
                labels[bleeding], subtypes[bleeding, kind] = 1, 1
        return _Sequence(augment_sequence(pixels, augment, rng, self._side), labels, certain, subtypes)

    def _targets(self, sequences: Sequence[_Sequence]) -> tuple[Arrays, Arrays]:
        label = self._smooth(np.concatenate([sequence.labels for sequence in sequences])[:, None])
        certain = np.concatenate([sequence.certain for sequence in sequences])
        subtype = np.concatenate([sequence.subtypes for sequence in sequences])
        scan = np.zeros((self._sequences, 1), np.float32)
        scan_weight = np.zeros(self._sequences, np.float32)
        for number, sequence in enumerate(sequences):
            positive = bool((sequence.labels * sequence.certain).any())
            scan[number] = positive
            scan_weight[number] = positive or bool(sequence.certain.all())
        sure = _mean_one(certain)
        weights = {"slice": sure, "aux": sure, "subtype": sure, "scan": _mean_one(scan_weight)}
        known_subtype = np.where(subtype < 0, subtype, self._smooth(subtype))
        return {"slice": label, "aux": label, "subtype": known_subtype, "scan": self._smooth(scan)}, weights

    def _smooth(self, label: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
        smoothing = self._config.fit.label_smoothing
        return label * np.float32(1 - smoothing) + np.float32(smoothing / 2)


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
