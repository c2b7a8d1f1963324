"""Each gate catches the fault it is there to catch; each fault is planted in a copy of a good bundle."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tiny import ARCHITECTURE, INPUT, phantom_scans, write_run

from hemo_core.bundle import Bundle, open_bundle, seal
from hemo_core.bundle.findings import named
from hemo_core.bundle.keras import load_keras, quiet_tensorflow
from hemo_core.errors import BundleMissing, DeviceError, GatesFailed
from hemo_core.inference.gradcam import Explainer
from hemo_core.inference.session import Engine, carried_contract
from hemo_core.records import encode
from hemo_export import package
from hemo_export.gates import FILE_GATES, GateContext, GateResult, failures, run_gates
from hemo_export.gates.contract import SameContract
from hemo_export.gates.failure_folder import RESULTS, discard_failure, failed_bundle, keep_failure
from hemo_export.gates.numeric import HeatMapParity, HeatMapsWithoutTensorFlow, NumericParity
from hemo_export.gates.providers import SameOnCuda
from hemo_export.gates.refusals import Refusals
from hemo_export.gates.structure import Loads, OperatorCensus, ValidGraphs
from hemo_export.gates.task import EXACT, TaskParity
from hemo_export.metadata import read_metadata, write_metadata
from hemo_export.package import export_run, gate_context
from hemo_export.parity.task_scans import load_task_data
from hemo_export.release import in_words
from hemo_export.run_folder import read_run
from hemo_export.submodels import split_model

pytestmark = pytest.mark.tensorflow

Plant = Callable[..., GateContext]


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run with two findings and validation scans of its own."""
    quiet_tensorflow()
    import keras

    from hemo_trainer.network.model import build_network

    folder = tmp_path_factory.mktemp("two-findings")
    keras.utils.set_random_seed(11)
    network = build_network(INPUT, 2, ARCHITECTURE)
    layer = network.sequence.get_layer("logits")
    layer.set_weights([layer.get_weights()[0], np.asarray([0.1, -0.2], np.float32)])  # a bias of 0 is left out in ONNX
    write_run(folder, network)
    content = json.loads((folder / "run.json").read_text("utf-8"))
    findings = (named("hemorrhage", "primary", temperature=1.5), named("subdural", "detail", temperature=1.5))
    scoring = {"beta": content["scoring"]["beta"], "findings": encode(findings)}
    (folder / "run.json").write_text(json.dumps({**content, "scoring": scoring, "scored_before": True}), "utf-8")
    pixels, truth = phantom_scans(range(4))
    count = truth.size
    np.savez(
        folder / "parity.npz",
        pixels=np.rint(pixels.reshape(count, *pixels.shape[2:]) * 255).astype(np.uint8),
        labels=truth.reshape(-1).astype(np.int8),
        scan=np.repeat(np.arange(4, dtype=np.int32), truth.shape[1]),
    )
    return folder


@pytest.fixture(scope="module")
def good(run: Path) -> GateContext:
    """The exported bundle, as its gates see it."""
    bundle = export_run(run, run / "out", version="1.0.0", measure=False)
    found = read_run(run)
    return gate_context(found, split_model(load_keras(found.model)), bundle, load_task_data(found))


@pytest.fixture
def plant(good: GateContext, tmp_path: Path) -> Plant:
    """``plant(change, "cnn.onnx")``: the context of a copy whose graph was changed and sealed again."""

    def planted(change: Callable[[Any], None], name: str = "sequence.onnx") -> GateContext:
        import onnx

        folder = tmp_path / "planted"
        shutil.copytree(good.bundle.path, folder)
        proto = onnx.load(folder / name)
        change(proto)
        (folder / name).write_bytes(proto.SerializeToString())
        return replace(good, bundle=seal(folder, good.bundle.content))

    return planted


def weight(proto: Any, output: str) -> Any:
    """The weight that goes into the node that gives ``output``."""
    node = next(node for node in proto.graph.node if output in node.output)
    return next(each for each in proto.graph.initializer if each.name in node.input)


