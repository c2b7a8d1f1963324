"""What the Keras model itself answers: the reference that every exported graph is held against."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from hemo_core.inference.gradcam import normalised
from hemo_core.inference.session import CnnOutput
from hemo_export.submodels import Submodels

Float: TypeAlias = npt.NDArray[np.float32]


class KerasModel:
    """The submodels of a Keras model as TensorFlow graphs: the very same numbers as eagerly, many times faster.

    Args:
        submodels: the Keras models.
    """

    def __init__(self, submodels: Submodels) -> None:
        self._model, self._cnn, self._pool, self._sequence = (
            _compiled(model) for model in (submodels.model, submodels.cnn, submodels.pool, submodels.sequence)
        )
        self._gradient = _head_gradient(submodels.head)

    def logits(self, scans: Float) -> Float:
        """The whole model, scan by scan: ``(scans, slices, H, W, C)`` → ``(scans, slices, L)``."""
        return np.concatenate([np.asarray(self._model(scan[None]), np.float32) for scan in scans])

    def cnn(self, slices: Float) -> CnnOutput:
        """``(n, H, W, C)`` → features ``(n, h, w, K)`` and embeddings ``(n, E)``."""
        features = self._cnn(slices)
        return CnnOutput(np.asarray(features, np.float32), np.asarray(self._pool(features[None])[0], np.float32))

    def sequence(self, embeddings: Float) -> Float:
        """One scan, ``(slices, E)`` → logits ``(slices, L)``."""
        return np.asarray(self._sequence(embeddings[None])[0], np.float32)

    def heatmaps(self, features: Float, slices: Sequence[int], channel: int = 0) -> Float:
        """The textbook Grad-CAM through the whole head, a backward pass for each slice.

        Args:
            features: A of all slices of one scan, ``(t, h, w, K)``.
            slices: p slices to explain.
            channel: index of the logit to explain.

        Returns:
            float32 ``(p, h, w)``, normalised as by :class:`hemo_core.inference.gradcam.Explainer`.
        """
        maps = []
        for index in slices:
            gradient = np.asarray(self._gradient(features[None], index, channel))[0, index]  # (h, w, K)
            maps.append((features[index] * gradient.mean(axis=(0, 1))).sum(-1))
        return normalised(np.stack(maps))


def full_gradcam(submodels: Submodels, slices: Float, chosen: Sequence[int], channel: int = 0) -> Float:
    """Grad-CAM of chosen slices of one scan on the whole Keras model: what the split way is held against.

    Args:
        submodels: the Keras models.
        slices: the scan, float32 ``(t, H, W, C)``.
        chosen: p slices to explain.
        channel: index of the logit to explain.

    Returns:
        float32 ``(p, h, w)``, see :meth:`KerasModel.heatmaps`.
    """
    model = KerasModel(submodels)
    return model.heatmaps(model.cnn(slices).features, chosen, channel)


def _compiled(model: Any) -> Any:
    """A Keras model with one input as a graph for any batch, traced once."""
    import tensorflow as tf

    signature = [tf.TensorSpec(model.inputs[0].shape, tf.float32)]

    @tf.function(input_signature=signature)  # type: ignore[untyped-decorator]
    def run(values: Any) -> Any:
        return model(values, training=False)

    def on_cpu(values: Any) -> Any:
        with tf.device("/CPU:0"):
            return run(values)

    return on_cpu


def _head_gradient(head: Any) -> Any:
    """∂z/∂A of one slice's logit z: A ``(1, t, h, w, K)``, slice, channel → same shape as A."""
    import tensorflow as tf

    signature = [
        tf.TensorSpec((1, *head.input_shape[1:]), tf.float32),
        tf.TensorSpec((), tf.int32),
        tf.TensorSpec((), tf.int32),
    ]

    @tf.function(input_signature=signature)  # type: ignore[untyped-decorator]
    def gradient(features: Any, index: Any, channel: Any) -> Any:
        with tf.GradientTape(watch_accessed_variables=False) as tape:
            tape.watch(features)
            logit = head(features, training=False)[0, index, channel]
        return tape.gradient(logit, features)

    def on_cpu(features: Any, index: int, channel: int) -> Any:
        with tf.device("/CPU:0"):
            return gradient(features, np.int32(index), np.int32(channel))

    return on_cpu
