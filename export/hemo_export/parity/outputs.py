"""The same input through the Keras model and through the exported graphs, and how far the outputs lie apart."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TypeAlias

import cv2
import numpy as np
import numpy.typing as npt

from hemo_core.inference.session import Engine
from hemo_core.scans.preprocess import to_input
from hemo_export.parity.reference import KerasModel

Float: TypeAlias = npt.NDArray[np.float32]

LOGIT_LIMIT = 1e-4
BATCHES, LENGTHS = (1, 3, 8), (1, 5, 40)
ODD_SIZES = (1, 7, 13)
_LONG = 400
_JUNK = np.float32(1e3)


@dataclass(frozen=True, slots=True, eq=False)
class OutputComparison:
    """One input and both answers.

    Attributes:
        name: what was compared.
        output: the graphs' output: features, embedding or logits.
        feeds: what went in, by the name of the graph's input; for logits from pictures ``slices`` with a leading axis
            for scans.
        found, expected: the graphs' answer and Keras's.
        limit: what the difference must stay below; relative for features and embeddings that exceed 1.
    """

    name: str
    output: str
    feeds: Mapping[str, npt.NDArray[np.generic]]
    found: Float
    expected: Float
    limit: float = LOGIT_LIMIT

    @property
    def difference(self) -> float:
        """Greatest absolute difference; of features and embeddings in units of their greatest value, if above 1."""
        scale = 1.0
        if self.output != "logits" and self.expected.size:
            scale = max(1.0, float(np.abs(self.expected).max()))
        return difference(self.found, self.expected) / scale

    @property
    def by_channel(self) -> tuple[float, ...]:
        """Greatest absolute difference of each channel's logits."""
        count = self.expected.shape[-1]
        return tuple(difference(self.found[..., at : at + 1], self.expected[..., at : at + 1]) for at in range(count))

    @property
    def passed(self) -> bool:
        """Whether the difference is below the limit."""
        return self.difference < self.limit


def difference(found: npt.ArrayLike, expected: npt.ArrayLike) -> float:
    """Greatest absolute difference; infinite if shapes differ or a number is not finite."""
    left, right = np.asarray(found, np.float64), np.asarray(expected, np.float64)
    if left.shape != right.shape or not (np.isfinite(left).all() and np.isfinite(right).all()):
        return float("inf")
    return float(np.abs(left - right).max(initial=0.0))


def pictures(rng: np.random.Generator, count: int, shape: tuple[int, int, int]) -> Float:
    """Made-up slices with structure at several scales: float32 ``(count, H, W, C)`` in [0, 1]."""
    height, width, channels = shape
    made = np.zeros((count, height, width, channels), np.uint8)
    for index in range(count):
        coarse = rng.integers(0, 256, (int(rng.integers(2, 12)),) * 2, np.uint8)
        grey = cv2.resize(coarse, (width, height), interpolation=cv2.INTER_LINEAR)
        cv2.circle(grey, (int(rng.integers(width)), int(rng.integers(height))), max(1, width // 10), 255, -1)
        made[index] = grey[..., None]
    return to_input(made)


def comparisons(
    keras: KerasModel, engine: Engine, shape: tuple[int, int, int], rng: np.random.Generator
) -> Iterator[OutputComparison]:
    """Batch × slices, pictures at the borders of what is possible, scans of many lengths in one batch, a very long one.

    Args:
        keras: the reference.
        engine: the exported graphs.
        shape: (H, W, C) of a slice.
        rng: makes the pictures.
    """
    for count in BATCHES:
        for length in LENGTHS:
            scans = pictures(rng, count * length, shape).reshape(count, length, *shape)
            yield _from_pictures(f"logits {count}x{length}", keras, engine, scans)
    for name, scan in _extremes(rng, shape):
        yield _from_pictures(f"logits {name}", keras, engine, scan[None])
    embeddings = _embeddings(engine, pictures(rng, max(LENGTHS), shape))
    yield _ragged(keras, engine, embeddings, rng)
    yield _long(keras, engine, embeddings, rng)


def cnn_comparisons(keras: KerasModel, engine: Engine, slices: Float) -> Iterator[OutputComparison]:
    """Both outputs of the CNN for ``(n, H, W, C)``, n at most the engine's batch."""
    found, expected = engine.cnn(slices), keras.cnn(slices)
    name, feeds = f"1x{len(slices)} of {engine.batch}", {"slices": slices}
    yield OutputComparison(f"features {name}", "features", feeds, found.features, expected.features)
    yield OutputComparison(f"embedding {name}", "embedding", feeds, found.embeddings, expected.embeddings)


def _extremes(rng: np.random.Generator, shape: tuple[int, int, int]) -> Iterator[tuple[str, Float]]:
    """Scans of three slices at the borders of what the input can be: ``(3, H, W, C)``."""
    yield "black", np.zeros((3, *shape), np.float32)
    yield "white", np.ones((3, *shape), np.float32)
    yield "noise", rng.integers(0, 2, (3, *shape)).astype(np.float32)


def _embeddings(engine: Engine, slices: Float) -> Float:
    """``(n, H, W, C)`` → ``(n, E)``, in the engine's batches."""
    parts = [engine.cnn(slices[at : at + engine.batch]).embeddings for at in range(0, len(slices), engine.batch)]
    return np.concatenate(parts)


def _from_pictures(name: str, keras: KerasModel, engine: Engine, scans: Float) -> OutputComparison:
    """Pictures ``(scans, slices, H, W, C)`` to logits, against the whole Keras model."""
    count, length = scans.shape[:2]
    embeddings = _embeddings(engine, scans.reshape(-1, *scans.shape[2:])).reshape(count, length, -1)
    found = engine.sequences(embeddings, np.full(count, length, np.int32))
    return OutputComparison(name, "logits", {"slices": scans}, found, keras.logits(scans))


def _ragged(keras: KerasModel, engine: Engine, embeddings: Float, rng: np.random.Generator) -> OutputComparison:
    """Scans of different lengths in one batch, padded with junk, against each alone in Keras."""
    lengths = np.asarray([1, 2, 3, 5, 8, 21, len(embeddings) - 1, len(embeddings)], np.int32)
    batch = np.full((len(lengths), *embeddings.shape), _JUNK, np.float32)
    for row, length in enumerate(lengths):
        batch[row, :length] = rng.permutation(embeddings)[:length]
    found = engine.sequences(batch, lengths)
    expected = np.zeros_like(found)
    for row, length in enumerate(lengths):
        expected[row, :length] = keras.sequence(batch[row, :length])
        found[row, length:] = 0  # logits of the padding mean nothing
    return OutputComparison("logits ragged", "logits", {"embeddings": batch, "lengths": lengths}, found, expected)


def _long(keras: KerasModel, engine: Engine, embeddings: Float, rng: np.random.Generator) -> OutputComparison:
    """One thin-slice scan."""
    scan, lengths = rng.choice(embeddings, _LONG)[None], np.asarray([_LONG], np.int32)
    feeds = {"embeddings": scan, "lengths": lengths}
    return OutputComparison(
        f"logits 1x{_LONG}", "logits", feeds, engine.sequences(scan, lengths), keras.sequence(scan[0])[None]
    )
