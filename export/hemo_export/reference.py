"""The textbook Grad-CAM on the whole Keras model: what the split way is held against. Too slow for work."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from hemo_core.inference.gradcam import normalised
from hemo_export.parts import Parts

Float: TypeAlias = npt.NDArray[np.float32]


def full_gradcam(parts: Parts, slices: Float, chosen: Sequence[int], label: int = 0) -> Float:
    """Grad-CAM of chosen slices of one scan, each with a forward and a backward pass of its own.

    Args:
        parts: the Keras models.
        slices: the scan, float32 ``(t, H, W, C)``.
        chosen: p slices to explain.
        label: index of the logit to explain.

    Returns:
        float32 ``(p, h, w)``, normalised as by :class:`hemo_core.inference.gradcam.Explainer`.
    """
    import tensorflow as tf

    maps = []
    for index in chosen:
        with tf.GradientTape() as tape:
            features = parts.cnn(slices, training=False)  # (t, h, w, K)
            tape.watch(features)
            logit = parts.head(features[None], training=False)[0, index, label]
        gradient = tape.gradient(logit, features)[index]  # (h, w, K)
        weights = tf.reduce_mean(gradient, (0, 1))  # (K,)
        maps.append(np.asarray(tf.reduce_sum(features[index] * weights, -1), np.float32))
    return normalised(np.stack(maps))