def set_values(tensor: Any, values: np.ndarray) -> None:
    import onnx

    tensor.CopyFrom(onnx.numpy_helper.from_array(np.asarray(values, np.float32), tensor.name))


def raise_bias(by: float) -> Callable[[Any], None]:
    import onnx

    def change(proto: Any) -> None:
        bias = weight(proto, "logits")
        set_values(bias, onnx.numpy_helper.to_array(bias) + by)

    return change


def swap_columns(proto: Any) -> None:
    """The logits come out in another order."""
    import onnx

    last = next(node for node in proto.graph.node if "logits" in node.output)
    last.output[0] = "unsorted"
    proto.graph.initializer.append(onnx.numpy_helper.from_array(np.asarray([1, 0]), "order"))
    proto.graph.node.append(onnx.helper.make_node("Gather", ["unsorted", "order"], ["logits"], axis=2))


def add_loop(proto: Any) -> None:
    """A loop of one round whose outcome nobody reads: valid, and slow."""
    import onnx

    helper, kinds = onnx.helper, onnx.TensorProto
    shapes = (("round", kinds.INT64), ("go", kinds.BOOL), ("value", kinds.INT64))
    inputs = [helper.make_tensor_value_info(name, kind, []) for name, kind in shapes]
    outputs = [helper.make_tensor_value_info(f"{name}_after", kind, []) for name, kind in shapes[1:]]
    steps = [helper.make_node("Identity", [name], [f"{name}_after"]) for name in ("go", "value")]
    body = helper.make_graph(steps, "body", inputs, outputs)
    proto.graph.initializer.append(onnx.numpy_helper.from_array(np.asarray(1), "rounds"))
    proto.graph.node.append(helper.make_node("Loop", ["rounds", "", "rounds"], ["unread"], body=body))


def check(gate: Any, context: GateContext) -> GateResult:
    return run_gates((gate,), context, lambda _: None)[0]


def reproduced(result: GateResult, context: GateContext, folder: Path) -> subprocess.CompletedProcess[str]:
    """Run what a failed gate leaves, in a process of its own."""
    script = keep_failure(folder / "left", context.bundle.path, {"fp32": (result,)})[0]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    return subprocess.run([sys.executable, script], capture_output=True, text=True, check=False, env=environment)


def test_the_good_bundle_passes_and_says_what_it_was_asked_about(good):
    manifest = good.bundle.content
    verdicts = {name: gate["verdict"] for name, gate in manifest["variants"]["fp32"]["gates"].items()}
    assert set(verdicts.values()) <= {"passed", "not run"}
    assert {name for name, verdict in verdicts.items() if verdict == "not run"} <= {"CUDA parity"}
    data = manifest["gates"]["data"]
    assert (data["origin"], data["scans"], data["slices"], data["scored_before"]) == ("validation scans", 4, 32, True)
    assert manifest["parity"]["max_abs_logit_difference"] < 1e-4
    page = (good.bundle.path / "evidence" / "export.html").read_text("utf-8")
    assert "Research use only" in page
    assert "task parity" in page
    assert "the model was fitted on them too" in page.lower()
    assert not {"parity.npz", "calibration.npz"} & set(manifest["files"])


def test_every_graph_says_what_it_is(good):
    for name in (name for name in good.bundle.content["files"] if name.endswith(".onnx")):
        metadata = read_metadata(good.bundle.path / name)
        assert (metadata["hemo_model"], metadata["hemo_version"], metadata["hemo_opset"]) == ("tiny", "1.0.0", "17")
        assert metadata["hemo_variant"] == ("fp16" if "fp16" in name else "int8" if "int8" in name else "fp32")
        assert carried_contract(metadata["hemo_contract"], name).scoring.names == ("hemorrhage", "subdural")


