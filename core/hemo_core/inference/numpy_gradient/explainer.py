"""The gradient behind Grad-CAM without TensorFlow: the head's backward pass in numpy, read from the bundle's graphs.

What is differentiated is ``sequence.onnx``, the very graph that scores, and on the general path also what lies in
``cnn.onnx`` between the feature map and the embedding. All slices to be explained share one forward pass.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from hemo_core.bundle import CNN, SEQUENCE, Bundle
from hemo_core.bundle.onnx_file import OnnxGraph, Shape, read_onnx
from hemo_core.inference.numpy_gradient.backward import GraphPart, Tape, refusal

Float: TypeAlias = npt.NDArray[np.float32]
Gradient: TypeAlias = Callable[[Float, npt.NDArray[np.int32], int], Float]

_TRIAL_SLICES = 2


def numpy_gradient(bundle: Bundle) -> Gradient:
    """The gradient of each chosen slice's logit with respect to that slice's own input of the head.

    Args:
        bundle: an opened bundle.

    Returns:
        A function of the inputs ``(t, *shape)``, the chosen slices ``(p,)`` and the channel that gives ``(p, *shape)``.
        The inputs are embeddings ``(t, K)`` on the pooled path, feature maps ``(t, h, w, K)`` on the general one.

    Raises:
        HeadUnknown: the head holds an operator, or a use of one, that has no rule here.
        BundleAltered, BundleSchema: a graph cannot be read.
    """
    sequence = SequenceGradient(_graph(bundle, SEQUENCE), str(bundle.path / SEQUENCE))
    return sequence if bundle.pooled else HeadGradient(_graph(bundle, CNN), str(bundle.path / CNN), sequence)


class SequenceGradient:
    """Logits by embeddings.

    Args:
        graph: all of ``sequence.onnx``.
        where: its path, for messages.

    Raises:
        HeadUnknown: at once, not at the first scan.
    """

    def __init__(self, graph: OnnxGraph, where: str) -> None:
        self._part = GraphPart(graph, "embeddings", "logits", where)
        self(_trial(graph.inputs["embeddings"][2:], where), np.zeros(1, np.int32), 0)

    def __call__(self, embeddings: Float, chosen: npt.NDArray[np.int32], channel: int) -> Float:
        """Gradients of the chosen slices' logits by their own embeddings.

        Args:
            embeddings: ``(t, E)``.
            chosen: ``(p,)``.
            channel: index of the logit.

        Returns:
            ``(p, E)``.
        """
        tape = self._record(embeddings)
        count = np.arange(len(chosen))
        wanted = np.zeros((len(chosen), *tape.value.shape), np.float32)  # (p, 1, t, L)
        wanted[count, 0, chosen, channel] = 1
        return np.asarray(tape.back(wanted)[count, 0, chosen], np.float32)

    def logits(self, embeddings: Float) -> Float:
        """Embeddings ``(t, E)`` → logits ``(t, L)``: what ``Engine.sequence`` gives, but for rounding."""
        return np.asarray(self._record(embeddings).value[0], np.float32)

    def _record(self, embeddings: Float) -> Tape:
        lengths = np.asarray([len(embeddings)], np.int32)
        return self._part.record(np.asarray(embeddings[None], np.float32), {"lengths": lengths})


class HeadGradient:
    """Logits by feature maps, where the head does not begin with a global average pool: a Flatten, say.

    The CNN's graph turns a slice's feature map into that slice's embedding and looks at no other slice.

    Args:
        graph: all of ``cnn.onnx``.
        where: its path, for messages.
        sequence: logits by embeddings.

    Raises:
        HeadUnknown: at once, not at the first scan.
    """

    def __init__(self, graph: OnnxGraph, where: str, sequence: SequenceGradient) -> None:
        source, self._axes = _untransposed(graph, "features")
        self._pool = GraphPart(graph, source, "embedding", where)
        self._sequence = sequence
        self(_trial(graph.outputs["features"][1:], where), np.zeros(1, np.int32), 0)

    def __call__(self, features: Float, chosen: npt.NDArray[np.int32], channel: int) -> Float:
        """As :class:`SequenceGradient`, for feature maps ``(t, h, w, K)``; gives ``(p, h, w, K)``."""
        tape = self._pool.record(features.transpose(np.argsort(self._axes)), {})
        wanted = np.zeros((1, *tape.value.shape), np.float32)  # (1, t, E): one pass serves all slices
        wanted[0, chosen] = self._sequence(np.asarray(tape.value, np.float32), chosen, channel)
        return np.asarray(tape.back(wanted)[0].transpose(self._axes)[chosen], np.float32)


def _graph(bundle: Bundle, name: str) -> OnnxGraph:
    return read_onnx(bundle.read(name), str(bundle.path / name))


def _untransposed(graph: OnnxGraph, name: str) -> tuple[str, tuple[int, ...]]:
    """The value that ``name`` is a transposed copy of, and the axes that make the one into the other.

    Exports keep feature maps channels first, and turn them only to give them out.
    """
    axes: tuple[int, ...] = tuple(range(len(graph.outputs[name])))
    makers = {node.outputs[0]: node for node in graph.nodes}
    while name in makers and makers[name].op in ("Identity", "Transpose"):
        turned = makers[name].attributes.get("perm", range(len(axes))[:: -1 if makers[name].op == "Transpose" else 1])
        axes = tuple(turned[axis] for axis in axes)
        name = makers[name].inputs[0]
    return name, axes


def _trial(shape: Shape, where: str) -> Float:
    """Inputs of two slices, to see at once whether every operator is known in the way it is used."""
    if not shape or None in shape:
        raise refusal(f"an input of the open shape {shape}", where)
    return np.zeros((_TRIAL_SLICES, *(size or 0 for size in shape)), np.float32)
