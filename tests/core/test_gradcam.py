"""Grad-CAM by halves equals Grad-CAM on the whole model."""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path

import numpy as np
import pytest

from hemo_core.bundle import Bundle, open_bundle
from hemo_core.bundle.keras import load_keras, quiet_tensorflow
from hemo_core.inference import gradcam
from hemo_core.inference.gradcam import Explainer, make_explainer, normalised
from hemo_core.inference.session import Engine
from hemo_export.package import export_run
from hemo_export.parity.outputs import pictures
from hemo_export.parity.reference import full_gradcam
from hemo_export.submodels import split_model

pytestmark = pytest.mark.tensorflow


def build_flat_model():
    """A network whose head flattens its feature maps: no pool to take a short cut through."""
    quiet_tensorflow()
    import keras

    from hemo_core.bundle.keras_layers import PerSlice

    layers = keras.layers
    keras.utils.set_random_seed(3)
    cnn = keras.Sequential(
        [
            keras.Input((32, 32, 1)),
            layers.Conv2D(6, 3, 4, padding="same", activation="relu"),
            layers.Conv2D(5, 3, 2, padding="same", activation="relu"),
        ],
        name="cnn",
    )  # (n, 4, 4, 5)
    embeddings = keras.Input((None, 7), name="embeddings")
    x = layers.Bidirectional(layers.LSTM(4, return_sequences=True))(embeddings)
    x = layers.Bidirectional(layers.GRU(4, return_sequences=True))(x)
    sequence = keras.Model(embeddings, layers.Dense(2)(x), name="sequence")
    maps = keras.Input((None, 4, 4, 5), name="features")
    flat = PerSlice(layers.Flatten())(maps)
    flat = layers.Dense(7, activation="tanh")(flat)
    head = keras.Model(maps, sequence(flat), name="head")
    slices = keras.Input((None, 32, 32, 1), name="slices")
    return keras.Model(slices, head(PerSlice(cnn, name="per_slice")(slices)))


@pytest.fixture(scope="module")
def flat_bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    run = tmp_path_factory.mktemp("flat")
    build_flat_model().save(run / "model.keras")
    scoring = {"labels": ["hemorrhage", "subdural"], "beta": 1.0, "temperature": 1.0, "threshold": 0.5}
    window = {"level": 40.0, "width": 120.0}
    inputs = {"height": 32, "width": 32, "windows": [window], "crop_margin": 0.04, "slice_spacing_mm": 5.0}
    content = {"name": "flat", "input": inputs, "scoring": scoring, "metrics": {}, "data": {}, "seed": 3}
    (run / "run.json").write_text(json.dumps({**content, "git_commit": "0" * 40, "licence": "CC0-1.0"}), "utf-8")
    return export_run(run, run / "out", version="0.0.1", measure=False).path


@pytest.fixture(scope="module", params=["tf", "onnx"])
def pooled(tiny_bundle: Path, request: pytest.FixtureRequest) -> Explainer:
    return make_explainer(open_bundle(tiny_bundle), request.param)


@pytest.fixture(scope="module", params=["tf", "onnx"])
def flat(flat_bundle: Path, request: pytest.FixtureRequest) -> Explainer:
    return make_explainer(open_bundle(flat_bundle), request.param)


def seven_slices(bundle: Bundle) -> np.ndarray:
    return pictures(np.random.default_rng(5), 7, (bundle.input.height, bundle.input.width, bundle.input.channels))


@cache
def by_the_book(folder: Path, label: int, chosen: tuple[int, ...]) -> np.ndarray:
    """Grad-CAM through the whole Keras model."""
    model = split_model(load_keras(folder / "model.keras"))
    return full_gradcam(model, seven_slices(open_bundle(folder)), chosen, label)


def compare(explainer: Explainer, folder: Path, label: int) -> np.ndarray:
    """Both ways on seven slices of which five are explained; returns the maps."""
    bundle = open_bundle(folder)
    slices = seven_slices(bundle)
    chosen = [6, 0, 3, 1, 4]
    found = explainer.heatmaps(Engine(bundle, device="cpu").cnn(slices).features, chosen, label)
    whole = by_the_book(folder, label, tuple(chosen))
    assert found.shape == whole.shape
    assert np.abs(found - whole).max() < 1e-4
    return found


def test_pooled_head_equals_the_whole_model(pooled, tiny_bundle):
    assert open_bundle(tiny_bundle).pooled
    assert compare(pooled, tiny_bundle, 0).max() == 1


@pytest.mark.parametrize("label", [0, 1])
def test_flat_head_equals_the_whole_model(flat, flat_bundle, label):
    assert not open_bundle(flat_bundle).pooled
    assert compare(flat, flat_bundle, label).max() == 1


def test_pieces_give_what_one_pass_gives(pooled, monkeypatch):
    features = np.random.default_rng(2).random((9, 8, 8, 16), np.float32)
    once = pooled.heatmaps(features, range(9))
    monkeypatch.setattr(gradcam, "_POOLED_ROWS", 18)  # two slices a piece
    assert pooled.heatmaps(features, range(9)) == pytest.approx(once, abs=1e-5)


def test_nothing_to_explain(pooled):
    features = np.zeros((2, 8, 8, 16), np.float32)
    assert pooled.heatmaps(features, []).shape == (0, 8, 8)
    assert not pooled.heatmaps(features, [1]).any()


def test_a_map_without_positive_evidence_stays_zero():
    maps = np.asarray([[[-1.0, -2.0]], [[-1.0, 4.0]]], np.float32)
    with np.errstate(all="raise"):
        assert normalised(maps).tolist() == [[[0.0, 0.0]], [[0.0, 1.0]]]