def test_a_changed_weight_fails_numbers_and_task_but_no_other_gate(plant, tmp_path):
    context = plant(raise_bias(0.5))
    assert not failures(run_gates(FILE_GATES, context, lambda _: None))
    numeric, task = check(NumericParity(), context), check(TaskParity(EXACT), context)
    assert not numeric.passed
    assert numeric.figures["outputs"]["logits hemorrhage"] == pytest.approx(0.5, abs=1e-3)
    assert numeric.figures["outputs"]["features"] < 1e-4
    assert not task.passed
    assert task.figures["largest_delta_p"] > 1e-2
    ran = reproduced(numeric, context, tmp_path)
    assert (ran.returncode, "logits differ by up to 5.0" in ran.stdout) == (1, True), ran.stderr


def test_swapped_outputs_are_caught_by_label(plant):
    result = check(NumericParity(), plant(swap_columns))
    assert not result.passed
    assert result.figures["outputs"]["logits hemorrhage"] > 1e-4
    assert result.figures["outputs"]["logits subdural"] > 1e-4


def test_a_swapped_order_of_findings_and_a_wrong_window_are_told_apart(plant, tmp_path):
    def change(proto: Any) -> None:
        entry = next(entry for entry in proto.metadata_props if entry.key == "hemo_contract")
        contract = json.loads(entry.value)
        contract["scoring"]["findings"].reverse()
        contract["input"]["windows"][0]["width"] = 80.0
        entry.value = json.dumps(contract)

    context = plant(change, "cnn.onnx")
    result = check(SameContract(), context)
    assert not result.passed
    assert "findings.0.name is subdural, the run says hemorrhage" in result.detail
    assert "windows.0.width is 80.0, the run says 120.0" in result.detail
    assert "sequence.onnx" not in result.detail
    ran = reproduced(result, context, tmp_path)
    assert (ran.returncode, "width is 80.0" in ran.stdout) == (1, True), ran.stderr


def test_a_loop_is_caught_where_the_checker_finds_nothing_wrong(plant, tmp_path):
    context = plant(add_loop)
    assert check(ValidGraphs(), context).passed
    result = check(OperatorCensus(), context)
    assert (result.passed, result.detail) == (False, "sequence.onnx: holds Loop")
    ran = reproduced(result, context, tmp_path)
    assert (ran.returncode, "sequence.onnx: loops ['Loop']" in ran.stdout) == (1, True), ran.stderr


def test_a_broken_shape_and_a_nan_weight_are_caught(plant, tmp_path):
    def shrink(proto: Any) -> None:
        set_values(weight(proto, "logits"), np.zeros(3))

    def poison(proto: Any) -> None:
        set_values(weight(proto, "logits"), np.asarray([0.0, np.nan]))

    broken = plant(shrink)
    result = check(ValidGraphs(), broken)
    assert not result.passed
    assert "InferenceError" in result.detail
    ran = reproduced(result, broken, tmp_path)
    assert (ran.returncode, "InferenceError" in ran.stdout) == (1, True), ran.stderr
    shutil.rmtree(tmp_path / "planted")
    poisoned = plant(poison)
    assert "1 values that are no number" in check(ValidGraphs(), poisoned).detail
    assert check(NumericParity(), poisoned).figures["outputs"]["logits subdural"] == float("inf")


def test_a_graph_that_does_not_load_fails_every_gate_that_needs_it(plant, tmp_path):
    def change(proto: Any) -> None:
        proto.graph.node[0].op_type = "NoSuchOperator"

    context = plant(change)
    results = run_gates((Loads(), TaskParity(EXACT)), context, lambda _: None)
    for result in results:
        assert (result.passed, result.figure) == (False, "could not be measured")
        assert "NoSuchOperator" in result.detail
    assert in_words(results).startswith("loads, task parity: could not be measured; ")
    ran = reproduced(result, context, tmp_path)
    assert (ran.returncode, "NoSuchOperator" in ran.stderr) == (1, True)


