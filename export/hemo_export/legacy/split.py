"""An older model of single pictures, CNN → LSTM/GRU on one step, rebuilt in the shape that every export starts from.

Each slice stays a sequence of its own, of length one and from a zero state, however many slices a scan has. The layers
are the model's own; only the recurrences are spelled the one way that has a fused form in ONNX, which over a single
step is the same mathematics, and the sigmoid at the end is left out, so that the output is its very argument.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

from hemo_core.errors import ExportError

Range: TypeAlias = tuple[float, float]
Output = Literal["sigmoid", "logit"]
_OURS = "hemo_"
"""Begins the names of layers that are put among a model's own, whose names Keras counted: ours must be none of them."""

_FAMILY = "expected one picture → convolutions → LSTM and/or GRU on one step → Dense(1), with a sigmoid or without"
_PICTURE, _STEPS = 4, 3  # axes of a tensor of pictures or feature maps, and of a tensor of steps

_SMALL_SCALE = 0.1  # 1/255 and 1/127.5 bring 8-bit grey to about one


@dataclass(frozen=True, slots=True, eq=False)
class Rebuilt:
    """A model as :func:`hemo_export.submodels.split_model` expects it.

    Attributes:
        model: ``(scans, slices, H, W, C)`` in [0, 1] → logits ``(scans, slices, 1)``, positive for the finding.
        explained: name of the layer whose output is A, the feature map that heat maps explain.
        pixels: what black and white are to the model's first own layer.
        output: what the model gave: a probability by way of a sigmoid, or a logit.
    """

    model: Any
    explained: str
    pixels: Range
    output: Output


@dataclass(frozen=True, slots=True, eq=False)
class _Step:
    """One call of a layer, in the order of the data."""

    layer: Any
    given: tuple[Any, ...]
    gave: Any


def rebuild(model: Any, *, pixels: Range | None = None, positive: bool = True) -> Rebuilt:
    """Split a single-picture model and put it together again as CNN, head and sequence.

    Args:
        model: a Keras model ``(n, H, W, C)`` → ``(n, 1)``.
        pixels: what black and white were to it in training; default 0 and 1, or what its own first layer undoes.
        positive: whether a high output speaks for the finding; else the logit's sign is turned.

    Raises:
        ExportError: the model is of another family; says what was found and what is expected.
    """
    import keras

    picture = _picture(model)
    pixels = pixels or _own_range(model)
    slices = keras.Input(picture, name="slice")
    trail: list[_Step] = []
    _replay(model, _scaled(slices, pixels), trail)
    first = _first_recurrence(trail)
    into = trail[first].given[0]
    features, explained = _features(trail[:first], into)
    logits, output = _logits(trail, positive=positive)
    cnn = keras.Model(slices, features, name="cnn")
    return Rebuilt(_assembled(cnn, _pool(features, into), _one_step(into, logits)), explained, pixels, output)


def _picture(model: Any) -> tuple[int, int, int]:
    """``(H, W, C)`` of the one input."""
    inputs, outputs = getattr(model, "inputs", None) or [], getattr(model, "outputs", None) or []
    if len(inputs) != 1 or len(outputs) != 1:
        raise ExportError(f"the model has {len(inputs)} inputs and {len(outputs)} outputs", hint=_FAMILY)
    shape = tuple(inputs[0].shape)
    if len(shape) != _PICTURE or None in shape[1:]:
        raise ExportError(f"the model's input is {shape}, not one picture (n, H, W, C) of a fixed size", hint=_FAMILY)
    return shape[1], shape[2], shape[3]


def _own_range(model: Any) -> Range:
    """0 to 255 where the first layer is a Rescaling from there, else 0 to 1."""
    import keras

    layers = [layer for layer in model.layers if not isinstance(layer, keras.layers.InputLayer)]
    scale = layers[0].scale if layers and isinstance(layers[0], keras.layers.Rescaling) else 1.0
    return (0.0, 255.0) if isinstance(scale, float) and scale < _SMALL_SCALE else (0.0, 1.0)


def _scaled(slices: Any, pixels: Range) -> Any:
    """Pixels in [0, 1] as the model's own first layer wants them."""
    import keras

    low, high = pixels
    if low == high:
        raise ExportError(f"black and white are both {low:g}", hint="expected two values, such as 0 and 255")
    if pixels == (0.0, 1.0):
        return slices
    return keras.layers.Rescaling(high - low, offset=low, name=f"{_OURS}range")(slices)


