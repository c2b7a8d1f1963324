"""The gate of every export: ONNX and Keras must give the same numbers, whatever the batch and the length."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any, TypeAlias

import cv2
import numpy as np
import numpy.typing as npt

from hemo_core.bundle import Bundle
from hemo_core.errors import GatesFailed
from hemo_core.inference.gradcam import Explainer
from hemo_core.inference.session import Engine
from hemo_core.preprocess import to_input
from hemo_export.parts import Parts
from hemo_export.reference import full_gradcam

Float: TypeAlias = npt.NDArray[np.float32]

LOGIT_LIMIT = 1e-4
HEATMAP_LIMIT = 1e-3
BATCHES, LENGTHS = (1, 3, 8), (1, 5, 40)
_LONG = 400
_JUNK = np.float32(1e3)


@dataclass(frozen=True, slots=True)
class Check:
    """One comparison.

    Attributes:
        name: what was compared.
        difference: greatest absolute difference; infinite where a number is not finite.
        limit: what it must stay below.
    """

    name: str
    difference: float
    limit: float

    @property
    def passed(self) -> bool:
        """Whether the difference is below the limit."""
        return self.difference < self.limit


def check_parity(parts: Parts, bundle: Bundle, *, seed: int = 0) -> dict[str, Any]:
    """Compare a bundle's graphs, as a worker would run them, with the Keras model they came from.

    Args:
        parts: the Keras models.
        bundle: the exported bundle.
        seed: of the made-up pictures.

    Returns:
        What ``bundle.json`` records: the greatest differences and every check's own.

    Raises:
        GatesFailed: names every check that failed, after all of them ran.
    """
    checks = tuple(_all_checks(parts, bundle, np.random.default_rng(seed)))
    failed = [f"{check.name}: {check.difference:.2e} (limit {check.limit:.0e})" for check in checks if not check.passed]
    if failed:
        raise GatesFailed(f"{len(failed)} of {len(checks)} comparisons failed: {'; '.join(failed)}")
    return summarised(checks)


def summarised(checks: tuple[Check, ...]) -> dict[str, Any]:
    """Checks as ``bundle.json`` records them."""
    logits = [check.difference for check in checks if check.name.startswith("logits")]
    return {
        "max_abs_logit_difference": max(logits),
        "logit_limit": LOGIT_LIMIT,
        "checks": {check.name: check.difference for check in checks},
    }


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


def _all_checks(parts: Parts, bundle: Bundle, rng: np.random.Generator) -> Iterator[Check]:
    parts = _compiled(parts)
    engine = Engine(bundle, device="cpu", threads=1)  # the same numbers as with more, and it shares the machine
    shape = (bundle.input.height, bundle.input.width, bundle.input.channels)
    for count in BATCHES:
        for length in LENGTHS:
            scans = pictures(rng, count * length, shape).reshape(count, length, *shape)
            yield _logits(f"logits {count}x{length}", parts, engine, scans)
    for name, scan in _extremes(rng, shape):
        yield _logits(f"logits {name}", parts, engine, scan[None])
    embeddings = _embeddings(engine, pictures(rng, 40, shape))
    yield _ragged(parts, engine, embeddings, rng)
    yield _long(parts, engine, embeddings, rng)
    yield _heatmaps(parts, bundle, engine, pictures(rng, 5, shape))


def _compiled(parts: Parts) -> Parts:
    """The whole model and its recurrent half as graphs: the very same numbers, many times faster than eagerly."""
    import tensorflow as tf

    def compiled(model: Any) -> Any:
        signature = [tf.TensorSpec(model.inputs[0].shape, tf.float32)]
        return tf.function(lambda values: model(values, training=False), input_signature=signature)

    return replace(parts, model=compiled(parts.model), sequence=compiled(parts.sequence))


def _extremes(rng: np.random.Generator, shape: tuple[int, int, int]) -> Iterator[tuple[str, Float]]:
    """Scans of three slices at the borders of what the input can be: ``(3, H, W, C)``."""
    yield "black", np.zeros((3, *shape), np.float32)
    yield "white", np.ones((3, *shape), np.float32)
    yield "noise", rng.integers(0, 2, (3, *shape)).astype(np.float32)


def _embeddings(engine: Engine, slices: Float) -> Float:
    """``(n, H, W, C)`` → ``(n, E)``, in the engine's batches."""
    parts = [engine.cnn(slices[at : at + engine.batch]).embeddings for at in range(0, len(slices), engine.batch)]
    return np.concatenate(parts)


def _logits(name: str, parts: Parts, engine: Engine, scans: Float) -> Check:
    """Pictures to logits, ``(scans, slices, H, W, C)``."""
    count, length = scans.shape[:2]
    embeddings = _embeddings(engine, scans.reshape(-1, *scans.shape[2:])).reshape(count, length, -1)
    found = engine.sequences(embeddings, np.full(count, length, np.int32))
    expected = np.concatenate([np.asarray(parts.model(scan[None])) for scan in scans])
    return Check(name, difference(found, expected), LOGIT_LIMIT)


def _ragged(parts: Parts, engine: Engine, embeddings: Float, rng: np.random.Generator) -> Check:
    """Scans of different lengths in one batch, padded with junk, against each alone in Keras."""
    lengths = np.asarray([1, 2, 3, 5, 8, 21, 39, 40], np.int32)
    batch = np.full((len(lengths), 40, embeddings.shape[-1]), _JUNK, np.float32)
    for row, length in enumerate(lengths):
        batch[row, :length] = rng.permutation(embeddings)[:length]
    found = engine.sequences(batch, lengths)
    worst = 0.0
    for row, length in enumerate(lengths):
        alone = np.asarray(parts.sequence(batch[row : row + 1, :length]))[0]
        worst = max(worst, difference(found[row, :length], alone))
    return Check("logits ragged", worst, LOGIT_LIMIT)


def _long(parts: Parts, engine: Engine, embeddings: Float, rng: np.random.Generator) -> Check:
    """One thin-slice scan."""
    scan = rng.choice(embeddings, _LONG)
    expected = np.asarray(parts.sequence(scan[None]))[0]
    return Check(f"logits 1x{_LONG}", difference(engine.sequence(scan), expected), LOGIT_LIMIT)


def _heatmaps(parts: Parts, bundle: Bundle, engine: Engine, slices: Float) -> Check:
    """Grad-CAM by way of the ONNX feature maps against Grad-CAM on the whole Keras model."""
    chosen = range(len(slices))
    found = Explainer(bundle).heatmaps(engine.cnn(slices).features, chosen)
    return Check("heat maps", difference(found, full_gradcam(parts, slices, chosen)), HEATMAP_LIMIT)
