"""An older single-picture model becomes a bundle that answers as the file itself does, or is refused with a reason."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from findings import one_finding
from old_model import NOTEBOOK, SIDE, answers, functional, notebook_model, save

from hemo_core.bundle import Bundle
from hemo_core.bundle.contract import Window
from hemo_core.bundle.keras import load_keras, quiet_tensorflow
from hemo_core.errors import BundleUnsafe, ExportError
from hemo_core.inference.gradcam import Explainer
from hemo_core.inference.session import Engine
from hemo_core.phantoms import PhantomSpec, make_phantom
from hemo_core.scans.preprocess import apply_window, crop_resize, to_input, whole_box
from hemo_export.graph import cnn_graph, op_census, sequence_graph
from hemo_export.legacy.make_run import STATEMENT, Assumptions, bundle_name, make_run
from hemo_export.package import export_run
from hemo_export.run_folder import read_run
from hemo_export.submodels import split_model

pytestmark = pytest.mark.tensorflow


def pictures(side: int, channels: int = 1) -> np.ndarray:
    """Slices of a phantom, uint8 ``(4, side, side, channels)``."""
    hu = make_phantom(PhantomSpec(5, bleed="epidural", slices=4, rows=96, detail="fast")).hu.astype(np.float32)
    greys = [np.repeat(apply_window(plane, Window(40, 120))[..., None], channels, -1) for plane in hu]
    return np.stack([crop_resize(grey, whole_box(grey[..., 0]), side, side) for grey in greys])


def in_onnxruntime(run: Path, slices: np.ndarray) -> tuple[np.ndarray, dict[str, int]]:
    """Logits ``(n,)`` of the graphs of a run, and the operators of the sequence. ``slices`` are one scan."""
    import onnxruntime

    parts = split_model(load_keras(run / "model.keras"))
    graphs = cnn_graph(parts, "{}"), sequence_graph(parts, "{}")
    cnn, sequence = (onnxruntime.InferenceSession(graph.SerializeToString()) for graph in graphs)
    embedding = cnn.run(["embedding"], {"slices": slices})[0][None]
    feeds = {"embeddings": embedding, "lengths": np.asarray([len(slices)], np.int32)}
    return sequence.run(["logits"], feeds)[0][0, :, 0], op_census(graphs[1])


def check_bundle(bundle: Bundle, model: Any) -> None:
    """Through the very classes a worker runs: logits and heat maps are those of the model as saved."""
    slices = to_input(pictures(bundle.input.height))
    logits, maps = answers(model, slices)
    engine = Engine(bundle, device="cpu", threads=1)
    output = engine.cnn(slices)
    assert np.abs(engine.sequence(output.embeddings)[:, 0] - logits).max() < 1e-4
    assert np.ptp(logits) > 0.01
    for kind in ("tf", "onnx"):
        found = Explainer(bundle, kind).heatmaps(output.features, range(len(slices)))
        assert found.shape == maps.shape
        assert np.abs(found - maps).max() < 1e-4
    assert maps.any()


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small model of the notebook's shape, saved as ``Old Model.h5``."""
    return save(notebook_model(), tmp_path_factory.mktemp("old") / "Old Model.h5")


