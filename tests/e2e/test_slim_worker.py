"""A worker without TensorFlow scores and explains as one with it does."""

from __future__ import annotations

import json
from collections.abc import Iterator

import cv2
import numpy as np
import pytest
from jobsite import ENTRY, SLIM, Site, write_series

from hemo_core.errors import MissingExtra
from hemo_core.jobs import JobStore
from hemo_core.jobs.private_broker import PrivateBroker
from hemo_core.report import load_report

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def alone(site: Site, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """A site of its own: no other test's worker may take its jobs."""
    folder = tmp_path_factory.mktemp("slim")
    (folder / "scans" / "series").mkdir(parents=True)
    (folder / "out").mkdir()
    write_series(folder / "scans" / "series", [f"s{number}" for number in range(4)])
    with PrivateBroker(folder / "broker") as own:
        yield Site(folder, JobStore(own.url, patience_s=20), site.bundle)


@pytest.fixture(scope="module")
def jobs(alone: Site) -> tuple[dict[str, bytes], dict[str, bytes]]:
    """Reports and overlays of the same scans: with TensorFlow, and without."""
    for job, explainer, entry in (("full", "tf", ENTRY), ("slim", "auto", SLIM)):
        with alone.worker(f"--explainer={explainer}", entry=entry) as worker:
            assert worker.wait_ready().explainer == {"full": "tf", "slim": "onnx"}[job]
            alone.submit(job, "series")
            assert alone.complete(job).scored == 4
            assert worker.process.poll() is None
    return alone.reports("full"), alone.reports("slim")


def test_it_scores_and_explains(jobs):
    _, slim = jobs
    reports = [load_report(data) for name, data in slim.items() if name.endswith(".json")]

    explained = [report for report in reports if any(item.heatmap == "drawn" for item in report.slices)]
    assert explained
    assert {report.engine.explainer for report in explained} == {"onnx"}
    assert all(report.engine.explainer is None for report in reports if report.label == "no_finding")


def test_reports_differ_only_in_what_drew_their_maps(jobs):
    full, slim = jobs
    assert set(full) == set(slim)
    for name in (name for name in full if name.endswith(".json")):
        one, other = json.loads(full[name]), json.loads(slim[name])
        drawn = (one["engine"].pop("explainer"), other["engine"].pop("explainer"))
        assert drawn in {("tf", "onnx"), (None, None)}
        assert one == other


def test_pictures_are_the_same_to_the_eye(jobs):
    names = [name for name in jobs[0] if name.endswith(".png")]
    assert names
    for name in names:
        one, other = (cv2.imdecode(np.frombuffer(side[name], np.uint8), cv2.IMREAD_UNCHANGED) for side in jobs)
        assert np.abs(one.astype(int) - other).max() <= 2


def test_asking_for_tensorflow_where_there_is_none_names_both_extras(alone: Site):
    with alone.worker("--explainer=tf", entry=SLIM) as worker:
        with pytest.raises(MissingExtra, match=r"hemo-batch\[worker\].*hemo-batch\[slim\]"):
            worker.wait_ready()
        assert worker.process.wait() == MissingExtra.exit_code
