"""The figures that decide about a release, and the scans they are taken from."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from findings import one_finding, three_findings

from hemo_core.bundle.contract import InputContract
from hemo_core.errors import ExportError
from hemo_core.records import encode
from hemo_export.gates.task import EXACT, RELEASE
from hemo_export.parity.outputs import difference
from hemo_export.parity.ranks import auc, midranks, rank_correlation
from hemo_export.parity.task_scans import TaskData, load_task_data, phantom_task_data
from hemo_export.parity.task_scores import TaskDifference, TaskScores, compare
from hemo_export.run_folder import read_run


def test_ranks_of_ties_are_shared():
    assert midranks(np.asarray([3, 1, 3, 2])).tolist() == [3.5, 1, 3.5, 2]


def test_auc_counts_pairs_and_half_of_the_ties():
    scores = np.asarray([0.1, 0.4, 0.4, 0.8])
    assert auc(np.asarray([False, False, True, True]), scores) == (3 + 0.5) / 4
    assert auc(np.ones(4, bool), scores) is None


def test_rank_correlation_is_spearmans():
    stats = pytest.importorskip("scipy.stats")
    rng = np.random.default_rng(3)
    left, right = rng.integers(0, 5, (6, 6)), rng.random((6, 6))
    assert rank_correlation(left, right) == pytest.approx(stats.spearmanr(left.ravel(), right.ravel()).statistic)


def test_two_empty_maps_agree_and_one_alone_does_not():
    empty, full = np.zeros((2, 2)), np.arange(4.0).reshape(2, 2)
    assert (rank_correlation(empty, empty), rank_correlation(empty, full)) == (1.0, 0.0)


def test_what_is_no_number_never_agrees():
    nan = np.asarray([np.nan])
    assert difference(nan, nan) == float("inf")
    assert difference(np.zeros(2), np.zeros(3)) == float("inf")


def data(labels: list[int], scan: list[int]) -> TaskData:
    pixels = np.zeros((len(labels), 4, 4, 1), np.uint8)
    return TaskData(pixels, np.asarray(labels, np.int8), np.asarray(scan, np.int32), "validation scans")


def scores(scans: list[float], slices: list[float], labels: list[str]) -> TaskScores:
    return TaskScores(np.c_[scans], np.c_[slices], tuple(labels), np.zeros((0, 2, 2), np.float32))


def test_two_models_are_compared_on_scans_and_slices():
    asked = data([1, 0, 0, 0, -1], [7, 7, 8, 8, 9])
    reference = scores([0.9, 0.2, 0.5], [0.9, 0.4, 0.1, 0.2, 0.5], ["hemorrhage", "no_finding", "hemorrhage"])
    found = scores([0.9, 0.3, 0.5], [0.35, 0.4, 0.1, 0.2, 0.5], ["review", "no_finding", "hemorrhage"])
    apart = compare(found, reference, asked, one_finding())
    assert apart == TaskDifference(0.0, 2 / 3 - 1, 1, 1, 3, 5, pytest.approx(0.55), None)
    assert apart.flip_rate == 1 / 3
    assert set(RELEASE.broken_by(apart)) == {"AUC", "flips"}
    assert set(EXACT.broken_by(apart)) == {"AUC", "flips", "|Δp|"}


def test_a_detail_that_is_called_otherwise_counts_as_a_flip():
    scoring = three_findings()  # thresholds 0.3, 0.5 and 0.9, the primary finding in the middle
    maps = np.zeros((0, 2, 2), np.float32)
    slices = np.asarray([[0.2, 0.6, 0.8], [0.2, 0.6, 0.8]])
    moved = slices + np.asarray([[0.0, 0.01, 0.0], [0.0, 0.0, 0.15]])
    reference = TaskScores(slices[:1], slices, ("bleed",), maps)
    found = TaskScores(moved[1:], moved, ("bleed",), maps)
    apart = compare(found, reference, data([1, 0], [0, 0]), scoring)
    assert (apart.flipped_scans, apart.flipped_slices) == (1, 1)
    assert apart.largest_delta == pytest.approx(0.15)
    assert apart.delta_auc_slices == pytest.approx(0.5)  # of the primary finding: 0.61 over 0.6, before a tie


def test_release_limits_themselves_pass():
    at_the_limit = TaskDifference(-0.005, 0.2, 1, 0, 100, 50, 0.3, 0.2)
    assert RELEASE.broken_by(at_the_limit) == ()
    assert EXACT.broken_by(at_the_limit) == ("flips", "|Δp|", "heat maps")


def test_an_unknown_slice_makes_no_negative_scan():
    asked = data([0, -1, 0, 0, 1, -1], [0, 0, 1, 1, 2, 2])
    assert asked.scan_labels().tolist() == [-1, 0, 1]
    assert asked.explained() == ((0, 1), (1, 1), (2, 0))


def test_phantoms_stand_in_where_a_run_has_no_scans():
    asked = phantom_task_data(InputContract(height=32, width=32))
    assert asked.pixels.shape == (96, 32, 32, 1)
    assert asked.describe()["origin"] == "phantoms"
    assert 0 < asked.describe()["positive_scans"] < 12


def run_with(folder: Path, **arrays: np.ndarray) -> Path:
    content = {
        "name": "x",
        "input": encode(InputContract(height=4, width=4)),
        "scoring": {"labels": ["hemorrhage"], "beta": 1.0, "temperature": 1.0, "threshold": 0.5},
        "metrics": {},
        "data": {},
        "git_commit": None,
        "licence": "CC0-1.0",
        "seed": None,
    }
    (folder / "run.json").write_text(json.dumps(content), "utf-8")
    np.savez(folder / "parity.npz", **arrays)
    return folder


def test_malformed_validation_scans_are_refused(tmp_path):
    pixels = np.zeros((2, 4, 4, 1), np.uint8)
    labels, scan = np.zeros(2, np.int8), np.zeros(2, np.int32)
    assert len(load_task_data(read_run(run_with(tmp_path, pixels=pixels, labels=labels, scan=scan))).labels) == 2
    for wrong, message in (
        ({"pixels": pixels.astype(np.float32), "labels": labels, "scan": scan}, "asks for uint8"),
        ({"pixels": pixels[:, :3], "labels": labels, "scan": scan}, "asks for uint8"),
        ({"pixels": pixels, "labels": labels[:1], "scan": scan}, "2 slices have"),
        ({"pixels": pixels, "labels": labels + 5, "scan": scan}, "labels are 1, 0"),
        ({"pixels": pixels, "labels": labels}, "cannot be read"),
    ):
        with pytest.raises(ExportError, match=message):
            load_task_data(read_run(run_with(tmp_path, **wrong)))