def test_another_head_is_caught_by_the_heat_maps(good, tmp_path):
    folder = tmp_path / "planted"
    shutil.copytree(good.bundle.path, folder)
    head = load_keras(folder / "head.keras")
    layer = head.get_layer("sequence").get_layer("logits")
    kernel, bias = layer.get_weights()
    layer.set_weights([kernel[::-1], bias])
    head.save(folder / "head.keras")
    bundle = seal(folder, good.bundle.content)
    context = replace(good, bundle=bundle, explain=lambda: Explainer(bundle))
    result = check(HeatMapParity(), context)
    assert (result.passed, result.figures["largest_difference"] > 1e-2) == (False, True)
    assert check(HeatMapsWithoutTensorFlow(), context).passed  # it reads the graphs, which are as they were
    ran = reproduced(result, context, tmp_path)
    told = "largest difference of each finding's and slice's map" in ran.stdout
    assert (ran.returncode, told) == (1, True), ran.stderr


def test_an_engine_that_scores_nan_is_caught(good, monkeypatch):
    assert check(Refusals(), good).figure == "6 of 6 bad inputs refused"
    honest = Engine.cnn
    monkeypatch.setattr(Engine, "cnn", lambda self, slices: honest(self, np.nan_to_num(slices, posinf=1.0)))
    assert check(Refusals(), good).detail == "given a score: NaN in a slice, infinity in a slice"


def test_task_parity_leaves_the_scans_and_the_answers_they_should_have_got(plant, tmp_path):
    context = plant(raise_bias(0.5))
    ran = reproduced(check(TaskParity(EXACT), context), context, tmp_path)
    assert (ran.returncode, "broken limits: " in ran.stdout) == (1, True), ran.stderr
    with failed_bundle(tmp_path / "left") as bundle:
        assert bundle.name == "tiny"


def test_cuda_is_recorded_as_not_run_and_caught_where_it_differs(good, plant, monkeypatch):
    def unavailable(*_: object, **__: object) -> Engine:
        raise DeviceError("no CUDA here")

    monkeypatch.setattr(GateContext, "engine_on", unavailable)
    result = check(SameOnCuda(EXACT), replace(good))
    assert (result.passed, result.verdict, result.detail) == (None, "not run", "no CUDA here")
    other = plant(raise_bias(0.5)).bundle

    def on(self: GateContext, device: str, batch: int = 16) -> Engine:
        return Engine(other if device == "cuda" else self.bundle, device="cpu", batch=batch)

    monkeypatch.setattr(GateContext, "engine_on", on)
    assert check(SameOnCuda(EXACT), replace(good)).passed is False


def test_a_failed_export_names_every_gate_and_leaves_scripts_but_no_bundle(run, tmp_path, monkeypatch):
    honest = package.sequence_graph

    def faulty(submodels: Any, contract: str) -> Any:
        proto = honest(submodels, contract)
        add_loop(proto)
        raise_bias(0.5)(proto)
        return proto

    monkeypatch.setattr(package, "sequence_graph", faulty)
    with pytest.raises(
        GatesFailed, match=r"3 of 10 gates failed: operators: .* numeric parity: .* task parity: "
    ) as caught:
        export_run(run, tmp_path, version="1.0.0")
    left = tmp_path / "tiny-1.0.0.failed"
    assert caught.value.path == str(left)
    scripts = {"repro_fp32_operators.py", "repro_fp32_numeric_parity.py", "repro_fp32_task_parity.py"}
    assert {path.name for path in left.glob("repro_*.py")} == scripts
    assert all(name in str(caught.value.hint) for name in scripts)
    assert json.loads((left / RESULTS).read_text("utf-8"))["fp32"]["operators"]["verdict"] == "failed"
    assert [path.name for path in tmp_path.iterdir()] == [left.name]
    with pytest.raises(BundleMissing, match=r"has no bundle\.json"):
        open_bundle(left)
    discard_failure(tmp_path)
    discard_failure(left)
    assert not left.exists()


def test_a_graph_of_another_model_is_caught_by_its_name(good, tmp_path):
    folder = tmp_path / "planted"
    shutil.copytree(good.bundle.path, folder)
    metadata = read_metadata(folder / "cnn.onnx")
    write_metadata(folder / "cnn.onnx", {**metadata, "hemo_model": "another"})
    bundle: Bundle = seal(folder, good.bundle.content)
    assert "hemo_model is another, the run says tiny" in check(SameContract(), replace(good, bundle=bundle)).detail
