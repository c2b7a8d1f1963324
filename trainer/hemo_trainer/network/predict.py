"""Slice logits of labelled series, from a Keras network or from an exported bundle alike."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Protocol

import numpy as np
import numpy.typing as npt

from hemo_core.scans.preprocess import to_input
from hemo_trainer.datasets.record import SliceRecord
from hemo_trainer.network.model import Network

Float = npt.NDArray[np.float32]
Grey = npt.NDArray[np.uint8]


class SliceModel(Protocol):
    """What can be scored: a CNN and a sequence model."""

    def embed(self, slices: Float) -> Float:
        """``(n, H, W, C)`` → ``(n, K)``."""

    def sequence(self, embeddings: Float) -> Float:
        """``(t, K)`` of one series → logits ``(t, L)``."""


@dataclass(frozen=True, slots=True, eq=False)
class SeriesPrediction:
    """A labelled series and what the model said.

    Attributes:
        records: its slices in order.
        logits: ``(slices,)`` of the finding that the records' ``label`` tells of.
        further: ``(slices,)`` of each further finding, by name.
    """

    records: tuple[SliceRecord, ...]
    logits: Float
    further: Mapping[str, Float] = field(default_factory=dict)

    @classmethod
    def of_channels(cls, records: tuple[SliceRecord, ...], logits: Float, findings: Sequence[str]) -> SeriesPrediction:
        """From logits ``(slices, L)`` of ``findings``, one of which is the records' own."""
        channels = dict(zip(findings, np.asarray(logits, np.float32).T, strict=True))
        return cls(records, channels.pop(records[0].finding), channels)

    def of_finding(self, finding: str) -> SeriesPrediction:
        """The same for another finding: its labels and its logits."""
        if finding == self.records[0].finding:
            return self
        return SeriesPrediction(
            tuple(replace(record, finding=finding) for record in self.records), self.further[finding]
        )


class KerasSliceModel:
    """A network as a :class:`SliceModel`."""

    def __init__(self, network: Network) -> None:
        self._network = network

    def embed(self, slices: Float) -> Float:
        """CNN and average pool."""
        features = self._network.cnn.predict_on_batch(slices)
        return np.asarray(np.asarray(features, np.float32).mean(axis=(1, 2)), np.float32)

    def sequence(self, embeddings: Float) -> Float:
        """Recurrence over one series."""
        logits: Float = np.asarray(self._network.sequence.predict_on_batch(embeddings[None]), np.float32)[0]
        return logits


def predict_series(
    model: SliceModel,
    series: Sequence[tuple[SliceRecord, ...]],
    pixels_of: Callable[[SliceRecord], Grey],
    findings: Sequence[str],
    *,
    batch: int = 32,
) -> Iterator[SeriesPrediction]:
    """Score each series on its own.

    Args:
        model: what scores.
        series: labelled slices in order.
        pixels_of: model input of a record, uint8 ``(H, W, C)``.
        findings: of the model's output channels; the records' own is one of them.
        batch: slices a CNN call; every call is padded to it, so that the result does not depend on the series' length.
    """
    for records in series:
        slices = to_input(np.stack([pixels_of(record) for record in records]))
        embeddings = np.concatenate(
            [model.embed(_padded(slices[at : at + batch], batch)) for at in range(0, len(slices), batch)]
        )[: len(slices)]
        yield SeriesPrediction.of_channels(records, model.sequence(embeddings), findings)


def _padded(slices: Float, count: int) -> Float:
    missing = count - len(slices)
    return np.pad(slices, ((0, missing), (0, 0), (0, 0), (0, 0))) if missing else slices
