"""The parts of a trained model that the exporter needs, taken out of the one ``model.keras``."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from hemo_core.errors import ExportError

ExplainPath = Literal["pooled", "general"]
Memory = Literal["scan", "slice"]


@dataclass(frozen=True, slots=True)
class Submodels:
    """Models that share the weights of ``model``.

    Attributes:
        model: ``(scans, slices, H, W, C)`` → logits ``(scans, slices, L)``.
        cnn: ``(n, H, W, C)`` → A ``(n, h, w, K)``.
        pool: A ``(scans, slices, h, w, K)`` → embeddings ``(scans, slices, E)``.
        sequence: embeddings → logits ``(scans, slices, L)``.
        head: A → logits, ``sequence`` after ``pool``.
        explain: ``pooled`` if ``pool`` is the global average.
        memory: ``scan`` if the recurrence reads a scan's slices in order; ``slice`` if each slice is a sequence of its
            own, of length one.
    """

    model: Any
    cnn: Any
    pool: Any
    sequence: Any
    head: Any
    explain: ExplainPath
    memory: Memory = "scan"


def split_model(model: Any) -> Submodels:
    """Find the parts of a model whose layers are ``per_slice`` (wraps the CNN) and ``head`` (ends in ``sequence``).

    Raises:
        ExportError: the model is not built that way.
    """
    import keras

    try:
        cnn = model.get_layer("per_slice").layer
        head = model.get_layer("head")
        sequence = head.get_layer("sequence")
        into = [node for node in sequence._inbound_nodes if node in _nodes(head)]  # noqa: SLF001 (Keras has no public way)
        pool = keras.Model(head.inputs[0], into[0].input_tensors[0], name="pool")
    except (ValueError, AttributeError, IndexError) as error:
        hint = "it needs a layer per_slice, and a layer head that holds a layer sequence"
        raise ExportError(f"the model cannot be taken apart: {error}", hint=hint) from error
    explain = _explain_path(pool, tuple(cnn.output_shape[1:]))
    return Submodels(model, cnn, pool, sequence, head, explain, _memory(sequence))


def _nodes(model: Any) -> list[Any]:
    """The calls of layers that make up a functional model."""
    return [node for nodes in model._nodes_by_depth.values() for node in nodes]  # noqa: SLF001


def _explain_path(pool: Any, features: tuple[int, ...]) -> ExplainPath:
    """``pooled`` if ``pool`` of random maps is their spatial mean."""
    maps = np.random.default_rng(0).normal(size=(1, 3, *features)).astype(np.float32)
    embeddings, mean = np.asarray(pool(maps)), maps.mean(axis=(2, 3))
    same = embeddings.shape == mean.shape and np.allclose(embeddings, mean, atol=1e-5)
    return "pooled" if same else "general"


def _memory(sequence: Any) -> Memory:
    """``slice`` if ``sequence`` takes slices one by one."""
    from hemo_core.bundle.keras_layers import PerSlice

    return "slice" if any(isinstance(layer, PerSlice) for layer in sequence.layers) else "scan"
