"""Grad-CAM of single slices (Selvaraju et al. 2017, arXiv:1610.02391), from the feature maps the CNN already gave.

The map of slice t explains its own logit z_t with respect to its own feature map A_t: ReLU(Σ_k α_k·A_k) with α_k the
spatial mean of ∂z_t/∂A_tk. Where the head begins with a global average pool, ∂z_t/∂A_tk is the same at every position,
∂z_t/∂e_tk ÷ (h·w) with e the embedding, so the gradient of the small recurrent half is all that is needed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from importlib.util import find_spec
from typing import Any, Literal, TypeAlias

import numpy as np
import numpy.typing as npt

from hemo_core.bundle import HEAD, Bundle
from hemo_core.bundle.keras import load_sealed
from hemo_core.errors import BundleSchema, MissingExtra
from hemo_core.inference.numpy_gradient.explainer import numpy_gradient

ExplainerKind = Literal["tf", "onnx"]
WantedExplainer = Literal["auto", "tf", "onnx"]
WANTED_EXPLAINERS: tuple[WantedExplainer, ...] = ("auto", "tf", "onnx")


def choose_explainer(wanted: WantedExplainer) -> tuple[ExplainerKind, str]:
    """The explainer to take, and why.

    Args:
        wanted: ``tf`` is the reference; ``onnx`` gives the same maps without TensorFlow; ``auto`` takes the reference
            where TensorFlow is installed.

    Raises:
        MissingExtra: ``tf`` is wanted and TensorFlow is not installed.
    """
    installed = find_spec("tensorflow") is not None and find_spec("keras") is not None
    if wanted == "auto":
        return ("tf", "TensorFlow is installed") if installed else ("onnx", "TensorFlow is not installed")
    if wanted == "tf" and not installed:
        hint = "pip install 'hemo-batch[worker]', or take --explainer onnx, for which 'hemo-batch[slim]' is enough"
        raise MissingExtra("--explainer tf needs TensorFlow, which is not installed", hint=hint)
    return wanted, "as asked"


Float: TypeAlias = npt.NDArray[np.float32]

_POOLED_ROWS = 4096
_GENERAL_VALUES = 32 * 1024 * 1024


class Explainer:
    """Heat maps through the head's gradient, on the CPU. Load it once, in the process that uses it.

    Args:
        bundle: an opened bundle; ``explain.path`` says whether the fast path holds.
        kind: ``tf`` differentiates ``head.keras`` in TensorFlow, the reference; ``onnx`` the ONNX graphs in numpy, and
            never imports TensorFlow.
        threads: TensorFlow's threads for one operation (default ``HEMO_TF_THREADS``, else 1).

    Raises:
        HeadUnknown: ``onnx`` does not know this head.
        MissingExtra: ``tf`` without TensorFlow.
    """

    def __init__(self, bundle: Bundle, kind: ExplainerKind = "tf", *, threads: int | None = None) -> None:
        self.kind = kind
        self._alone, self._channel = bundle.alone, bundle.scoring.channel
        if kind == "onnx":
            self._pooled, self._gradient = bundle.pooled, numpy_gradient(bundle)
            return
        head = load_sealed(bundle, HEAD, threads=threads)
        self._prepare(head, bundle.pooled, str(bundle.path / HEAD))

    @classmethod
    def of_head(cls, head: Any, *, pooled: bool, channel: int = 0) -> Explainer:
        """Of a head in memory; weights that change later are followed.

        Args:
            head: Keras model, A ``(scans, slices, h, w, K)`` → logits ``(scans, slices, L)``.
            pooled: it is a global average pool and the layer ``sequence``.
            channel: of the primary finding's logit.

        Raises:
            BundleSchema: it should be pooled and has no layer ``sequence``.
        """
        explainer = cls.__new__(cls)
        explainer.kind = "tf"
        explainer._alone, explainer._channel = False, channel  # noqa: SLF001  (its own class)
        explainer._prepare(head, pooled, "head")  # noqa: SLF001  (its own class)
        return explainer

    def _prepare(self, head: Any, pooled: bool, where: str) -> None:
        self._pooled = pooled
        if not pooled:
            self._gradient = _compiled(head, tuple(head.input_shape[2:]))
            return
        try:
            sequence = head.get_layer("sequence")
        except ValueError as error:
            raise BundleSchema("its head has no layer named sequence", path=where) from error
        self._gradient = _compiled(sequence, tuple(sequence.input_shape[2:]))

    def heatmaps(self, features: Float, slices: Sequence[int], channel: int | None = None) -> Float:
        """Heat maps of chosen slices of ONE scan.

        Args:
            features: A of all slices, float32 ``(t, h, w, K)``: the recurrence needs them all.
            slices: the p slices to explain.
            channel: of the logit to explain, from 0; default the primary finding's.

        Returns:
            float32 ``(p, h, w)``, each map divided by its maximum; a map without positive evidence is all zero.
        """
        chosen = np.asarray(slices, np.int32)
        if chosen.size == 0:
            return np.zeros((0, *features.shape[1:3]), np.float32)
        channel = self._channel if channel is None else channel
        weights = self._pooled_weights if self._pooled else self._weights
        found = weights(features, chosen, channel)
        return normalised(np.asarray(np.einsum("phwk,pk->phw", features[chosen], found), np.float32))

    def _pooled_weights(self, features: Float, chosen: npt.NDArray[np.int32], channel: int) -> Float:
        """α ``(p, K)`` by way of the embeddings."""
        embeddings = features.mean(axis=(1, 2), dtype=np.float32)
        area = np.float32(features.shape[1] * features.shape[2])
        parts = _chunks(chosen, _POOLED_ROWS // len(embeddings))
        return np.asarray(
            np.concatenate([self._gradient(embeddings, part, channel) for part in parts]) / area, np.float32
        )

    def _weights(self, features: Float, chosen: npt.NDArray[np.int32], channel: int) -> Float:
        """α ``(p, K)`` through the whole head."""
        if self._alone:
            gradients = (self._gradient(features[[index]], np.zeros(1, np.int32), channel) for index in chosen)
            return np.concatenate([gradient.mean(axis=(1, 2)) for gradient in gradients])
        parts = _chunks(chosen, _GENERAL_VALUES // features.size)
        return np.concatenate([self._gradient(features, part, channel).mean(axis=(1, 2)) for part in parts])


def make_explainer(bundle: Bundle, wanted: WantedExplainer = "auto", *, threads: int | None = None) -> Explainer:
    """The explainer that is wanted, or that this installation has. Raises as :class:`Explainer`.

    Args:
        wanted: see :func:`hemo_core.inference.gradcam.choose_explainer`.
    """
    return Explainer(bundle, choose_explainer(wanted)[0], threads=threads)


def normalised(maps: Float) -> Float:
    """ReLU, then each map of ``(p, h, w)`` divided by its maximum; an all-zero map stays zero."""
    positive: Float = np.maximum(maps, np.float32(0))
    peaks = positive.max(axis=(1, 2), keepdims=True)
    result: Float = np.divide(positive, peaks, out=np.zeros_like(positive), where=peaks > 0)
    return result


def _chunks(chosen: npt.NDArray[np.int32], size: int) -> Iterator[npt.NDArray[np.int32]]:
    """``chosen`` in pieces: the input is repeated for each slice of a piece, so a piece bounds the memory."""
    step = max(1, size)
    for first in range(0, len(chosen), step):
        yield chosen[first : first + step]


def _compiled(model: Any, shape: tuple[int, ...]) -> Callable[[Float, npt.NDArray[np.int32], int], Float]:
    """The gradient of each chosen slice's logit with respect to that slice's own input.

    Args:
        model: ``(scans, t, *shape)`` → logits ``(scans, t, L)``.
        shape: of one slice's input.

    Returns:
        A function of the inputs ``(t, *shape)``, the chosen slices ``(p,)`` and the channel that gives ``(p, *shape)``.
        It is traced once, for any t and p; the p slices share one backward pass, each on its own copy of the scan.
    """
    import tensorflow as tf

    signature = [
        tf.TensorSpec((None, *shape), tf.float32),
        tf.TensorSpec((None,), tf.int32),
        tf.TensorSpec((), tf.int32),
    ]

    @tf.function(input_signature=signature)  # type: ignore[untyped-decorator]
    def gradient(inputs: Any, chosen: Any, channel: Any) -> Any:
        count = tf.shape(chosen)[0]
        copies = tf.repeat(inputs[None], count, axis=0)  # (p, t, *shape)
        own = tf.stack([tf.range(count), chosen], axis=1)  # (p, 2): copy, slice
        with tf.GradientTape(watch_accessed_variables=False) as tape:
            tape.watch(copies)
            logits = model(copies, training=False)  # (p, t, L)
            score = tf.reduce_sum(tf.gather_nd(tf.gather(logits, channel, axis=2), own))
        return tf.gather_nd(tape.gradient(score, copies), own)  # (p, *shape)

    def run(inputs: Float, chosen: npt.NDArray[np.int32], channel: int) -> Float:
        with tf.device("/CPU:0"):
            return np.asarray(gradient(inputs, chosen, channel), np.float32)

    run(np.zeros((2, *shape), np.float32), np.zeros(1, np.int32), 0)  # traced now, not at the first scan
    return run