@pytest.fixture(scope="module")
def exported(small: Path, tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    scratch = tmp_path_factory.mktemp("scratch")
    return export_run(make_run(small, scratch), scratch / "out", version="1.0.0", measure=False)


@pytest.mark.slow
def test_the_bundle_of_an_h5_file_answers_and_explains_as_the_model_does(exported: Bundle):
    assert exported.path.name == "old-model-1.0.0"
    assert exported.content["explain"] == {"method": "grad-cam", "path": "general", "memory": "slice"}
    check_bundle(exported, notebook_model())


@pytest.mark.slow
def test_the_bundle_says_what_is_not_known(exported: Bundle):
    origin = exported.content["origin"]
    assert (origin["statement"], origin["file"], origin["format"]) == (STATEMENT, "Old Model.h5", "hdf5")
    assert origin["told"]["threshold"] == {"value": 0.5, "by": "assumed"}
    assert origin["calibrated"] is False
    assert (exported.content["metrics"], exported.scoring.temperature) == ({}, 1.0)
    assert exported.input.imported
    card = exported.read("MODEL_CARD.md").decode()
    assert "no evidence of its accuracy is known" in card
    assert "Research" in card or "research" in card


@pytest.mark.slow
def test_the_notebooks_own_model_becomes_a_bundle(tmp_path: Path):
    model = notebook_model(NOTEBOOK)
    assert 25e6 < model.count_params() < 27e6
    run = make_run(save(model, tmp_path / "notebook.keras"), tmp_path)
    check_bundle(export_run(run, tmp_path / "out", version="1.0.0", measure=False), model)


def test_the_logit_is_the_very_argument_of_the_sigmoid(tmp_path: Path):
    """Weights so steep that the sigmoid is 0 or 1 to the last bit: no inverse would find the logit again."""
    model = notebook_model()
    kernel, bias = model.layers[-1].get_weights()
    model.layers[-1].set_weights([kernel * 1e4, bias + 7])
    slices = to_input(pictures(SIDE))
    logits, _ = answers(model, slices)
    assert set(np.asarray(model(slices)).ravel()) <= {0.0, 1.0}
    run = make_run(save(model, tmp_path / "steep.keras"), tmp_path)
    found, census = in_onnxruntime(run, slices)
    assert np.abs(found / logits - 1).max() < 1e-5
    assert (census["LSTM"], census["GRU"]) == (1, 1)


def with_batch_norm(layers: Any, x: Any) -> Any:
    x = layers.Conv2D(4, 5, strides=2, use_bias=False, name="stem")(x)
    x = layers.ReLU()(layers.BatchNormalization()(x))
    x = layers.Conv2D(6, 3, name="deep")(x)
    x = layers.LeakyReLU()(layers.BatchNormalization()(x))
    x = layers.Dropout(0.2)(layers.Dense(8, activation="relu")(layers.Flatten()(layers.MaxPooling2D()(x))))
    x = layers.GRU(5)(layers.LSTM(6, return_sequences=True)(layers.Reshape((1, 8))(x)))
    return layers.Activation("sigmoid")(layers.Dense(1)(layers.Dense(4, activation="relu")(x)))


def pooled_lstm_only(layers: Any, x: Any) -> Any:
    x = layers.Conv2D(6, 3, activation="relu")(x)
    x = layers.RepeatVector(1)(layers.GlobalAveragePooling2D()(x))
    return layers.Dense(1, activation="sigmoid")(layers.LSTM(5)(x))


def gru_of_the_older_kind(layers: Any, x: Any) -> Any:
    x = layers.Flatten()(layers.Conv2D(3, 3, strides=3, activation="relu")(x))
    x = layers.GRU(5, reset_after=False, use_bias=True, return_sequences=True)(layers.Reshape((1, 300))(x))
    return layers.Flatten()(layers.Dense(1, activation="sigmoid")(x))


def both_directions_without_bias(layers: Any, x: Any) -> Any:
    x = layers.GlobalMaxPooling2D()(layers.Conv2D(6, 3, activation="relu")(x))
    x = layers.Bidirectional(layers.LSTM(5, use_bias=False, return_sequences=True))(layers.Reshape((1, 6))(x))
    return layers.Dense(1)(layers.Bidirectional(layers.GRU(4, dropout=0.2))(x))


def rescaled_colour(layers: Any, x: Any) -> Any:
    x = layers.Conv2D(6, 3, activation="relu")(layers.Rescaling(1 / 255)(x))
    x = layers.GlobalAveragePooling2D()(x)
    return layers.Dense(1, activation="sigmoid")(layers.LSTM(5)(layers.Reshape((1, 6))(x)))


@pytest.mark.parametrize(
    ("body", "channels", "suffix"),
    [
        (with_batch_norm, 1, ".keras"),
        (pooled_lstm_only, 1, ".h5"),
        (gru_of_the_older_kind, 1, ".h5"),
        (both_directions_without_bias, 1, ".keras"),
        (rescaled_colour, 3, ".h5"),
    ],
)
def test_variants_of_the_family_give_the_same_logits(body: Any, channels: int, suffix: str, tmp_path: Path):
    model = functional(body, channels)
    slices = to_input(pictures(SIDE, channels))
    own = slices * 255 if body is rescaled_colour else slices
    run = make_run(save(model, tmp_path / f"old{suffix}"), tmp_path)
    found, _ = in_onnxruntime(run, slices)
    logits, _ = answers(model, own) if model.layers[-1].name != "flatten" else (logits_of(model, own), None)
    assert np.abs(found - logits).max() < 1e-4
    assert np.ptp(logits) > 1e-3
    pooled = "pooled" if body in {pooled_lstm_only, rescaled_colour} else "general"
    assert split_model(load_keras(run / "model.keras")).explain == pooled


def logits_of(model: Any, slices: np.ndarray) -> np.ndarray:
    """By the inverse of the sigmoid, where the last layers change the shape."""
    probability = np.asarray(model(slices), np.float64).reshape(-1)
    return np.log(probability / (1 - probability))


def test_a_nested_network_is_followed(tmp_path: Path):
    quiet_tensorflow()
    import keras

    layers = keras.layers
    trunk = keras.Sequential([keras.Input((SIDE, SIDE, 1)), layers.Conv2D(5, 3, activation="relu", name="eye")])
    model = functional(lambda _, x: layers.Dense(1, activation="sigmoid")(recurrence(layers, trunk(x))))
    run = make_run(save(model, tmp_path / "nested.keras"), tmp_path)
    slices = to_input(pictures(SIDE))
    assert np.abs(in_onnxruntime(run, slices)[0] - logits_of(model, slices)).max() < 1e-4
    assert json.loads((run / "run.json").read_text("utf-8"))["origin"]["explained_layer"] == "eye"


@pytest.mark.parametrize("built_before", [0, 1, 2])
def test_names_that_keras_counted_are_not_taken_a_second_time(tmp_path: Path, built_before: int):
    quiet_tensorflow()
    import keras

    keras.utils.clear_session()  # counting begins anew, as in the notebook that the model came from
    for _ in range(built_before):
        keras.layers.Reshape((1,))
    file = save(notebook_model(), tmp_path / "counted.keras")
    keras.utils.clear_session()  # and as in the process that imports it
    run = make_run(file, tmp_path)

    slices = to_input(pictures(SIDE))
    assert np.abs(in_onnxruntime(run, slices)[0] - logits_of(load_keras(file), slices)).max() < 1e-4


def recurrence(layers: Any, x: Any) -> Any:
    return layers.LSTM(4)(layers.Reshape((1, 5))(layers.GlobalAveragePooling2D()(x)))


def test_what_the_owner_says_is_kept(small: Path, tmp_path: Path):
    assumed = Assumptions(0.3, (Window(35, 80),), "head", (-1.0, 1.0), "no-hemorrhage", 0.0, 4.0, "CC BY 4.0")
    run = make_run(small, tmp_path, name="mine", assumed=assumed)
    content = json.loads((run / "run.json").read_text("utf-8"))
    assert content["name"] == "mine"
    assert content["input"]["windows"] == [{"level": 35, "width": 80}]
    assert (content["input"]["slice_spacing_mm"], content["input"].get("crop", "head")) == (0.0, "head")
    assert read_run(run).scoring == one_finding(beta=4.0, threshold=0.3)
    assert content["licence"] == "CC BY 4.0"
    assert {one["by"] for one in content["origin"]["told"].values()} == {"owner"}
    slices = to_input(pictures(SIDE))
    logits, _ = answers(notebook_model(), slices * 2 - 1)
    found, _ = in_onnxruntime(run, slices)
    assert np.abs(found + logits).max() < 1e-4


def test_windows_have_to_fit_the_channels(small: Path, tmp_path: Path):
    with pytest.raises(ExportError, match="2 windows for a model of 1 channels"):
        make_run(small, tmp_path, assumed=Assumptions(windows=(Window(40, 80), Window(80, 200))))


def as_keras_2(source: Path, target: Path, *, recurrent_activation: str = "sigmoid") -> Path:
    """The same weights under an architecture in the words of Keras 2."""
    import h5py

    target.write_bytes(source.read_bytes())
    with h5py.File(target, "r+") as file:
        config = json.loads(file.attrs["model_config"])
        for layer in config["config"]["layers"]:
            fields = layer["config"]
            if layer["class_name"] in {"LSTM", "GRU"}:
                fields |= {"time_major": False, "implementation": 2, "recurrent_activation": recurrent_activation}
            if layer["class_name"] == "InputLayer":
                fields["batch_input_shape"] = fields.pop("batch_shape")
                fields |= {"sparse": False, "ragged": False}
            if layer["class_name"] == "Conv2D":
                fields["batch_input_shape"] = [None, SIDE, SIDE, 1]
            for name in ("optional", "quantization_config", "module", "registered_name", "build_config"):
                layer.pop(name, None)
                fields.pop(name, None)
        file.attrs["model_config"] = json.dumps(config)
        file.attrs["keras_version"] = "2.11.0"
    return target


def test_a_file_of_keras_2_is_read_though_keras_3_alone_refuses_it(small: Path, tmp_path: Path):
    import keras

    file = as_keras_2(small, tmp_path / "older.h5")
    with pytest.raises(ValueError, match="time_major"):
        keras.saving.load_model(file, compile=False)
    run = make_run(file, tmp_path)
    slices = to_input(pictures(SIDE))
    assert np.abs(in_onnxruntime(run, slices)[0] - answers(notebook_model(), slices)[0]).max() < 1e-4
    assert json.loads((run / "run.json").read_text("utf-8"))["origin"]["keras_version"] == "2.11.0"


def test_what_keras_3_would_compute_in_another_way_is_refused(small: Path, tmp_path: Path):
    file = as_keras_2(small, tmp_path / "older.h5", recurrent_activation="hard_sigmoid")
    with pytest.raises(ExportError, match="hard_sigmoid"):
        make_run(file, tmp_path)


@pytest.mark.parametrize("suffix", [".h5", ".keras"])
def test_a_lambda_layer_is_refused_before_anything_is_built(suffix: str, tmp_path: Path, monkeypatch):
    import keras

    model = functional(lambda layers, x: layers.Dense(1)(layers.Flatten()(layers.Lambda(lambda y: y)(x))))
    file = save(model, tmp_path / f"lambda{suffix}")
    monkeypatch.setattr(keras.saving, "load_model", lambda *_, **__: pytest.fail("it was loaded"))
    with pytest.raises(BundleUnsafe, match="Lambda layer, which runs arbitrary code"):
        make_run(file, tmp_path)


def test_a_layer_that_keras_does_not_know_is_named(small: Path, tmp_path: Path):
    import h5py

    file = tmp_path / "foreign.h5"
    file.write_bytes(small.read_bytes())
    with h5py.File(file, "r+") as opened:
        config = json.dumps(json.loads(opened.attrs["model_config"]))
        opened.attrs["model_config"] = config.replace('"Flatten"', '"SpineFlatten"')
    with pytest.raises(ExportError, match=r"this version of Keras cannot load it: .*SpineFlatten"):
        make_run(file, tmp_path)


def test_weights_that_lie_in_another_file_are_refused(small: Path, tmp_path: Path):
    import h5py

    file = tmp_path / "linked.h5"
    file.write_bytes(small.read_bytes())
    with h5py.File(file, "r+") as opened:
        opened["model_weights"]["elsewhere"] = h5py.ExternalLink("/etc/hostname", "/")
    with pytest.raises(BundleUnsafe, match="elsewhere in /model_weights is a link"):
        make_run(file, tmp_path)


def test_files_that_are_no_whole_model_are_named(tmp_path: Path):
    notebook_model().save_weights(tmp_path / "only.weights.h5")
    (tmp_path / "text.h5").write_text("not a model")
    (tmp_path / "model.pb").write_bytes(b"\x08\x07")
    with pytest.raises(ExportError, match="weights without an architecture"):
        make_run(tmp_path / "only.weights.h5", tmp_path)
    for name in ("text.h5", "model.pb"):
        with pytest.raises(ExportError, match=r"save it again with model\.save"):
            make_run(tmp_path / name, tmp_path)


@pytest.mark.parametrize(
    ("body", "found"),
    [
        (lambda layers, x: layers.Dense(1)(layers.Flatten()(x)), "no LSTM or GRU, only Flatten, Dense"),
        (lambda layers, x: layers.Dense(1)(layers.LSTM(3)(layers.Reshape((SIDE, SIDE))(x))), "takes .*, not one step"),
        (lambda layers, x: layers.Dense(1)(layers.SimpleRNN(3)(flat(layers, x))), "is a SimpleRNN"),
        (lambda layers, x: layers.Dense(2, activation="softmax")(layers.LSTM(3)(flat(layers, x))), "ends in Dense"),
        (lambda layers, x: layers.Dense(1, activation="relu")(layers.LSTM(3)(flat(layers, x))), "activation relu"),
        (lambda layers, x: layers.Dense(1)(layers.LSTM(3)(layers.Reshape((1, 1024))(x))), "no two-dimensional conv"),
        (lambda layers, x: around_the_recurrence(layers, flat(layers, x)), "branches go round the recurrence"),
        (
            lambda layers, x: layers.Dense(1)(layers.LSTM(3, activation="relu")(flat(layers, x))),
            "fused",
        ),
    ],
)
def test_a_model_of_another_family_is_told_what_was_found_and_what_is_expected(body: Any, found: str, tmp_path: Path):
    with pytest.raises(ExportError, match=found) as caught:
        make_run(save(functional(body), tmp_path / "other.keras"), tmp_path)
    assert "expected" in str(caught.value)


def flat(layers: Any, x: Any) -> Any:
    return layers.Reshape((1, 4))(layers.GlobalAveragePooling2D()(layers.Conv2D(4, 3)(x)))


def around_the_recurrence(layers: Any, step: Any) -> Any:
    before = layers.Dense(4)(step)
    after = layers.LSTM(4, return_sequences=True)(layers.ReLU()(before))
    return layers.Dense(1)(layers.Flatten()(layers.Add()([before, after])))


def test_where_a_branch_goes_round_the_last_convolution_the_next_map_is_explained(tmp_path: Path):
    def residual(layers: Any, x: Any) -> Any:
        wide = layers.Conv2D(4, 3, padding="same")(x)
        both = layers.Add(name="meeting")([wide, layers.Conv2D(4, 3, padding="same")(wide)])
        pooled = layers.Reshape((1, 4))(layers.GlobalAveragePooling2D()(both))
        return layers.Dense(1, activation="sigmoid")(layers.LSTM(4)(pooled))

    run = make_run(save(functional(residual), tmp_path / "residual.keras"), tmp_path)
    assert json.loads((run / "run.json").read_text("utf-8"))["origin"]["explained_layer"] == "meeting"


def test_a_files_name_becomes_a_bundles():
    assert [bundle_name(Path(name)) for name in ("Mein Modell (v2).h5", "ok.keras", "…?.h5")] == [
        "mein-modell-v2",
        "ok",
        "imported",
    ]
