"""What is measured: a model with its heat maps, be it a network in training or an opened bundle."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from hemo_core.bundle import MODEL, Bundle
from hemo_core.bundle.keras import load_keras
from hemo_core.errors import BundleSchema
from hemo_core.inference.gradcam import Explainer, make_explainer
from hemo_core.inference.session import CnnOutput, Device, Engine
from hemo_trainer.network.model import Network

Float = npt.NDArray[np.float32]
_KERAS_BATCH = 32


@dataclass(frozen=True, slots=True, eq=False)
class KerasModels:
    """The Keras half of a subject: what the randomisation check takes apart.

    Attributes:
        cnn: ``(n, H, W, C)`` → A ``(n, h, w, K)``.
        head: A ``(scans, slices, h, w, K)`` → logits ``(scans, slices, L)``.
        pooled: the head is a global average pool and the layer ``sequence``.
        channel: of the primary finding's logit, from 0.
    """

    cnn: Any
    head: Any
    pooled: bool
    channel: int = 0


class Subject(Protocol):
    """A model and its heat maps."""

    def cnn(self, slices: Float) -> CnnOutput:
        """``(n, H, W, C)`` → feature maps and embeddings, for any n."""

    def logits(self, embeddings: Float) -> Float:
        """Embeddings ``(scans, t, E)`` of scans of one length → logits ``(scans, t)`` of the primary finding."""

    def heatmaps(self, features: Float, slices: Sequence[int]) -> Float:
        """Feature maps of ALL slices of one scan, and which to explain → maps ``(p, h, w)``, peak 1 or all 0."""

    def keras_models(self) -> KerasModels:
        """The Keras models. Raises MissingExtra where TensorFlow is not installed."""


class BundleSubject:
    """An opened bundle: ONNX scores as for users, and the heat maps that a worker draws.

    Args:
        bundle: an opened bundle.
        device: where ONNX runs.
        threads: for one operation on the CPU.

    Raises:
        MissingExtra: onnxruntime or TensorFlow is not installed.
    """

    def __init__(self, bundle: Bundle, *, device: Device = "auto", threads: int | None = None) -> None:
        self._bundle, self._threads = bundle, threads
        self._engine = Engine(bundle, device=device, threads=threads, batch=_KERAS_BATCH)
        self._explainer = make_explainer(bundle, threads=threads)

    def cnn(self, slices: Float) -> CnnOutput:
        """Through ``cnn.onnx``."""
        return _in_batches(slices, self._engine.cnn)

    def logits(self, embeddings: Float) -> Float:
        """Through ``sequence.onnx``."""
        lengths = np.full(len(embeddings), embeddings.shape[1], np.int32)
        return self._engine.sequences(embeddings, lengths)[..., self._bundle.scoring.channel]

    def heatmaps(self, features: Float, slices: Sequence[int]) -> Float:
        """As the worker's."""
        return self._explainer.heatmaps(features, slices)

    def keras_models(self) -> KerasModels:
        """Out of ``model.keras``, loaded in safe mode. Raises BundleSchema if it is built in another way."""
        model = load_keras(self._bundle.path / MODEL, threads=self._threads)
        try:
            cnn, head = model.get_layer("per_slice").layer, model.get_layer("head")
            return KerasModels(cnn, head, self._bundle.pooled, self._bundle.scoring.channel)
        except (ValueError, AttributeError) as error:
            where = str(self._bundle.path / MODEL)
            raise BundleSchema("holds no layers per_slice and head to take apart", path=where) from error


class NetworkSubject:
    """A network in training."""

    def __init__(self, network: Network) -> None:
        self._network = network
        self._explainer = Explainer.of_head(network.head, pooled=True)

    def cnn(self, slices: Float) -> CnnOutput:
        """CNN and average pool."""
        features = keras_features(self._network.cnn, slices)
        return CnnOutput(features, features.mean(axis=(1, 2), dtype=np.float32))

    def logits(self, embeddings: Float) -> Float:
        """Recurrence."""
        return np.asarray(self._network.sequence(embeddings, training=False), np.float32)[..., 0]

    def heatmaps(self, features: Float, slices: Sequence[int]) -> Float:
        """Grad-CAM."""
        return self._explainer.heatmaps(features, slices)

    def keras_models(self) -> KerasModels:
        """The network's own."""
        return KerasModels(self._network.cnn, self._network.head, pooled=True)


def keras_features(cnn: Any, slices: Float) -> Float:
    """Feature maps ``(n, h, w, K)`` of ``(n, H, W, C)``, in batches of one size, so that Keras traces once."""
    count = len(slices)
    missing = -count % _KERAS_BATCH
    padded = np.pad(slices, ((0, missing), (0, 0), (0, 0), (0, 0)))
    batches = [cnn.predict_on_batch(padded[at : at + _KERAS_BATCH]) for at in range(0, len(padded), _KERAS_BATCH)]
    return np.asarray(np.concatenate(batches)[:count], np.float32)


def _in_batches(slices: Float, run: Callable[[Float], CnnOutput]) -> CnnOutput:
    outputs = [run(slices[at : at + _KERAS_BATCH]) for at in range(0, len(slices), _KERAS_BATCH)]
    return CnnOutput(
        np.concatenate([output.features for output in outputs]),
        np.concatenate([output.embeddings for output in outputs]),
    )
