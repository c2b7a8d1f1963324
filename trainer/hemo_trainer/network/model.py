"""The network: a CNN reads each slice, an LSTM and then a GRU read the slices in order.

Three models that share their layers: ``cnn`` (a slice → feature map A), ``sequence`` (embeddings → slice logits) and
``head`` (A → pool → sequence), so that Grad-CAM can begin at A, and the whole as ``model``.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hemo_core.bundle.contract import InputContract
from hemo_trainer.config import Architecture
from hemo_trainer.network.lite0 import build_lite0, load_imagenet

if TYPE_CHECKING:
    import keras


_MIRROR_STAGE = 2  # coarse enough that a head a few degrees askew still meets its other half


@dataclass(frozen=True, slots=True)
class Network:
    """The models of one network; they share weights.

    Attributes:
        cnn: ``(n, H, W, C)`` → A ``(n, h, w, K)``.
        sequence: embeddings ``(scans, slices, K)`` → logits ``(scans, slices, L)``.
        head: A ``(scans, slices, h, w, K)`` → logits ``(scans, slices, L)``.
        model: ``(scans, slices, H, W, C)`` → logits ``(scans, slices, L)``.
    """

    cnn: keras.Model
    sequence: keras.Model
    head: keras.Model
    model: keras.Model


def build_network(contract: InputContract, labels: int, arch: Architecture) -> Network:
    """Build an untrained network.

    Args:
        contract: gives H, W and C.
        labels: L, the number of logits of a slice.
        arch: hyper-parameters.
    """
    import keras

    from hemo_core.bundle.keras_layers import PerSlice

    picture = (contract.height, contract.width, contract.channels)
    cnn = build_cnn(picture, arch)
    features = tuple(cnn.output_shape[1:])
    sequence = build_sequence(features[-1], labels, arch)
    maps = keras.Input((None, *features), name="features")  # (scans, slices, h, w, K)
    pooled = keras.ops.mean(maps, axis=(2, 3))  # (scans, slices, K)
    head = keras.Model(maps, sequence(pooled), name="head")
    slices = keras.Input((None, *picture), name="slices")  # (scans, slices, H, W, C)
    logits = head(PerSlice(cnn, name="per_slice")(slices))  # (scans, slices, L)
    return Network(cnn, sequence, head, keras.Model(slices, logits, name="hemo"))


def start_network(contract: InputContract, labels: int, arch: Architecture) -> Network:
    """A network as training begins with it: :func:`build_network` with ImageNet weights where ``arch`` has them."""
    network = build_network(contract, labels, arch)
    if arch.cnn == "lite0":
        load_imagenet(network.cnn)
    return network


def build_cnn(picture: tuple[int, int, int], arch: Architecture) -> keras.Model:
    """The CNN: ``(n, H, W, C)`` → A ``(n, H/16, W/16, K)`` (four stages of ``residual``), rounded up.

    The last stage keeps the side, so that a heat map of A still tells where.
    """
    import keras

    if arch.cnn == "lite0":
        return build_lite0(picture, top=arch.top, frozen=arch.frozen)

    slices = keras.Input(picture, name="slice")
    x = _conv_norm(slices, arch.stem, kernel=5, strides=2, name="stem")  # (n, H/2, W/2, stem)
    for number, channels in enumerate(arch.stages):
        last = number == len(arch.stages) - 1
        x = _residual_stage(  # (n, side, side, channels)
            x, channels, halve=not last, mirror=arch.mirror and number == _MIRROR_STAGE, name=f"stage{number}"
        )
    return keras.Model(slices, x, name="cnn")


def build_sequence(embedding: int, labels: int, arch: Architecture, *, prefix: str = "") -> keras.Model:
    """Bidirectional LSTM, then bidirectional GRU, then dense: ``(s, t, K)`` → ``(s, t, L)``.

    ``prefix`` goes before every layer's name, where several such models are part of one.
    """
    import keras

    layers = keras.layers
    embeddings = keras.Input((None, embedding), name="embeddings")  # (s, t, K)
    x = layers.Dropout(arch.dropout)(embeddings)
    if arch.lstm:
        lstm = layers.LSTM(arch.lstm, return_sequences=True, name=f"{prefix}lstm")
        x = layers.Bidirectional(lstm, name=f"{prefix}bi_lstm")(x)  # (s, t, 2·lstm)
    if arch.gru:
        gru = layers.GRU(arch.gru, return_sequences=True, name=f"{prefix}gru")
        x = layers.Bidirectional(gru, name=f"{prefix}bi_gru")(x)  # (s, t, 2·gru)
    if arch.lstm or arch.gru:
        x = layers.Concatenate(name=f"{prefix}skip")([x, embeddings])  # (s, t, 2·gru + K)
    x = layers.Dense(arch.dense, activation="relu", name=f"{prefix}dense")(x)  # (s, t, dense)
    x = layers.Dropout(arch.dropout)(x)
    logits = layers.Dense(labels, name=f"{prefix}logits")(x)  # (s, t, L)
    return keras.Model(embeddings, logits, name=f"{prefix}sequence")


def _conv_norm(
    x: Any, channels: int, *, kernel: int = 3, strides: int = 1, relu: bool = True, mirror: bool = False, name: str
) -> Any:
    """Convolution, batch normalisation, optionally ReLU; ``mirror`` adds a convolution of the left-right flipped input.

    The second convolution starts at zero: it begins as the plain network, and learns symmetry where that helps.
    """
    import keras

    layers = keras.layers
    y = layers.Conv2D(channels, kernel, strides, padding="same", use_bias=False, name=f"{name}_conv")(x)
    if mirror:
        flipped = keras.ops.take(x, list(range(x.shape[2] - 1, -1, -1)), axis=2)
        conv = layers.Conv2D(
            channels, kernel, strides, "same", use_bias=False, kernel_initializer="zeros", name=f"{name}_mirror"
        )
        y = layers.Add(name=f"{name}_sum")([y, conv(flipped)])
    y = layers.BatchNormalization(momentum=0.97, name=f"{name}_norm")(y)
    return layers.ReLU(name=f"{name}_relu")(y) if relu else y


def _residual_stage(x: Any, channels: int, *, halve: bool, mirror: bool, name: str) -> Any:
    """Optionally max-pool to half the side, widen, and one residual block (He 2016, arXiv:1512.03385)."""
    import keras

    layers = keras.layers
    if halve:
        x = layers.MaxPooling2D(2, padding="same", name=f"{name}_pool")(x)
    x = _conv_norm(x, channels, mirror=mirror, name=f"{name}_widen")
    y = _conv_norm(x, channels, relu=False, name=f"{name}_residual")
    return layers.ReLU(name=f"{name}_out")(layers.Add(name=f"{name}_add")([x, y]))


def average_with_start(network: Network, start: Path, share: float) -> None:
    """Replace a fitted network's weights by ``share`` of those it began with and the rest of its own.

    What is fitted to few hospitals loses some of what the first phase had learned from many; half-way between the two,
    a network often does better than either (WiSE-FT, Wortsman 2022, arXiv:2109.01903).

    Args:
        network: fitted.
        start: weights of the first phase.
        share: 0 leaves the network as it is.
    """
    tuned = network.model.get_weights()
    network.model.load_weights(start)
    began = network.model.get_weights()
    network.model.set_weights([share * one + (1 - share) * other for one, other in zip(began, tuned, strict=True)])
