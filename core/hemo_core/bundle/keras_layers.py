"""The one custom Keras layer of our models. Importing this module registers it; it imports Keras, so import it late."""

from __future__ import annotations

from typing import Any

import keras


@keras.saving.register_keras_serializable(package="hemo")
class PerSlice(keras.layers.Wrapper):  # type: ignore[misc]
    """Apply a layer to every slice: ``(scans, slices, *in)`` → ``(scans, slices, *out)``.

    Merges scans and slices by a reshape, so that one convolution call sees them all; TimeDistributed loops instead.
    """

    def call(self, inputs: Any, training: bool | None = None) -> Any:
        """Args: inputs ``(scans, slices, *in)``. Returns ``(scans, slices, *out)``."""
        shape = keras.ops.shape(inputs)
        merged = keras.ops.reshape(inputs, (-1, *inputs.shape[2:]))
        outputs = self.layer(merged, training=training)
        return keras.ops.reshape(outputs, (-1, shape[1], *outputs.shape[1:]))

    def compute_output_shape(self, input_shape: tuple[int | None, ...]) -> tuple[int | None, ...]:
        """Shape with both leading axes kept."""
        inner = self.layer.compute_output_shape((None, *input_shape[2:]))
        return (*input_shape[:2], *inner[1:])

    def build(self, input_shape: tuple[int | None, ...]) -> None:
        """Build the wrapped layer on one slice's shape."""
        if not self.layer.built:
            self.layer.build((None, *input_shape[2:]))
        self.built = True
