"""The engine: what the ONNX half promises to worker and trainer."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from hemo_core.bundle import MANIFEST, Bundle, open_bundle, seal
from hemo_core.errors import BundleAltered, DeviceError, ScoringFailed
from hemo_core.inference.session import Engine


@pytest.fixture(scope="module")
def bundle(tiny_bundle: Path) -> Bundle:
    return open_bundle(tiny_bundle)


@pytest.fixture(scope="module")
def engine(bundle: Bundle) -> Engine:
    return Engine(bundle, device="cpu", threads=1, batch=4)


@pytest.fixture(scope="module")
def slices() -> np.ndarray:
    return np.random.default_rng(1).random((4, 64, 64, 1), np.float32)


def test_shapes(engine, slices):
    found = engine.cnn(slices[:3])
    assert found.features.shape == (3, 8, 8, 16)
    assert found.embeddings.shape == (3, 16)
    assert engine.sequence(found.embeddings).shape == (3, 1)


def test_embeddings_are_the_mean_of_the_features(engine, slices):
    found = engine.cnn(slices)
    assert found.embeddings == pytest.approx(found.features.mean(axis=(1, 2)), abs=1e-5)


def test_a_slice_does_not_depend_on_its_batch_mates_or_its_place(engine, slices):
    together = engine.cnn(slices)
    for index in range(4):
        alone = engine.cnn(slices[index : index + 1])
        assert alone.features.tobytes() == together.features[index : index + 1].tobytes()
        assert alone.embeddings.tobytes() == together.embeddings[index : index + 1].tobytes()


def test_padding_of_a_ragged_batch_changes_nothing(engine, slices):
    embeddings = engine.cnn(slices).embeddings
    batch = np.full((2, 4, 16), 99.0, np.float32)
    batch[0], batch[1, :2] = embeddings, embeddings[:2]
    found = engine.sequences(batch, np.asarray([4, 2], np.int32))
    assert found[0] == pytest.approx(engine.sequence(embeddings), abs=1e-5)
    assert found[1, :2] == pytest.approx(engine.sequence(embeddings[:2]), abs=1e-5)


def test_the_recurrence_reads_both_ways(engine, slices):
    embeddings = engine.cnn(slices).embeddings
    changed = embeddings.copy()
    changed[1] += 1
    differs = np.abs(engine.sequence(changed) - engine.sequence(embeddings))[:, 0]
    assert (differs > 0).all()


@pytest.mark.parametrize("count", [0, 5])
def test_a_batch_of_the_wrong_size_is_a_programming_error(engine, count):
    with pytest.raises(ValueError, match="expected 1 to 4 slices"):
        engine.cnn(np.zeros((count, 64, 64, 1), np.float32))


def test_no_number_is_no_score(engine, slices):
    embeddings = engine.cnn(slices).embeddings.copy()
    embeddings[2, 0] = np.nan
    with pytest.raises(ScoringFailed, match="no number"):
        engine.sequence(embeddings)


def test_auto_says_what_it_chose(bundle):
    assert Engine(bundle, device="auto").provider in {"CPUExecutionProvider", "CUDAExecutionProvider"}


def test_cuda_without_cuda_is_an_error(bundle):
    import onnxruntime

    if "CUDAExecutionProvider" in onnxruntime.get_available_providers():
        pytest.skip("this onnxruntime was built with CUDA")
    with pytest.raises(DeviceError, match="without CUDA"):
        Engine(bundle, device="cuda")


def test_a_cuda_build_that_falls_back_is_an_error(bundle, monkeypatch):
    """onnxruntime-gpu lists CUDA as available without any driver, and then runs on the CPU."""
    import onnxruntime

    listed = ["CUDAExecutionProvider", "CPUExecutionProvider"]
    monkeypatch.setattr(onnxruntime, "get_available_providers", lambda: listed)
    with pytest.raises(DeviceError, match="CUDA did not come up, only CPUExecutionProvider"):
        Engine(bundle, device="cuda")
    assert Engine(bundle, device="auto").provider == "CPUExecutionProvider"


def test_a_graph_with_another_contract_is_refused(tiny_bundle, tmp_path):
    folder = Path(shutil.copytree(tiny_bundle, tmp_path / "copy"))
    manifest = json.loads((folder / MANIFEST).read_text("utf-8"))
    manifest["scoring"]["findings"][0]["threshold"] = 0.01
    resealed = seal(folder, manifest)
    with pytest.raises(BundleAltered, match=r"another contract than bundle\.json"):
        Engine(resealed, device="cpu")
