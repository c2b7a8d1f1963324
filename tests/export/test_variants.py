"""fp16 and int8 of the tiny model: made, sealed, run and measured."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from hemo_core.bundle import MANIFEST, Bundle, open_bundle, seal
from hemo_core.errors import ExportError, PrecisionRefused
from hemo_core.inference.scoring import score_scan
from hemo_core.inference.session import Engine
from hemo_core.records import encode
from hemo_core.scans.preprocess import to_input

pytest.importorskip("onnx", reason="needs the export extra")

from hemo_export.parity.phantom_inputs import phantom_slices
from hemo_export.variants.build import HALF_CNN, INT8_CNN, make_variants
from hemo_export.variants.speed import time_precision, time_precisions


@pytest.fixture(scope="module")
def graphs(tiny_bundle: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The two float32 graphs alone."""
    folder = tmp_path_factory.mktemp("graphs")
    for name in ("cnn.onnx", "sequence.onnx"):
        shutil.copy(tiny_bundle / name, folder / name)
    return folder


@pytest.fixture(scope="module")
def pixels(tiny_bundle: Path) -> np.ndarray:
    return phantom_slices(open_bundle(tiny_bundle).input, 4)


@pytest.fixture(scope="module")
def varied(tiny_bundle: Path, pixels: np.ndarray, tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    """A bundle that releases every precision."""
    folder = Path(shutil.copytree(tiny_bundle, tmp_path_factory.mktemp("varied") / "tiny"))
    manifest = json.loads((folder / MANIFEST).read_text("utf-8"))
    made = make_variants(folder, pixels)
    return seal(folder, {**manifest, "variants": encode(made)})


def initializers(path: Path) -> list[np.ndarray]:
    import onnx

    return [onnx.numpy_helper.to_array(value) for value in onnx.load(path).graph.initializer]


def test_each_precision_answers_nearly_as_fp32_does(varied, pixels):
    def scored(precision):
        engine = Engine(varied, device="cpu", threads=1, batch=8, precision=precision)
        output = [engine.cnn(to_input(pixels[at : at + 8])) for at in range(0, len(pixels), 8)]
        features = np.concatenate([part.features for part in output])
        embeddings = np.concatenate([part.embeddings for part in output])
        assert (engine.precision, features.dtype, embeddings.dtype) == (precision, np.float32, np.float32)
        return features, score_scan(engine.sequence(embeddings), varied.scoring).slice_probabilities

    features, expected = scored("fp32")
    for precision, apart in (("fp16", 0.002), ("int8", 0.1)):
        found_features, found = scored(precision)
        assert 0 < np.abs(found - expected).max() < apart
        assert np.abs(found_features - features).max() < 20 * apart * features.max()


def test_graphs_are_small_and_weights_leave_room_in_the_multiply_add(varied):
    size = {name: (varied.path / name).stat().st_size for name in ("cnn.onnx", HALF_CNN, INT8_CNN)}
    assert size[HALF_CNN] < 0.7 * size["cnn.onnx"]
    kernels = [value for value in initializers(varied.path / INT8_CNN) if value.ndim == 4]
    assert {kernel.dtype for kernel in kernels} == {np.dtype(np.int8)}
    assert max(np.abs(kernel.astype(int)).max() for kernel in kernels) <= 64  # 7 bits


def test_the_same_slices_give_the_same_bytes(varied, graphs, pixels):
    made = make_variants(graphs, pixels)
    assert list(made) == ["fp32", "fp16", "int8"]
    assert made["int8"].made == {
        "calibrated_on": "training slices",
        "slices": len(pixels),
        "method": "minmax",
        "weight_bits": 7,
    }
    for variant in (made["fp16"], made["int8"]):
        assert (graphs / variant.cnn).read_bytes() == (varied.path / variant.cnn).read_bytes()


def test_without_slices_phantoms_calibrate(graphs):
    assert make_variants(graphs, None)["int8"].made["calibrated_on"] == "generated phantoms"


@pytest.mark.parametrize("shape", [(4, 32, 32, 1), (0, 64, 64, 1), (4, 64, 64)])
def test_foreign_slices_do_not_calibrate(graphs, shape):
    with pytest.raises(ExportError, match="calibration slices are"):
        make_variants(graphs, np.zeros(shape, np.uint8))


def test_benchmarks_hold_what_auto_asks_for(varied):
    found = time_precisions(varied, ("fp32", "int8"))
    for figures in found.values():
        assert set(figures["ms_per_slice"]) == {"1", "8", "32"}
        assert min(figures["ms_per_slice"].values()) > 0
        assert 30 < figures["peak_mebibytes"] < 1000
        assert figures["provider"] == "CPUExecutionProvider"
        assert min(figures["rounds"].values()) >= 3
    assert time_precision(varied, "fp16").keys() == found["fp32"].keys()


def test_auto_tells_how_fast_int8_is_and_keeps_fp32(varied):
    def with_figures(milliseconds):
        listed = dict(varied.manifest.variants)
        for precision, spent in milliseconds.items():
            figures = {"provider": "CPUExecutionProvider", "ms_per_slice": {"8": spent}}
            listed[precision] = replace(listed[precision], benchmark=figures)
        return replace(varied, manifest=replace(varied.manifest, variants=listed))

    kept = Engine(with_figures({"fp32": 2.0, "int8": 1.0}), device="cpu", precision="auto")
    assert kept.precision == "fp32"
    assert "int8 (2.00 times as fast in the bundle's benchmark)" in kept.reason


def test_a_missing_variant_is_refused(varied):
    gone = replace(varied.manifest.variants["int8"], cnn="gone.onnx")
    manifest = replace(varied.manifest, variants={"int8": gone})
    with pytest.raises(PrecisionRefused, match="holds no int8"):
        Engine(replace(varied, manifest=manifest), device="cpu", precision="int8")