def _replay(model: Any, given: Any, trail: list[_Step]) -> Any:
    """Call every layer once more, in order, those of nested models one by one; note each call in ``trail``."""
    import keras

    graph = model._functional if isinstance(model, keras.Sequential) else model  # noqa: SLF001 (Keras has no public way)
    if not isinstance(graph, keras.models.Model) or not hasattr(graph, "_run_through_graph"):
        raise ExportError(f"{model.name} is a {type(model).__name__}, whose layers cannot be followed", hint=_FAMILY)

    def call(layer: Any) -> Any:
        def run(*tensors: Any, **options: Any) -> Any:
            if isinstance(layer, keras.Model):
                return _replay(layer, tensors[0], trail)
            _require_float32(layer)
            gave = _recurrence(layer, *tensors) if isinstance(layer, _recurrent()) else layer(*tensors, **options)
            trail.append(_Step(layer, tuple(keras.tree.flatten(tensors)), gave))
            return gave

        return run

    return graph._run_through_graph([given], operation_fn=call)  # noqa: SLF001


def _require_float32(layer: Any) -> None:
    found = getattr(layer, "compute_dtype", "float32")
    if found != "float32":
        hint = "load it with the policy float32, and save it again"
        raise ExportError(f"the layer {layer.name} computes in {found}, not in float32", hint=hint)


def _recurrent() -> tuple[Any, ...]:
    """Every kind of layer that reads steps."""
    import keras

    layers = keras.layers
    return layers.RNN, layers.Bidirectional, layers.TimeDistributed, layers.ConvLSTM1D, layers.ConvLSTM2D


def _recurrence(layer: Any, *given: Any) -> Any:
    """A recurrence over one step ``(n, 1, E)`` → ``(n, 1, U)``, or ``(n, U)`` where the layer gave that."""
    import keras

    if len(given) != 1 or len(given[0].shape) != _STEPS or given[0].shape[1] != 1:
        shapes = ", ".join(str(tuple(one.shape)) for one in given)
        raise ExportError(f"the recurrence {layer.name} takes {shapes}, not one step (n, 1, E)", hint=_FAMILY)
    steps = _one_step_of(layer, given[0])
    return (
        steps if layer.return_sequences else keras.layers.Reshape(steps.shape[2:], name=f"{_OURS}{layer.name}")(steps)
    )


def _one_step_of(layer: Any, given: Any) -> Any:
    """The layer over one step, where both directions are the same one."""
    import keras

    layers = keras.layers
    if not isinstance(layer, layers.Bidirectional):
        return _plain(layer, given)
    merges = {"concat": layers.Concatenate, "sum": layers.Add, "ave": layers.Average, "mul": layers.Multiply}
    if layer.merge_mode not in merges:
        raise ExportError(f"the recurrence {layer.name} gives both directions apart", hint=_FAMILY)
    ways = [_plain(way, given) for way in (layer.forward_layer, layer.backward_layer)]
    return merges[layer.merge_mode](name=layer.name)(ways)


def _plain(layer: Any, given: Any) -> Any:
    """The same with an LSTM or GRU that becomes one ONNX node: its options change nothing over one step.

    Raises:
        ExportError: the layer is of another kind, or has an option that does.
    """
    import keras

    kinds = {keras.layers.LSTM: "LSTM", keras.layers.GRU: "GRU"}
    if type(layer) not in kinds:
        hint = f"the recurrence may be made of {', '.join(kinds.values())}; {_FAMILY}"
        raise ExportError(f"the recurrence {layer.name} is a {type(layer).__name__}", hint=hint)
    usual = layer.activation is keras.activations.tanh and layer.recurrent_activation is keras.activations.sigmoid
    if not usual or layer.stateful or layer.return_state:
        hint = "expected activation tanh, recurrent_activation sigmoid, stateful and return_state off"
        raise ExportError(f"the recurrence {layer.name} has options without a fused form in ONNX", hint=hint)
    plain = type(layer)(layer.units, return_sequences=True, name=layer.name)
    plain.build(given.shape)
    plain.set_weights(_plain_weights(layer))
    return plain(given)


def _plain_weights(layer: Any) -> list[Any]:
    """Kernel, recurrent kernel and bias; zeros where there is none.

    A GRU with ``reset_after=False`` has no second bias; from a zero state one of zeros gives the same numbers.
    """
    import keras
    import numpy as np

    kernel, recurrent, *rest = (np.asarray(weight) for weight in layer.get_weights())
    bias = rest[0] if rest else np.zeros(kernel.shape[-1], np.float32)
    if isinstance(layer, keras.layers.GRU) and bias.ndim == 1:
        bias = np.stack([bias, np.zeros_like(bias)])
    return [kernel, recurrent, bias]


def _first_recurrence(trail: list[_Step]) -> int:
    """Index of the first recurrence, which has to read one step."""
    for index, step in enumerate(trail):
        if isinstance(step.layer, _recurrent()):
            return index
    found = ", ".join(dict.fromkeys(type(step.layer).__name__ for step in trail))
    raise ExportError(f"the model has no LSTM or GRU, only {found}", hint=_FAMILY)


