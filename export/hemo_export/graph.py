"""Keras → ONNX: two graphs, ``cnn.onnx`` and ``sequence.onnx``, with fused recurrences and ragged batches."""

from __future__ import annotations

import contextlib
from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any

from hemo_core.errors import ExportError
from hemo_core.inference.session import CONTRACT_KEY
from hemo_export.submodels import Submodels

OPSET = 17
_LOOPS = frozenset({"Loop", "If", "Scan"})
_RECURRENT = frozenset({"LSTM", "GRU"})
_LENGTHS_INPUT = 4  # position of sequence_lens among the inputs of the ONNX operators LSTM and GRU


def cnn_graph(submodels: Submodels, contract: str) -> Any:
    """The ONNX model ``slices (n, H, W, C)`` → ``features (n, h, w, K)``, ``embedding (n, E)``.

    Args:
        submodels: the Keras models.
        contract: text for ``metadata_props``.

    Raises:
        ExportError: the graph holds a loop or a branch.
    """
    import tensorflow as tf

    signature = [tf.TensorSpec((None, *submodels.cnn.input_shape[1:]), tf.float32, name="slices")]

    @tf.function(input_signature=signature)  # type: ignore[untyped-decorator]
    def run(slices: Any) -> dict[str, Any]:
        features = submodels.cnn(slices, training=False)
        pooled = submodels.explain == "pooled"
        embedding = tf.reduce_mean(features, (1, 2)) if pooled else submodels.pool(features[None], training=False)[0]
        return {"features": features, "embedding": embedding}

    proto = _convert(run, signature, contract)
    _require_ops(proto, "cnn", recurrent=Counter())
    return proto


def sequence_graph(submodels: Submodels, contract: str) -> Any:
    """The ONNX model ``embeddings (scans, slices, E)``, ``lengths (scans,)`` → ``logits (scans, slices, L)``.

    Logits at and beyond a scan's length mean nothing.

    Raises:
        ExportError: a recurrence did not become one node, or the graph holds a loop or a branch.
    """
    import tensorflow as tf

    signature = [tf.TensorSpec((None, None, submodels.sequence.input_shape[-1]), tf.float32, name="embeddings")]

    @tf.function(input_signature=signature)  # type: ignore[untyped-decorator]
    def run(embeddings: Any) -> dict[str, Any]:
        with _fusable_gru(submodels.sequence):
            return {"logits": submodels.sequence(embeddings, training=False)}

    proto = _convert(run, signature, contract)
    _require_ops(proto, "sequence", recurrent=recurrent_layers(submodels.sequence))
    return _with_lengths(proto, scan_memory=submodels.memory == "scan")


def op_census(proto: Any) -> dict[str, int]:
    """How often each operator occurs in an ONNX model."""
    return dict(sorted(Counter(node.op_type for node in proto.graph.node).items()))


def _convert(function: Any, signature: list[Any], contract: str) -> Any:
    """Run tf2onnx, and have ONNX check what came out: tf2onnx may write a broken graph without raising."""
    import onnx
    import tf2onnx

    proto, _ = tf2onnx.convert.from_function(function, input_signature=signature, opset=OPSET)
    onnx.helper.set_model_props(proto, {CONTRACT_KEY: contract})
    try:
        onnx.checker.check_model(proto, full_check=True)
    except (onnx.checker.ValidationError, onnx.shape_inference.InferenceError) as error:
        raise ExportError(f"tf2onnx wrote an invalid graph: {error}") from error
    return proto


def _require_ops(proto: Any, name: str, recurrent: Mapping[str, int]) -> None:
    """No loops, and exactly the fused nodes that the Keras layers ask for."""
    census = op_census(proto)
    loops = sorted(_LOOPS & set(census))
    if loops:
        raise ExportError(f"the {name} graph holds {', '.join(loops)}", hint="a layer has no fused form in ONNX")
    found = {op: census.get(op, 0) for op in _RECURRENT}
    if found != {op: recurrent.get(op, 0) for op in _RECURRENT}:
        raise ExportError(f"the {name} graph has {found}, the model has {dict(recurrent)}")
    if any(op.startswith("ReverseSequence") for op in census):
        raise ExportError(f"the {name} graph reverses slices outside its recurrent nodes, so lengths cannot hold")


def recurrent_layers(model: Any) -> Counter[str]:
    """How many ONNX nodes each kind of recurrence should give; both directions share one."""
    import keras

    layers = model._flatten_layers()  # noqa: SLF001 (Keras has no public way)
    kinds = {keras.layers.LSTM: "LSTM", keras.layers.GRU: "GRU"}
    backward = {id(layer.backward_layer) for layer in layers if isinstance(layer, keras.layers.Bidirectional)}
    return Counter(kinds[type(layer)] for layer in layers if type(layer) in kinds and id(layer) not in backward)


def _with_lengths(proto: Any, *, scan_memory: bool) -> Any:
    """Feed a new input ``lengths`` int32 ``(scans,)`` into every recurrent node.

    With it the backward direction of a node begins at each scan's own last slice (ONNX operators LSTM and GRU,
    ``sequence_lens``), so that a padded scan gives what it gives alone. Where each slice is a sequence of its own there
    is nothing to be told: the input is there, as everywhere, and no node reads it.
    """
    import onnx

    scans = proto.graph.input[0].type.tensor_type.shape.dim[0].dim_param or "scans"
    proto.graph.input.append(onnx.helper.make_tensor_value_info("lengths", onnx.TensorProto.INT32, [scans]))
    for node in proto.graph.node:
        if scan_memory and node.op_type in _RECURRENT:
            node.input[_LENGTHS_INPUT] = "lengths"
    onnx.checker.check_model(proto, full_check=True)
    return proto


@contextlib.contextmanager
def _fusable_gru(model: Any) -> Iterator[None]:
    """While a graph is traced, spell Keras's GRU step the way tf2onnx knows and turns into one GRU node.

    Keras 3 slices its matrices and unstacks its bias inside the loop; here the bias is unstacked outside. The
    mathematics is Keras's own (``reset_after=True``); a GRU of the other kind is left alone and fails the op census.
    """
    import keras
    import tensorflow as tf

    cell_class = keras.layers.GRUCell
    cells = [layer.cell for layer in model._flatten_layers() if isinstance(layer, keras.layers.GRU)]  # noqa: SLF001
    biases = {
        id(cell): tuple(tf.unstack(tf.convert_to_tensor(cell.bias), axis=0)) for cell in cells if cell.reset_after
    }
    original = cell_class.call

    def step(self: Any, inputs: Any, states: Any, training: bool = False) -> tuple[Any, list[Any]]:
        if id(self) not in biases:
            result: tuple[Any, list[Any]] = original(self, inputs, states, training=training)
            return result
        before = states[0] if isinstance(states, (list, tuple)) else states
        bias_in, bias_back = biases[id(self)]
        from_input = tf.nn.bias_add(tf.matmul(inputs, self.kernel), bias_in)
        from_state = tf.nn.bias_add(tf.matmul(before, self.recurrent_kernel), bias_back)
        update_in, reset_in, new_in = tf.split(from_input, 3, axis=-1)
        update_back, reset_back, new_back = tf.split(from_state, 3, axis=-1)
        update = tf.sigmoid(update_in + update_back)
        fresh = tf.tanh(new_in + tf.sigmoid(reset_in + reset_back) * new_back)
        state = update * before + (1 - update) * fresh
        return state, [state]

    cell_class.call = step
    try:
        yield
    finally:
        cell_class.call = original
