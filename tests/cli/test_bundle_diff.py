"""What two bundles differ in: known changes of a graph's weights, of the contract and of figures are found exactly."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from findings import one_finding
from hollow import reseal, reseal_files, write_hollow

from hemo_core.bundle import CNN, open_bundle
from hemo_core.bundle.comparison import Change, Figure, compare_bundles
from hemo_core.bundle.weight_comparison import compare_weights
from hemo_core.records import encode


def array(*values: float) -> np.ndarray:
    return np.asarray(values, np.float32)


def test_equal_weights_differ_in_nothing():
    found = compare_weights({"a": array(1, 2)}, {"a": array(1, 2)})
    assert (found.tensors, found.count, found.changed, found.relative_norm) == (1, 2, 0, 0.0)
    assert found.differing == found.removed == found.added == ()


def test_a_known_change_is_counted_and_measured():
    found = compare_weights({"a": array(3, 4, 0), "b": array(0, 0)}, {"a": array(3, 4, 1), "b": array(2, 0)})
    assert found.changed == 2
    assert found.relative_norm == pytest.approx(np.sqrt(5) / 5)
    zero, known = found.differing
    assert (zero.name, zero.changed, zero.relative_norm, zero.largest) == ("b", 1, None, 2.0)
    assert (known.name, known.shape, known.count, known.changed) == ("a", (3,), 3, 1)
    assert (known.relative_norm, known.largest) == (pytest.approx(0.2), 1.0)


def test_names_that_differ_in_the_exporters_numbering_are_matched_by_shape():
    before = {"W__1": array(1, 2), "W__2": array(3), "cnn_1/conv_1/kernel:0": array(4), "gone": array(5)}
    after = {"W__8": array(3), "W__9": array(1, 2), "cnn/conv/kernel:0": array(4), "new": array(5)}
    found = compare_weights(before, after)
    assert (found.tensors, found.changed) == (3, 0)
    assert (found.removed, found.added) == (("gone",), ("new",))


def test_axes_and_shapes_are_no_weights_and_quantised_numbers_are():
    before = {"axes": np.asarray([1, 2], np.int64), "quantised": np.asarray([-128, 3], np.int8)}
    after = {"axes": np.asarray([1, 3], np.int64), "quantised": np.asarray([127, 3], np.int8)}
    found = compare_weights(before, after)
    assert (found.tensors, found.changed, found.differing[0].largest) == (1, 1, 255.0)


def figures(auc: float) -> dict[str, Any]:
    table = {"count": 21, "auc": {"value": auc, "low": 0.5, "high": 1.0}, "confusion_matrix": [[1, 2], [3, 4]]}
    return {"test": {"exam": {**table, "classification_report": "prose"}}}


@pytest.fixture
def pair(tmp_path: Path) -> tuple[Path, Path]:
    training = {"seed": 7, "data": {"fingerprint": "0" * 64, "split_hash": "1" * 64}}
    manifest = {"training": training, "metrics": figures(0.8), "libraries": {"keras": "3.1"}, "licence": "CC0"}
    first, second = (write_hollow(tmp_path / name, **manifest).path for name in ("a", "b"))
    return first, second


def test_a_bundle_does_not_differ_from_itself(pair):
    found = compare_bundles(*map(open_bundle, pair))
    assert found.before == found.after
    assert found.same_data
    lists = (found.contract, found.files, found.graphs, found.training, found.libraries, found.variants, found.other)
    assert lists == ((),) * 7
    assert [figure.key for figure in found.metrics] == [
        "test.exam.auc",
        "test.exam.confusion_matrix",
        "test.exam.count",
    ]


def test_each_kind_of_change_is_found(pair):
    first, second = pair
    (second / "MODEL_CARD.md").write_text("# changed\n", "utf-8")
    reseal_files(second)
    reseal(
        second,
        scoring=encode(one_finding(threshold=0.7)),
        metrics=figures(0.9),
        libraries={"keras": "3.2", "numpy": "2"},
        training={"seed": 7, "data": {"fingerprint": "f" * 64, "split_hash": "1" * 64}},
        variants={
            "fp32": {"cnn": CNN, "sequence": "sequence.onnx", "released": True},
            "int8": {"released": False, "reason": "2 % of the labels flip"},
        },
    )
    found = compare_bundles(open_bundle(first), open_bundle(second))
    assert found.contract == (Change("scoring.findings.hemorrhage.threshold", 0.5, 0.7),)
    assert [change.key for change in found.files] == ["MODEL_CARD.md"]
    assert found.libraries == (Change("keras", "3.1", "3.2"), Change("numpy", None, "2"))
    assert found.training == (Change("data.fingerprint", "0" * 64, "f" * 64),)
    assert found.variants == (Change("int8", None, "not: 2 % of the labels flip"),)
    assert not found.same_data
    interval = {"low": 0.5, "high": 1.0}
    assert found.metrics[0] == Figure("test.exam.auc", {"value": 0.8, **interval}, {"value": 0.9, **interval})
    assert json.loads(json.dumps(encode(found)))["contract"][0]["after"] == 0.7


def test_a_graph_that_cannot_be_read_is_compared_by_digest_and_said_so(pair):
    first, second = pair
    (second / CNN).write_bytes(b"something else")
    reseal_files(second)
    (graph,) = compare_bundles(open_bundle(first), open_bundle(second)).graphs
    assert (graph.file, graph.weights) == (CNN, None)
    assert graph.note.startswith("only the digests were compared: ")


@pytest.fixture
def nudged(tiny_bundle: Path, tmp_path: Path) -> Path:
    """The tiny bundle with one weight of its CNN changed."""

    import onnx

    copy = Path(shutil.copytree(tiny_bundle, tmp_path / "nudged"))
    model = onnx.load(copy / CNN)
    kernel = max(model.graph.initializer, key=lambda stored: np.prod(stored.dims))
    values = onnx.numpy_helper.to_array(kernel).copy()
    values.flat[0] += 1.0
    kernel.CopyFrom(onnx.numpy_helper.from_array(values, kernel.name))
    onnx.save(model, copy / CNN)
    reseal_files(copy)
    return copy


def test_one_changed_weight_of_a_real_graph_is_named(tiny_bundle, nudged, hemo):
    found = hemo("bundle", "diff", tiny_bundle, nudged, "--json")
    assert found.code == 0
    (graph,) = found.json["graphs"]
    (tensor,) = graph["weights"]["differing"]
    assert (tensor["changed"], tensor["largest"]) == (1, pytest.approx(1.0, abs=1e-6))
    shown = hemo("bundle", "diff", tiny_bundle, nudged)
    assert tensor["name"] in shown.out
    assert "1 of " in shown.out