def _features(trail: list[_Step], into: Any) -> tuple[Any, str]:
    """The last convolution's output, or where a branch goes round it, the first feature map after it that all pass."""
    import keras

    convolutions = [index for index, step in enumerate(trail) if _is_convolution(step.layer)]
    if not convolutions:
        raise ExportError("the model has no two-dimensional convolution before its recurrence", hint=_FAMILY)
    for step in trail[convolutions[-1] :]:
        if len(step.gave.shape) != _PICTURE:
            continue
        try:
            keras.Model(step.gave, into)
        except ValueError:  # the graph is disconnected: something reaches the recurrence another way
            continue
        return step.gave, str(step.layer.name)
    last = trail[convolutions[-1]].layer.name
    raise ExportError(f"branches go round the last convolution {last} to the recurrence", hint=_FAMILY)


def _is_convolution(layer: Any) -> bool:
    import keras

    layers = keras.layers
    return isinstance(layer, (layers.Conv2D, layers.DepthwiseConv2D, layers.SeparableConv2D, layers.Conv2DTranspose))


def _logits(trail: list[_Step], *, positive: bool) -> tuple[Any, Output]:
    """The argument of the final sigmoid, ``(n, 1)``: the last Dense with its own weights and no activation."""
    import keras

    layers = keras.layers
    sigmoids, at = 0, len(trail) - 1
    while isinstance(trail[at].layer, (layers.Activation, layers.Flatten, layers.Reshape, layers.Dropout)):
        sigmoids += _is_sigmoid(trail[at].layer)
        at -= 1
        if trail[at].gave is not trail[at + 1].given[0]:
            raise ExportError(f"the model's end branches at {trail[at + 1].layer.name}", hint=_FAMILY)
    last = trail[at].layer
    if not isinstance(last, layers.Dense) or last.units != 1:
        found = f"{type(last).__name__} {last.name} with output {tuple(trail[at].gave.shape)}"
        raise ExportError(f"the model ends in {found}", hint=_FAMILY)
    sigmoids += _is_sigmoid(last)
    if sigmoids > 1:
        raise ExportError("the model ends in two sigmoids, one upon the other", hint=_FAMILY)
    logits = _linear(last, trail[at].given[0], positive=positive)
    return layers.Reshape((1,), name=f"{_OURS}logit")(logits), "sigmoid" if sigmoids else "logit"


def _is_sigmoid(layer: Any) -> bool:
    """Whether a layer ends in a sigmoid; any other activation but none is refused."""
    import keras

    activation = getattr(layer, "activation", keras.activations.linear)
    if activation not in {keras.activations.sigmoid, keras.activations.linear}:
        raise ExportError(f"the model ends in the activation {activation.__name__} of {layer.name}", hint=_FAMILY)
    return bool(activation is keras.activations.sigmoid)


def _linear(dense: Any, given: Any, *, positive: bool) -> Any:
    """A Dense(1) without its activation; with its sign turned if it speaks for the absence of blood."""
    import keras
    import numpy as np

    kernel, *bias = (np.asarray(weight) for weight in dense.get_weights())
    sign = np.float32(1 if positive else -1)
    linear = keras.layers.Dense(1, name=dense.name)
    linear.build(given.shape)
    linear.set_weights([sign * kernel, sign * bias[0] if bias else np.zeros(1, np.float32)])
    return linear(given)


def _pool(features: Any, into: Any) -> Any:
    """A ``(n, h, w, K)`` → embedding ``(n, E)``."""
    import keras

    return keras.Model(features, keras.layers.Reshape(into.shape[2:], name=f"{_OURS}embedding")(into), name="pool")


def _one_step(into: Any, logits: Any) -> Any:
    """Embedding ``(n, E)`` → logit ``(n, 1)``."""
    import keras

    try:
        recurrent = keras.Model(into, logits, name="one_step")
    except ValueError as error:
        raise ExportError("branches go round the recurrence to the output", hint=_FAMILY) from error
    embedding = keras.Input(into.shape[2:], name="embedding")
    return keras.Model(embedding, recurrent(keras.layers.Reshape(into.shape[1:])(embedding)), name="one_slice")


def _assembled(cnn: Any, pool: Any, one_slice: Any) -> Any:
    """The whole model, with the names that :func:`hemo_export.submodels.split_model` looks for."""
    import keras

    from hemo_core.bundle.keras_layers import PerSlice

    embeddings = keras.Input((None, *one_slice.input_shape[1:]), name="embeddings")  # (scans, slices, E)
    sequence = keras.Model(embeddings, PerSlice(one_slice, name="each_slice")(embeddings), name="sequence")
    maps = keras.Input((None, *cnn.output_shape[1:]), name="features")  # (scans, slices, h, w, K)
    head = keras.Model(maps, sequence(PerSlice(pool, name="pool")(maps)), name="head")
    slices = keras.Input((None, *cnn.input_shape[1:]), name="slices")  # (scans, slices, H, W, C)
    return keras.Model(slices, head(PerSlice(cnn, name="per_slice")(slices)), name="hemo")
