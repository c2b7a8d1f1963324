"""From a training run's folder to a bundle a worker can run."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from findings import three_findings
from tiny import run_of

from hemo_core.bundle import open_bundle
from hemo_core.bundle.keras import load_keras, quiet_tensorflow
from hemo_core.errors import ExportError
from hemo_core.records import encode
from hemo_export.graph import sequence_graph
from hemo_export.package import export_run
from hemo_export.submodels import Submodels, split_model

pytestmark = pytest.mark.tensorflow


@pytest.fixture
def run(tiny_bundle: Path, tmp_path: Path) -> Path:
    return run_of(tiny_bundle, tmp_path / "run")


def test_each_recurrence_is_one_node_and_nothing_loops(tiny_bundle):
    operators = open_bundle(tiny_bundle).content["onnx"]["operators"]
    assert (operators["sequence.onnx"]["LSTM"], operators["sequence.onnx"]["GRU"]) == (1, 1)
    for census in operators.values():
        assert not {"Loop", "If", "Scan"} & set(census)


def test_names_and_dynamic_axes_of_the_graphs(tiny_bundle):
    import onnx

    def signature(name: str) -> dict[str, int]:
        graph = onnx.load(tiny_bundle / name).graph
        return {value.name: len(value.type.tensor_type.shape.dim) for value in (*graph.input, *graph.output)}

    assert signature("cnn.onnx") == {"slices": 4, "features": 4, "embedding": 2}
    assert signature("sequence.onnx") == {"embeddings": 3, "lengths": 1, "logits": 3}


def test_parity_is_recorded(tiny_bundle):
    parity = open_bundle(tiny_bundle).content["parity"]
    assert parity["max_abs_logit_difference"] < parity["logit_limit"] == 1e-4
    assert {"logits 8x40", "logits ragged", "logits 1x400", "embedding 1x7 of 7"} <= set(parity["checks"])


def test_what_is_not_released_is_not_in_the_files_and_says_why(tiny_bundle):
    bundle = open_bundle(tiny_bundle)
    assert set(bundle.content["variants"]) == {"fp32", "fp16", "int8"}
    for entry in bundle.content["variants"].values():
        assert entry["released"] == (entry["cnn"] in bundle.content["files"])
        assert bool(entry["reason"]) != entry["released"]


def test_card_and_evidence_are_taken_along_and_nothing_else(run, tmp_path):
    (run / "evidence" / "plots").mkdir(parents=True)
    (run / "evidence" / "plots" / "roc.svg").write_text("<svg/>", "utf-8")
    (run / "checkpoint.keras").write_bytes(b"not for you")
    content = json.loads((run / "run.json").read_text("utf-8"))
    (run / "run.json").write_text(json.dumps({**content, "heatmaps": {"randomisation": {"passed": True}}}), "utf-8")
    bundle = export_run(run, tmp_path / "out", version="1.2.3", name="renamed", measure=False)
    assert bundle.path == tmp_path / "out" / "renamed-1.2.3"
    assert bundle.content["heatmaps"] == {"randomisation": {"passed": True}}
    models = {"cnn.onnx", "sequence.onnx", "head.keras", "model.keras"}
    models |= {entry["cnn"] for entry in bundle.content["variants"].values() if entry["released"]}
    evidence = {"MODEL_CARD.md", "evidence/plots/roc.svg", "evidence/export.html"}
    assert set(bundle.content["files"]) == models | evidence
    with pytest.raises(ExportError, match="exists already"):
        export_run(run, tmp_path / "out", version="1.2.3", name="renamed")


def test_a_failed_export_leaves_nothing(run, tmp_path):
    content = json.loads((run / "run.json").read_text("utf-8"))
    content["scoring"] = encode(three_findings())
    (run / "run.json").write_text(json.dumps(content), "utf-8")
    with pytest.raises(ExportError, match="names 3 findings, the model has 1 outputs"):
        export_run(run, tmp_path / "out", version="1.0.0")
    assert list((tmp_path / "out").iterdir()) == []


def test_an_incomplete_run_is_named(run, tmp_path):
    (run / "run.json").write_text('{"name": "x"}', "utf-8")
    with pytest.raises(ExportError, match="missing required field `input`"):
        export_run(run, tmp_path / "out", version="1.0.0")


def test_a_model_of_another_build_cannot_be_taken_apart():
    quiet_tensorflow()
    import keras

    with pytest.raises(ExportError, match="per_slice"):
        split_model(keras.Sequential([keras.Input((4,)), keras.layers.Dense(1)]))


def test_a_recurrence_without_fused_form_is_refused(tiny_bundle):
    """``reset_after=False`` has no pattern in tf2onnx: it would become a Loop."""
    submodels = split_model(load_keras(tiny_bundle / "model.keras"))
    import keras

    embeddings = keras.Input((None, 16), name="embeddings")
    looping = keras.layers.GRU(4, return_sequences=True, reset_after=False)(embeddings)
    sequence = keras.Model(embeddings, looping)
    with pytest.raises(ExportError, match="Loop"):
        sequence_graph(
            Submodels(submodels.model, submodels.cnn, submodels.pool, sequence, submodels.head, "pooled"), "{}"
        )
