"""Single-picture Keras models as people trained them: CNN → LSTM → GRU on one step → one sigmoid."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from hemo_core.bundle.keras import quiet_tensorflow
from hemo_core.inference.gradcam import normalised

SIDE = 32


@dataclass(frozen=True)
class Widths:
    """Sizes of the layers; as the defaults stand, a small one for tests."""

    side: int = SIDE
    blocks: tuple[int, ...] = (4, 6, 8)
    dense: int = 10
    lstm: int = 6
    gru: int = 5


NOTEBOOK = Widths(224, (32, 64, 128), 256, 128, 64)
"""26 million weights."""


def notebook_model(widths: Widths = Widths()) -> Any:
    """Three convolution blocks with pooling, Flatten, Dense, one step, LSTM, GRU, Dense(1) with a sigmoid."""
    quiet_tensorflow()
    import keras

    keras.utils.set_random_seed(11)
    layers = keras.layers
    stack: list[Any] = [keras.Input((widths.side, widths.side, 1))]
    for channels in widths.blocks:
        stack += [layers.Conv2D(channels, 3, activation="relu", padding="same"), layers.MaxPooling2D()]
    stack += [layers.Flatten(), layers.Dense(widths.dense, activation="relu"), layers.Dropout(0.5)]
    stack += [layers.Reshape((1, widths.dense)), layers.LSTM(widths.lstm, return_sequences=True)]
    stack += [layers.GRU(widths.gru), layers.Dense(1, activation="sigmoid")]
    model = keras.Sequential(stack)
    return spread(model)


def functional(body: Callable[[Any, Any], Any], channels: int = 1) -> Any:
    """A functional model: ``body(layers, pictures)`` gives its output."""
    quiet_tensorflow()
    import keras

    keras.utils.set_random_seed(12)
    pictures = keras.Input((SIDE, SIDE, channels))
    return spread(keras.Model(pictures, body(keras.layers, pictures)))


def spread(model: Any) -> Any:
    """The model with a steeper last layer: untrained ones answer almost the same to every picture."""
    dense = last_dense(model)
    kernel, *bias = dense.get_weights()
    dense.set_weights([kernel * 40, *bias])
    return model


def last_dense(model: Any) -> Any:
    import keras

    return [layer for layer in model.layers if isinstance(layer, keras.layers.Dense)][-1]


def answers(model: Any, pictures: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The textbook way on the whole model as saved.

    Args:
        pictures: float32 ``(n, H, W, C)`` as the model takes them.

    Returns:
        Logits ``(n,)``, the argument of the sigmoid, and Grad-CAM on the last convolution ``(n, h, w)``, normalised.
    """
    import keras
    import tensorflow as tf

    convolution = [layer for layer in model.layers if isinstance(layer, keras.layers.Conv2D)][-1]
    dense = last_dense(model)
    kernel, bias = (np.asarray(weight) for weight in dense.get_weights())
    inside = keras.Model(model.inputs, [convolution.output, dense.input])
    with tf.GradientTape() as tape:
        features, before = inside([pictures], training=False)
        logits = tf.reshape(before, (len(pictures), -1)) @ kernel + bias
    gradient = tape.gradient(logits, features)
    weights = tf.reduce_mean(gradient, (1, 2), keepdims=True)
    maps = np.asarray(tf.reduce_sum(features * weights, -1), np.float32)
    return np.asarray(logits, np.float64)[:, 0], normalised(maps)


def save(model: Any, path: Path) -> Path:
    model.save(path)
    return path
