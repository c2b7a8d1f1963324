"""What each ONNX operator of a head does, and how a gradient goes back through it: one rule an operator.

A rule takes the node and its inputs' values and gives the output and a pullback, or no pullback where the output is no
differentiable function of any input (shapes). A pullback takes gradients by the output ``(p, *output)``, p of them side
by side, and gives gradients by each input ``(p, *input)``, None for an input it does not differentiate.

An operator that is not here, or is used in a way a rule does not cover, is refused: :class:`Unknown`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import Any, TypeAlias

import numpy as np

from hemo_core.bundle.onnx_file import Array, Node
from hemo_core.inference.numpy_gradient.recurrence import Cells, gru, lstm, sigmoid

Values: TypeAlias = Sequence[Array]
Pullback: TypeAlias = Callable[[Array], tuple[Array | None, ...]]
Rule: TypeAlias = Callable[[Node, Values], tuple[Array, Pullback | None]]

OPSETS = range(13, 19)  # since 13 the axes of Squeeze and Unsqueeze are inputs; beyond 18 nothing was looked at
_MATRIX, _PLANES = 2, 4  # axes of a matrix, and of planes (n, channels, height, width)
_FLOATS = frozenset({1, 11})
_CASTS: Mapping[int, type[np.generic]] = {1: np.float32, 6: np.int32, 7: np.int64, 9: np.bool_, 11: np.float64}
_ACTIVATIONS = {"LSTM": [b"Sigmoid", b"Tanh", b"Tanh"], "GRU": [b"Sigmoid", b"Tanh"]}
_BACKWARD = {b"forward": (False,), b"reverse": (True,), b"bidirectional": (False, True)}


class Unknown(ValueError):  # noqa: N818 (it says what the operator is)
    """An operator, or a use of one, that no rule covers."""


def _identity(_: Node, values: Values) -> tuple[Array, Pullback]:
    return values[0], lambda gradient: (gradient,)


def _cast(node: Node, values: Values) -> tuple[Array, Pullback | None]:
    to = node.attributes["to"]
    if to not in _CASTS:
        raise Unknown(f"a Cast to type {to}")
    floats = to in _FLOATS and np.issubdtype(values[0].dtype, np.floating)
    return values[0].astype(_CASTS[to]), (lambda gradient: (gradient,)) if floats else None


def _shape(node: Node, values: Values) -> tuple[Array, None]:
    _expect(node)
    return np.asarray(values[0].shape, np.int64), None


def _gather(node: Node, values: Values) -> tuple[Array, None]:
    _expect(node, axis=0)
    return np.take(values[0], values[1], axis=0), None


def _expand(_: Node, values: Values) -> tuple[Array, None]:
    shape = np.broadcast_shapes(values[0].shape, tuple(map(int, values[1])))
    return np.broadcast_to(values[0], shape), None


def _constant(node: Node, _: Values) -> tuple[Array, None]:
    value = node.attributes.get("value")
    if not isinstance(value, np.ndarray):
        raise Unknown("a Constant that is no array")
    return value, None


def _constant_of_shape(node: Node, values: Values) -> tuple[Array, None]:
    value = node.attributes.get("value", np.zeros(1, np.float32))
    return np.full(tuple(map(int, values[0])), value[0], value.dtype), None


def _reduce_prod(node: Node, values: Values) -> tuple[Array, None]:
    _expect(node, axes=node.attributes.get("axes"), keepdims=(0, 1), noop_with_empty_axes=0)
    axes = node.attributes.get("axes", values[1] if len(values) > 1 else None)
    along = None if axes is None else tuple(map(int, axes))
    return np.prod(values[0], axis=along, keepdims=bool(node.attributes.get("keepdims", 1))), None


def _concat(node: Node, values: Values) -> tuple[Array, Pullback]:
    axis = node.attributes["axis"] % values[0].ndim
    borders = np.cumsum([value.shape[axis] for value in values])[:-1]
    return np.concatenate(values, axis), lambda gradient: tuple(np.split(gradient, borders, axis + 1))


def _slice(_: Node, values: Values) -> tuple[Array, Pullback]:
    source, starts, ends, *more = values
    axes = more[0] if more else np.arange(len(starts))
    steps = more[1] if more[1:] else np.ones(len(starts), np.int64)
    place = [slice(None)] * source.ndim
    for axis, start, end, step in zip(axes, starts, ends, steps, strict=True):
        if step < 0:
            raise Unknown("a Slice that runs backwards")
        place[int(axis)] = slice(int(start), int(end), int(step))

    def pullback(gradient: Array) -> tuple[Array | None, ...]:
        whole = np.zeros((len(gradient), *source.shape), gradient.dtype)
        whole[(slice(None), *place)] = gradient
        return whole, *[None] * (len(values) - 1)

    return source[tuple(place)], pullback


def _squeeze(_: Node, values: Values) -> tuple[Array, Pullback]:
    axes = tuple(map(int, values[1])) if len(values) > 1 else None
    return _reshaped(values, np.squeeze(values[0], axes).shape)


def _unsqueeze(_: Node, values: Values) -> tuple[Array, Pullback]:
    return _reshaped(values, np.expand_dims(values[0], tuple(map(int, values[1]))).shape)


def _reshape(node: Node, values: Values) -> tuple[Array, Pullback]:
    _expect(node, allowzero=0)
    wanted = [int(size) or values[0].shape[at] for at, size in enumerate(values[1])]  # 0: as in the input
    return _reshaped(values, values[0].reshape(wanted).shape)


def _flatten(node: Node, values: Values) -> tuple[Array, Pullback]:
    _expect(node, axis=1)
    return _reshaped(values, (len(values[0]), values[0].size // max(1, len(values[0]))))


def _reshaped(values: Values, shape: tuple[int, ...]) -> tuple[Array, Pullback]:
    before = values[0].shape
    rest = [None] * (len(values) - 1)
    return values[0].reshape(shape), lambda gradient: (gradient.reshape(len(gradient), *before), *rest)


def _transpose(node: Node, values: Values) -> tuple[Array, Pullback]:
    axes = node.attributes.get("perm", range(values[0].ndim)[::-1])
    back = (0, *(1 + np.argsort(axes)))
    return values[0].transpose(axes), lambda gradient: (gradient.transpose(back),)


def _matmul(_: Node, values: Values) -> tuple[Array, Pullback]:
    left, right = values
    if right.ndim != _MATRIX:
        raise Unknown("a MatMul by something that is no matrix")
    return left @ right, lambda gradient: (gradient @ right.T, None)


def _gemm(node: Node, values: Values) -> tuple[Array, Pullback]:
    _expect(node, alpha=1.0, beta=1.0, transA=0, transB=(0, 1))
    left, matrix, *offset = values
    right = matrix.T if node.attributes.get("transB", 0) else matrix
    rest = [None] * (len(values) - 1)
    return sum(offset, left @ right), lambda gradient: (gradient @ right.T, *rest)


def _add(_: Node, values: Values) -> tuple[Array, Pullback]:
    left, right = values
    return left + right, lambda gradient: (_folded(gradient, left), _folded(gradient, right))


def _multiply(_: Node, values: Values) -> tuple[Array, Pullback]:
    left, right = values
    return left * right, lambda gradient: (_folded(gradient * right, left), _folded(gradient * left, right))


def _folded(gradient: Array, value: Array) -> Array:
    """Sum over what broadcasting repeated."""
    surplus = gradient.ndim - 1 - value.ndim
    summed = gradient.sum(axis=tuple(range(1, 1 + surplus)))
    ones = tuple(axis + 1 for axis, size in enumerate(value.shape) if size == 1)
    return np.asarray(summed.sum(axis=ones, keepdims=True))


def _relu(_: Node, values: Values) -> tuple[Array, Pullback]:
    passed = values[0] > 0
    return np.where(passed, values[0], 0).astype(values[0].dtype), lambda gradient: (gradient * passed,)


def _tanh(_: Node, values: Values) -> tuple[Array, Pullback]:
    result = np.tanh(values[0])
    return result, lambda gradient: (gradient * (1 - result * result),)


def _sigmoid(_: Node, values: Values) -> tuple[Array, Pullback]:
    result = sigmoid(values[0])
    return result, lambda gradient: (gradient * (result * (1 - result)),)


def _max_pool(node: Node, values: Values) -> tuple[Array, Pullback]:
    """Only windows that do not overlap; of equal values the first gets the gradient, as in TensorFlow."""
    size = node.attributes["kernel_shape"]
    if "strides" not in node.attributes:
        raise Unknown("a MaxPool whose windows overlap")
    _expect(
        node,
        auto_pad=(b"NOTSET", b"VALID"),
        ceil_mode=0,
        dilations=[1, 1],
        kernel_shape=size,
        pads=[0, 0, 0, 0],
        storage_order=0,
        strides=size,
    )
    source = values[0]  # (n, K, height, width)
    if source.ndim != _PLANES:
        raise Unknown("a MaxPool that is not over height and width")
    rows, columns = source.shape[2] // size[0], source.shape[3] // size[1]
    kept = source[:, :, : rows * size[0], : columns * size[1]]
    windows = kept.reshape(*source.shape[:2], rows, size[0], columns, size[1]).swapaxes(3, 4)
    flat = windows.reshape(*source.shape[:2], rows, columns, -1)
    first = flat.argmax(axis=-1)[..., None]

    def pullback(gradient: Array) -> tuple[Array]:
        spread = np.zeros((len(gradient), *flat.shape), gradient.dtype)
        np.put_along_axis(spread, np.broadcast_to(first, (len(gradient), *first.shape)), gradient[..., None], axis=-1)
        tiles = spread.reshape(len(gradient), *windows.shape).swapaxes(4, 5)
        whole = np.zeros((len(gradient), *source.shape), gradient.dtype)
        whole[..., : rows * size[0], : columns * size[1]] = tiles.reshape(len(gradient), *kept.shape)
        return (whole,)

    return np.take_along_axis(flat, first, axis=-1)[..., 0], pullback


def _global_average(node: Node, values: Values) -> tuple[Array, Pullback]:
    _expect(node)
    shape = values[0].shape
    area = int(np.prod(shape[2:]))

    def pullback(gradient: Array) -> tuple[Array]:
        return (np.broadcast_to(gradient / np.float32(area), (len(gradient), *shape)),)

    return values[0].mean(axis=tuple(range(2, len(shape))), keepdims=True), pullback


def _lstm(node: Node, values: Values) -> tuple[Array, Pullback]:
    cells, (state, memory) = _recurrent(node, values, starts=2)
    states, back = lstm(values[0], cells, state, memory)
    return states, lambda gradient: (back(gradient), *[None] * (len(values) - 1))


def _gru(node: Node, values: Values) -> tuple[Array, Pullback]:
    if node.attributes.get("linear_before_reset") != 1:
        raise Unknown("a GRU whose reset gate acts before the matrix")
    cells, (state,) = _recurrent(node, values, starts=1)
    states, back = gru(values[0], cells, state)
    return states, lambda gradient: (back(gradient), *[None] * (len(values) - 1))


def _recurrent(node: Node, values: Values, *, starts: int) -> tuple[Cells, list[Array]]:
    """What LSTM and GRU have in common: the weights, and the first states ``(D, scans, u)``."""
    backward = _BACKWARD[node.attributes.get("direction", b"forward")]
    inputs, kernel, recurrent = values[:3]  # (t, scans, features), (D, G·u, features), (D, G·u, u)
    _expect(
        node,
        activations=_ACTIVATIONS[node.op] * len(backward),
        direction=tuple(_BACKWARD),
        hidden_size=recurrent.shape[2],
        input_forget=0,
        layout=0,
        linear_before_reset=1,
    )
    steps, scans = inputs.shape[:2]
    if any(value.size for value in values[5 + starts :]):
        raise Unknown(f"{node.op} with peepholes")
    if any((lengths != steps).any() for lengths in values[4:5] if lengths.size):
        raise Unknown(f"{node.op} that ends before its last slice")
    own, past = np.split(_given(values, 3, (len(backward), 2 * kernel.shape[1])), 2, axis=1)
    first = [_given(values, 5 + place, (len(backward), scans, recurrent.shape[2])) for place in range(starts)]
    return Cells(kernel, recurrent, own, past, backward), first


def _given(values: Values, place: int, shape: tuple[int, ...]) -> Array:
    """An optional input; zeros where it was left out."""
    left_out = len(values) <= place or not values[place].size
    return np.zeros(shape, np.float32) if left_out else values[place]


def _expect(node: Node, **allowed: Any) -> None:
    """Every attribute has an allowed value, or one of a tuple of them. Raises Unknown."""
    for name, value in node.attributes.items():
        options = allowed.get(name, ())
        if value not in (options if isinstance(options, tuple) else (options,)):
            raise Unknown(f"{node.op} with {name} = {value!r}")


RULES: Mapping[str, Rule] = MappingProxyType(
    {
        "Add": _add,
        "Cast": _cast,
        "Concat": _concat,
        "Constant": _constant,
        "ConstantOfShape": _constant_of_shape,
        "Expand": _expand,
        "Flatten": _flatten,
        "GRU": _gru,
        "Gather": _gather,
        "Gemm": _gemm,
        "GlobalAveragePool": _global_average,
        "Identity": _identity,
        "LSTM": _lstm,
        "MatMul": _matmul,
        "MaxPool": _max_pool,
        "Mul": _multiply,
        "ReduceProd": _reduce_prod,
        "Relu": _relu,
        "Reshape": _reshape,
        "Shape": _shape,
        "Sigmoid": _sigmoid,
        "Slice": _slice,
        "Squeeze": _squeeze,
        "Tanh": _tanh,
        "Transpose": _transpose,
        "Unsqueeze": _unsqueeze,
    }
)
