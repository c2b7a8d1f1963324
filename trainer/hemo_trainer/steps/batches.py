"""Training steps as arrays: flat slices, and where each stands in which sequence."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from hemo_trainer.config import TrainConfig
from hemo_trainer.datasets.record import SliceRecord, other_findings
from hemo_trainer.steps.augment import augment_sequence
from hemo_trainer.steps.lesions import paint_sequence
from hemo_trainer.steps.sampling import Rows, Sampler

Arrays = dict[str, npt.NDArray[Any]]
Step = tuple[Arrays, Arrays, Arrays]


@dataclass(frozen=True, slots=True, eq=False)
class _Sequence:
    """Slices ``(t, H, W, C)``; labels ``(t, L)`` of the findings and ``(t, M)`` of the others, −1 where unknown."""

    slices: npt.NDArray[np.float32]
    labels: npt.NDArray[np.float32]
    others: npt.NDArray[np.float32]


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
        self._others = tuple(name for name in other_findings(records) if name not in config.findings)
        batch = sampler.config
        self._longest = max(batch.lengths)
        self._sequences = batch.series_slices // min(batch.lengths) + batch.singles

    def build(self, number: int) -> Step:
        """Inputs, targets and sample weights of one step.

        Inputs: ``slices`` float32 ``(n, H, W, C)``; ``index`` int32 ``(S, T)``, the slice at each place of each
        sequence; ``mask`` bool ``(S, T)``; ``place`` int32 ``(n,)``, the flat place of each slice.
        Targets: ``slice`` and ``aux`` ``(n, L)``, ``subtype`` ``(n, M)`` of findings that only the data tells of (where
        there are any), ``scan`` ``(S, L)``; −1 for unknown ones, which the losses leave out.
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
        labels, others = _labels(members, self._config.findings), _labels(members, self._others)
        pixels = self._pixels[list(rows)]
        if not labels[:, 0].any():
            pixels, bleeding, kind = paint_sequence(pixels, self._config.lesions, rng)
            for names, known in ((self._config.findings, labels), (self._others, others)):
                if kind in names:
                    known[bleeding, names.index(kind)] = 1
            labels[bleeding, 0] = 1
        return _Sequence(augment_sequence(pixels, augment, rng, self._side), labels, others)

    def _targets(self, sequences: Sequence[_Sequence]) -> tuple[Arrays, Arrays]:
        labels = np.concatenate([sequence.labels for sequence in sequences])
        others = np.concatenate([sequence.others for sequence in sequences])
        scan = np.full((self._sequences, labels.shape[1]), -1, np.float32)
        for number, sequence in enumerate(sequences):
            scan[number] = _label_of_all(sequence.labels)
        of_slices = _weights(labels)
        targets = {"slice": labels, "aux": labels, "scan": scan}
        weights = {"slice": of_slices, "aux": of_slices, "scan": _weights(scan)}
        if self._others:
            targets["subtype"], weights["subtype"] = others, _weights(labels[:, :1])
        return {name: self._smooth(target) for name, target in targets.items()}, weights

    def _smooth(self, label: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
        smoothing = self._config.fit.label_smoothing
        smooth = label * np.float32(1 - smoothing) + np.float32(smoothing / 2)
        return np.where(label < 0, label, smooth)


def _labels(records: Sequence[SliceRecord], findings: Sequence[str]) -> npt.NDArray[np.float32]:
    """``(slices, findings)``, −1 where unknown."""
    told = [[record.label_of(name) for name in findings] for record in records]
    return np.array([[-1 if one is None else one for one in row] for row in told], np.float32).reshape(len(told), -1)


def _label_of_all(labels: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """``(L,)`` of a sequence, from ``(t, L)`` of its slices: 1 where one has it, 0 where none has, −1 where unknown."""
    nowhere = np.where((labels == 0).all(axis=0), 0, -1)
    return np.asarray(np.where((labels == 1).any(axis=0), 1, nowhere), np.float32)


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


def _weights(labels: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """``(n,)`` such that the mean over n of what ``(n, L)`` losses sum to is the mean loss of a known label."""
    known = labels >= 0
    weight = len(labels) / max(1, int(known.sum()))
    return np.asarray(known.any(axis=1) * weight, np.float32)
