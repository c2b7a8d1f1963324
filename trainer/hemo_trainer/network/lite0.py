"""EfficientNet-Lite0 up to its fifth stage, begun from weights learned on ImageNet.

Tan 2019, arXiv:1905.11946; the Lite form has neither squeeze-and-excitation nor swish. Where the weights come from, and
their licence, stands in ``weights/README.md``.
"""

from __future__ import annotations

from importlib.resources import files
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    import keras

_STEM = 32
# Blocks, depthwise kernel, stride of the first block, expansion, channels: of each stage.
_STAGES = ((1, 3, 1, 1, 16), (2, 3, 2, 6, 24), (2, 5, 2, 6, 40), (3, 3, 2, 6, 80), (3, 5, 1, 6, 112))


def build_lite0(picture: tuple[int, int, int], *, top: int, frozen: int) -> keras.Model:
    """An untrained CNN: ``(n, H, W, C)`` → A ``(n, H/16, W/16, top)``, rounded up.

    Args:
        picture: H, W and C.
        top: K, channels of a last 1 × 1 convolution that is new.
        frozen: stages after the first convolution that training leaves as they are; with 1 or more the first
            convolution, too.
    """
    import keras

    slices = keras.Input(picture, name="slice")
    x = keras.layers.Rescaling(255 / 128, offset=-127 / 128, name="imagenet_range")(slices)
    x = _conv_norm(x, _STEM, 3, 2, name="stem")  # (n, H/2, W/2, 32)
    block = 0
    for blocks, kernel, stride, expansion, channels in _STAGES:
        for repeat in range(blocks):
            x = _block(x, channels, kernel, 1 if repeat else stride, expansion, name=f"block{block}")
            block += 1
    x = _conv_norm(x, top, 1, 1, name="top")  # (n, H/16, W/16, top)
    cnn = keras.Model(slices, x, name="cnn")
    kept = ("stem_", *(f"block{number}_" for number in range(sum(stage[0] for stage in _STAGES[:frozen]))))
    for layer in cnn.layers:
        layer.trainable = not (frozen and layer.name.startswith(kept))
    return cnn


def load_imagenet(cnn: keras.Model) -> None:
    """Give the layers of :func:`build_lite0` their ImageNet weights; the last convolution keeps its random ones.

    A picture of C grey channels meets the first convolution as if the mean of its channels were red, green and blue.
    """
    packed = files("hemo_trainer.network") / "weights" / "efficientnet-lite0.npz"
    with packed.open("rb") as file, np.load(file) as weights:
        for name, value in weights.items():
            layer = cnn.get_layer(name)
            if name == "stem_conv":
                channels = layer.kernel.shape[2]
                value = value.sum(axis=2, keepdims=True).repeat(channels, axis=2) / channels  # noqa: PLW2901
            layer.set_weights(list(value) if name.endswith("_norm") else [value])


def _block(x: Any, channels: int, kernel: int, stride: int, expansion: int, *, name: str) -> Any:
    """Inverted residual block: widen, convolve each channel by itself, narrow (Sandler 2018, arXiv:1801.04381)."""
    import keras

    y = x
    if expansion > 1:
        y = _conv_norm(y, x.shape[-1] * expansion, 1, 1, name=f"{name}_expand")
    depthwise = keras.layers.DepthwiseConv2D(kernel, stride, "same", use_bias=False, name=f"{name}_depthwise_conv")
    y = _norm_relu(depthwise(y), name=f"{name}_depthwise")
    y = _conv_norm(y, channels, 1, 1, relu=False, name=f"{name}_project")
    return keras.layers.Add(name=f"{name}_add")([x, y]) if x.shape == y.shape else y


def _conv_norm(x: Any, channels: int, kernel: int, stride: int, *, relu: bool = True, name: str) -> Any:
    import keras

    x = keras.layers.Conv2D(channels, kernel, stride, "same", use_bias=False, name=f"{name}_conv")(x)
    return _norm_relu(x, relu=relu, name=name)


def _norm_relu(x: Any, *, relu: bool = True, name: str) -> Any:
    import keras

    x = keras.layers.BatchNormalization(momentum=0.97, epsilon=1e-3, name=f"{name}_norm")(x)
    return keras.layers.ReLU(6.0, name=f"{name}_relu")(x) if relu else x
