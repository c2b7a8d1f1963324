"""What a worker's child does when its model does not load, and which jobs it refuses."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest

from hemo_core.errors import BundleSchema, DeviceError, JobError, ScoringFailed
from hemo_core.jobs import JobOptions
from hemo_worker import child
from hemo_worker.child import check_outputs, load_explainer, start_child
from hemo_worker.settings import WorkerSettings

FEATURES = np.zeros((1, 2, 2, 3), np.float32)


@pytest.mark.parametrize(
    "problem",
    [ImportError("libcudart.so.12"), RuntimeError("no CPU kernels"), OSError("I/O error"), ScoringFailed("NaN")],
)
def test_an_explainer_that_does_not_load_stops_the_worker_with_the_cause(monkeypatch, problem):
    def load(*_):
        raise problem

    told = []
    monkeypatch.setattr(child, "choose_explainer", lambda _: ("tf", "as asked"))
    monkeypatch.setattr(child, "_explainer", load)
    explainer = load_explainer(None, WorkerSettings(""), FEATURES, told.append)
    with pytest.raises(DeviceError, match=str(problem)):
        explainer()
    assert [(type(failure), str(problem) in failure.message) for failure in told] == [(DeviceError, True)]


@pytest.mark.parametrize(
    ("problem", "code"),
    [(OSError("I/O error"), "device_unavailable"), (BundleSchema("no sequence"), "bundle_schema")],
)
def test_a_child_whose_model_does_not_load_stops_the_worker(monkeypatch, problem, code):
    def load(*_, **__):
        raise problem

    told = []
    for name in ("die_with_parent", "keep_freed_memory", "_check_unchanged"):
        monkeypatch.setattr(child, name, lambda *_: None)
    monkeypatch.setattr(child.signal, "signal", lambda *_: None)
    monkeypatch.setattr(child, "Child", load)
    assert start_child(WorkerSettings(""), SimpleNamespace(fail=told.append), None) is None
    assert [failure.code for failure in told] == [code]


def test_a_job_that_asks_for_an_unknown_output_is_refused():
    check_outputs(SimpleNamespace(job="j", options=JobOptions()))
    with pytest.raises(JobError, match="asks for the output dicom-sr; this worker writes pictures, page, report"):
        check_outputs(SimpleNamespace(job="j", options=JobOptions(outputs=("report", "dicom-sr"))))
