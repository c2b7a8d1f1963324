"""The backward pass in numpy gives what TensorFlow's GradientTape gives, and refuses what it does not know."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from hemo_core.bundle import open_bundle, released_bundle
from hemo_core.bundle.keras import quiet_tensorflow
from hemo_core.bundle.onnx_file import OnnxGraph, read_onnx
from hemo_core.errors import BundleSchema, HeadUnknown, MissingExtra
from hemo_core.inference.gradcam import Explainer, choose_explainer, make_explainer
from hemo_core.inference.numpy_gradient.backward import GraphPart
from hemo_core.inference.numpy_gradient.explainer import HeadGradient, SequenceGradient
from hemo_core.inference.session import Engine

pytestmark = pytest.mark.tensorflow

LENGTHS = [1, 2, 5, 40]
WIDTH = 12


@pytest.fixture(scope="module", params=["tiny", "released"])
def both(request: pytest.FixtureRequest) -> tuple[Explainer, Explainer, tuple[int, ...]]:
    """Both explainers of one bundle, and the shape of its feature maps."""
    folder = request.getfixturevalue("tiny_bundle") if request.param == "tiny" else released_bundle()
    bundle = open_bundle(folder)
    picture = np.zeros((1, bundle.input.height, bundle.input.width, bundle.input.channels), np.float32)
    shape = Engine(bundle, device="cpu", threads=1).cnn(picture).features.shape[1:]
    return make_explainer(bundle, "tf"), make_explainer(bundle, "onnx"), shape


@pytest.mark.parametrize("length", LENGTHS)
def test_heat_maps_of_a_bundle_are_those_of_tensorflow(both, length):
    reference, found, shape = both
    features = np.random.default_rng(length).random((length, *shape), np.float32) * 3
    chosen = np.random.default_rng(0).permutation(length)[:32]

    assert found.kind == "onnx"
    maps = found.heatmaps(features, chosen)
    assert np.abs(maps - reference.heatmaps(features, chosen)).max() < 1e-4
    assert maps.max() == 1


def lstm_only(layers: Any, x: Any) -> Any:
    return layers.LSTM(5, return_sequences=True)(x)


def gru_only(layers: Any, x: Any) -> Any:
    return layers.Bidirectional(layers.GRU(6, return_sequences=True))(x)


def no_recurrence(layers: Any, x: Any) -> Any:
    return layers.Dense(9, activation="tanh")(x)


def gru_below_lstm(layers: Any, x: Any) -> Any:
    deep = layers.GRU(7, return_sequences=True)(x)
    deep = layers.Bidirectional(layers.LSTM(3, return_sequences=True))(deep)
    return layers.Concatenate()([deep, layers.Dense(4, activation="sigmoid")(x), x])


def as_trained(layers: Any, x: Any) -> Any:
    deep = layers.Bidirectional(layers.LSTM(8, return_sequences=True))(x)
    deep = layers.Bidirectional(layers.GRU(5, return_sequences=True))(deep)
    return layers.Dense(6, activation="relu")(layers.Concatenate()([deep, x]))


@pytest.mark.parametrize("length", LENGTHS)
@pytest.mark.parametrize("middle", [as_trained, lstm_only, gru_only, no_recurrence, gru_below_lstm])
def test_random_recurrent_heads_of_any_kind_are_those_of_tensorflow(middle, length, exported):
    model, graph = exported(middle)
    embeddings = np.random.default_rng(length).normal(size=(length, WIDTH)).astype(np.float32)
    chosen = np.arange(length, dtype=np.int32)[::-1][:3]
    ours = SequenceGradient(graph, "memory")

    assert ours.logits(embeddings) == pytest.approx(model(embeddings[None])[0].numpy(), abs=1e-5)
    for label in (0, 1):
        expected = taped(model, embeddings, chosen, label)
        assert np.abs(ours(embeddings, chosen, label) - expected).max() < 1e-5 * max(1, np.abs(expected).max())


@pytest.fixture(scope="module")
def exported() -> Callable[[Any], tuple[Any, OnnxGraph]]:
    """Make a recurrent half with large random weights and export it; once each."""
    made: dict[Any, tuple[Any, OnnxGraph]] = {}

    def make(middle: Any) -> tuple[Any, OnnxGraph]:
        if middle not in made:
            quiet_tensorflow()
            import keras

            from hemo_export.graph import sequence_graph
            from hemo_export.submodels import Submodels

            keras.utils.set_random_seed(len(made))
            embeddings = keras.Input((None, WIDTH), name="embeddings")
            logits = keras.layers.Dense(2)(middle(keras.layers, embeddings))
            model = keras.Model(embeddings, logits, name="sequence")
            rng = np.random.default_rng(len(made))
            model.set_weights([rng.normal(0, 0.7, weight.shape) for weight in model.get_weights()])
            proto = sequence_graph(Submodels(None, None, None, model, None, "pooled"), "{}")
            made[middle] = model, read_onnx(proto.SerializeToString(), "memory")
        return made[middle]

    return make


def taped(model: Any, inputs: np.ndarray, chosen: np.ndarray, label: int) -> np.ndarray:
    """One slice at a time, by the book: the gradient of its logit by its own input."""
    import tensorflow as tf

    found = []
    for index in chosen:
        with tf.GradientTape() as tape:
            given = tf.convert_to_tensor(inputs[None])
            tape.watch(given)
            logit = model(given, training=False)[0, int(index), label]
        found.append(tape.gradient(logit, given)[0, int(index)].numpy())
    return np.stack(found)


def test_a_head_that_pools_by_maximum_and_flattens_is_that_of_tensorflow(exported):
    """Odd sides, so that the pool leaves a row and a column out."""
    import keras

    from hemo_core.bundle.keras_layers import PerSlice
    from hemo_export.graph import cnn_graph
    from hemo_export.submodels import Submodels

    layers = keras.layers
    keras.utils.set_random_seed(5)
    cnn = keras.Sequential([keras.Input((10, 10, 1)), layers.Conv2D(4, 3, 2, padding="same", activation="relu")])
    maps = keras.Input((None, 5, 5, 4))
    pooled = PerSlice(layers.Flatten())(PerSlice(layers.MaxPooling2D(2))(maps))
    pool = keras.Model(maps, layers.Dense(WIDTH, activation="relu")(pooled), name="pool")
    model, graph = exported(as_trained)
    head = keras.Model(maps, model(pool(maps)))
    proto = cnn_graph(Submodels(None, cnn, pool, model, head, "general"), "{}")
    ours = HeadGradient(read_onnx(proto.SerializeToString(), "cnn"), "cnn", SequenceGradient(graph, "sequence"))
    features = np.random.default_rng(5).normal(size=(6, 5, 5, 4)).astype(np.float32)
    chosen = np.asarray([5, 0, 3], np.int32)

    assert np.abs(ours(features, chosen, 1) - taped(head, features, chosen, 1)).max() < 1e-5


def test_slices_may_be_named_twice_and_in_any_order(both):
    _, found, shape = both
    features = np.random.default_rng(1).random((4, *shape), np.float32)

    maps = found.heatmaps(features, [2, 0, 2])

    assert maps[0] == pytest.approx(maps[2], abs=1e-5)
    assert maps[1] == pytest.approx(found.heatmaps(features, [0])[0], abs=1e-5)


def softplus(layers: Any, x: Any) -> Any:
    return layers.Dense(6, activation="softplus")(x)


def test_a_head_with_an_operator_that_is_not_known_is_refused_by_name(exported):
    _, graph = exported(softplus)

    with pytest.raises(HeadUnknown, match="the operator Softplus") as refused:
        SequenceGradient(graph, "memory")
    assert (refused.value.code, refused.value.exit_code) == ("head_unknown", 4)
    assert "--explainer tf" in str(refused.value)


@pytest.mark.parametrize(
    ("op", "attributes", "why"),
    [
        ("GRU", {"hidden_size": 2}, "reset gate acts before the matrix"),
        ("LSTM", {"hidden_size": 2, "clip": 1.0}, "LSTM with clip"),
        ("LSTM", {"hidden_size": 2, "activations": ["Relu", "Tanh", "Tanh"]}, "LSTM with activations"),
    ],
)
def test_a_known_operator_in_an_unknown_use_is_refused(op, attributes, why):
    from onnx import TensorProto, helper, numpy_helper

    gates = {"GRU": 3, "LSTM": 4}[op]
    weights = [
        numpy_helper.from_array(np.ones((1, gates * 2, size), np.float32), name) for name, size in (("w", 3), ("r", 2))
    ]
    node = helper.make_node(op, ["embeddings", "w", "r"], ["logits"], **attributes)
    shapes = [helper.make_tensor_value_info(name, TensorProto.FLOAT, None) for name in ("embeddings", "logits")]
    graph = helper.make_graph([node], "g", [shapes[0]], [shapes[1]], weights)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)])
    part = GraphPart(read_onnx(model.SerializeToString(), "memory"), "embeddings", "logits", "memory")

    with pytest.raises(HeadUnknown, match=why):
        part.record(np.zeros((4, 1, 3), np.float32), {})


@pytest.mark.parametrize("name", ["cnn.onnx", "sequence.onnx"])
def test_a_graph_is_read_as_the_onnx_package_reads_it(tiny_bundle: Path, name):
    import onnx

    data = (tiny_bundle / name).read_bytes()
    found, expected = read_onnx(data, name), onnx.load_from_string(data).graph

    assert [(node.op, list(node.inputs), list(node.outputs)) for node in found.nodes] == [
        (node.op_type, list(node.input), list(node.output)) for node in expected.node
    ]
    for node, other in zip(found.nodes, expected.node, strict=True):
        assert node.attributes == {item.name: onnx.helper.get_attribute_value(item) for item in other.attribute}
    assert set(found.weights) == {item.name for item in expected.initializer}
    for item in expected.initializer:
        array = onnx.numpy_helper.to_array(item)
        assert found.weights[item.name].dtype == array.dtype
        assert np.array_equal(found.weights[item.name], array)
    assert list(found.inputs) == [item.name for item in expected.input]


@pytest.mark.parametrize("damage", [lambda data: data[:-7], lambda _: b"", lambda data: b"\xff" * 64 + data])
def test_what_is_no_onnx_graph_is_refused(tiny_bundle: Path, damage):
    with pytest.raises(BundleSchema, match="no ONNX graph"):
        read_onnx(damage((tiny_bundle / "sequence.onnx").read_bytes()), "sequence.onnx")


def test_numbers_stored_one_by_one_are_read_too():
    from onnx import TensorProto, helper

    tensors = [
        helper.make_tensor("floats", TensorProto.FLOAT, [2], [1.5, -2.0]),
        helper.make_tensor("whole", TensorProto.INT64, [1, 2], [-3, 1 << 40]),
        helper.make_tensor("few", TensorProto.INT32, [0], []),
    ]
    model = helper.make_model(helper.make_graph([], "g", [], [], tensors))

    weights = read_onnx(model.SerializeToString(), "memory").weights

    assert {name: array.tolist() for name, array in weights.items()} == {
        "floats": [1.5, -2.0],
        "whole": [[-3, 1 << 40]],
        "few": [],
    }


@pytest.mark.parametrize(
    ("wanted", "installed", "kind"), [("auto", True, "tf"), ("auto", False, "onnx"), ("onnx", True, "onnx")]
)
def test_the_reference_is_taken_where_it_is_installed(wanted, installed, kind, monkeypatch):
    monkeypatch.setattr("hemo_core.inference.gradcam.find_spec", lambda _: object() if installed else None)

    assert choose_explainer(wanted)[0] == kind


def test_tensorflow_that_is_not_installed_is_an_error_that_names_both_extras(monkeypatch):
    monkeypatch.setattr("hemo_core.inference.gradcam.find_spec", lambda _: None)

    with pytest.raises(MissingExtra, match=r"\[worker\].*\[slim\]"):
        choose_explainer("tf")
