"""The pipeline's order of things, with an engine that only counts."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import jsonschema
import numpy as np
import pytest
from findings import one_finding
from prometheus_client import CollectorRegistry

from hemo_core.bundle.contract import HeatmapCheck, InputContract, ScoringContract
from hemo_core.errors import DeviceError, RootNotMounted, SinkError, Truncated
from hemo_core.inference.session import CnnOutput
from hemo_core.jobs import JobOptions
from hemo_core.report import dump_report
from hemo_core.scans.scan import Cause
from hemo_core.schemas import published
from hemo_worker.metrics import Meter
from hemo_worker.pipeline import Limits, LoadedModel, Pipeline, Work
from hemo_worker.pipeline.explain import explained_slices


@dataclass
class CountingEngine:
    """Brightness is the logit."""

    batch: int = 4
    provider: str = "CPUExecutionProvider"
    precision: str = "fp32"
    batches: list[int] = field(default_factory=list)
    broken: bool = False

    def cnn(self, slices):
        if self.broken:
            raise RuntimeError("CUDA error 700")
        self.batches.append(len(slices))
        return CnnOutput(np.ones((len(slices), 2, 2, 3), np.float32), slices.mean(axis=(1, 2)))

    def sequence(self, embeddings):
        return 20 * embeddings[:, :1] - 3


class Warm:
    kind = "onnx"

    def heatmaps(self, features, slices):
        maps = np.ones((len(slices), *features.shape[1:3]), np.float32)
        maps[1:2] = 0  # the second explained slice has an empty map
        return maps


@dataclass
class Bundle:
    name: str = "fake"
    version: str = "1.0.0"
    digest: str = "cd" * 32
    input: InputContract = field(default_factory=lambda: InputContract(height=64, width=64))
    scoring: ScoringContract = field(default_factory=lambda: one_finding(threshold=0.5))
    heatmap_check: HeatmapCheck = "not_measured"


@dataclass
class Recorder:
    """Takes everything down; refuses on request."""

    begun: list[list[int]] = field(default_factory=list)
    ended: dict = field(default_factory=dict)
    most_in_flight: int = 0
    together: dict[int, set[int]] = field(default_factory=dict)
    refuse_from: int = 10**9
    failing: Exception | None = None
    _flying: set[int] = field(default_factory=set)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def begin(self, work):
        if any(item.row >= self.refuse_from for item in work):
            return False
        with self._lock:
            self.begun.append([item.row for item in work])
            self._flying |= {item.row for item in work}
            self.most_in_flight = max(self.most_in_flight, len(self._flying))
            for row in self._flying:
                self.together.setdefault(row, set()).update(self._flying - {row})
        return True

    def end(self, finished):
        if self.failing is not None:
            raise self.failing
        with self._lock:
            self.ended[finished.work.row] = finished
            self._flying.discard(finished.work.row)


def refuse():
    pytest.fail("nothing is to be explained")


@pytest.fixture
def engine() -> CountingEngine:
    return CountingEngine()


@pytest.fixture
def run(workshop, engine):
    def start(work, recorder=None, opener=None, options=None, model=None, **limits):
        def read(ref, mount, *, allow_implausible):
            assert (mount, allow_implausible) == (Path("/mnt/scans"), False)
            return workshop.scan(ref)

        model = model or LoadedModel(Bundle(), engine, Warm)
        meter = Meter(CollectorRegistry())
        pipeline = Pipeline(model, {"scans": Path("/mnt/scans")}, Limits(**limits), meter, opener=opener or read)
        recorder = recorder or Recorder()
        pipeline.run(iter(work), recorder, options or JobOptions())
        return recorder

    return start


def rows(workshop, count: int, slices: int = 3, **changes) -> Iterator[Work]:
    return (Work(row, 0, workshop.ref(row, slices=slices), **changes) for row in range(count))


def test_slices_of_different_scans_share_full_batches(run, engine, workshop):
    recorder = run(rows(workshop, 8), ahead=8)
    assert sorted(recorder.ended) == list(range(8))
    assert sum(engine.batches) == 24
    assert engine.batches.count(4) >= 4
    assert all(finished.report.outcome == "scored" for finished in recorder.ended.values())
    assert {finished.slices for finished in recorder.ended.values()} == {3}


def test_a_report_names_what_ran_the_model_and_its_precision(run, engine, workshop):
    engine.precision = "int8"
    report = run(rows(workshop, 1)).ended[0].report
    assert report.engine is not None
    assert (report.engine.provider, report.engine.precision) == ("CPUExecutionProvider", "int8")


def test_every_row_is_begun_before_it_ends_and_no_more_than_the_limit_fly(run, workshop):
    recorder = run(rows(workshop, 12), ahead=3, readers=2)
    assert sorted(row for group in recorder.begun for row in group) == list(range(12))
    assert recorder.most_in_flight <= 3


def test_a_suspect_flies_alone(run, workshop):
    work = [Work(row, 0, workshop.ref(row), alone=row in {2, 3}) for row in range(6)]
    recorder = run(work, ahead=6)
    assert recorder.together[2] == recorder.together[3] == set()
    assert [2] in recorder.begun
    assert [3] in recorder.begun
    assert sorted(recorder.ended) == list(range(6))


def test_what_discovery_turned_away_is_reported_unread(run, workshop, engine):
    work = [
        Work(0, 0, workshop.ref(0, rejection=Cause("localizer", "a scout view"))),
        Work(1, 0, workshop.ref(1, failure=Cause("truncated", "ends early"))),
        Work(2, 0, workshop.ref(2), poison=True),
    ]
    recorder = run(work, opener=lambda *_, **__: pytest.fail("must not be read"))
    found = {row: (item.report.outcome, item.report.error.code) for row, item in recorder.ended.items()}
    assert found == {0: ("rejected", "localizer"), 1: ("failed", "truncated"), 2: ("failed", "poison")}
    assert engine.batches == []


def test_a_bad_scan_costs_its_own_row_only(run, workshop):
    def read(ref, *_, **__):
        if ref.scan_id.endswith("1"):
            raise Truncated("the file ends early", path=ref.path)
        if ref.scan_id.endswith("2"):
            raise KeyError("a bug in a decoder")
        return workshop.scan(ref)

    recorder = run(rows(workshop, 4), opener=read)
    codes = {row: item.report.error.code if item.report.error else None for row, item in recorder.ended.items()}
    assert codes == {0: None, 1: "truncated", 2: "scan_error", 3: None}
    assert "unforeseen KeyError while reading" in recorder.ended[2].report.error.message


def test_an_unmounted_root_stops_the_run_and_fails_nothing(run, workshop):
    def read(_, mount, **__):
        raise RootNotMounted("the input root is not mounted", path=str(mount))

    recorder = Recorder()
    with pytest.raises(RootNotMounted):
        run(rows(workshop, 4), recorder, opener=read)
    assert recorder.ended == {}


def test_a_full_disk_stops_the_run(run, workshop):
    with pytest.raises(SinkError):
        run(rows(workshop, 4), Recorder(failing=SinkError("no space left on device")))


def test_a_broken_device_is_no_scans_fault(run, workshop, engine):
    engine.broken = True
    recorder = Recorder()
    with pytest.raises(DeviceError, match="CUDA error 700"):
        run(rows(workshop, 4), recorder)
    assert recorder.ended == {}


def test_a_refused_row_ends_the_run_but_not_what_flies(run, workshop):
    recorder = run(rows(workshop, 10), Recorder(refuse_from=5), ahead=1)
    assert sorted(recorder.ended) == [0, 1, 2, 3, 4]


def test_nothing_to_do_is_done(run):
    assert run([]).ended == {}


def test_the_highest_slices_are_explained_and_an_empty_map_is_said_so(run, workshop):
    recorder = run(rows(workshop, 1, slices=5), options=JobOptions(max_overlays=2))
    report = recorder.ended[0].report
    assert report.label == "hemorrhage"
    assert [item.heatmap for item in report.slices if item.heatmap] == ["drawn", "empty_heatmap"]
    assert list(recorder.ended[0].files) == ["slice-001.png", "index.html", "report.json"]
    assert recorder.ended[0].files["slice-001.png"].startswith(b"\x89PNG")


def test_overlays_can_be_left_out(run, workshop):
    recorder = run(rows(workshop, 1), options=JobOptions(explain=False))
    assert list(recorder.ended[0].files) == ["index.html", "report.json"]
    assert recorder.ended[0].report.label == "hemorrhage"


def test_maps_that_failed_their_check_are_withheld_and_the_report_says_why(run, workshop):
    finished = run(
        rows(workshop, 1), model=LoadedModel(Bundle(heatmap_check="failed"), CountingEngine(), refuse)
    ).ended[0]
    assert list(finished.files) == ["index.html", "report.json"]
    assert [item.heatmap for item in finished.report.slices] == ["withheld"] * 3
    assert finished.report.quality[-1].code == "heatmaps_failed_check"
    assert "randomisation check failed" in finished.report.quality[-1].note
    assert finished.report.engine.explainer is None
    jsonschema.validate(json.loads(dump_report(finished.report)), published("report-2"))


def test_maps_that_failed_their_check_are_drawn_on_request_and_say_so(run, workshop):
    failed = LoadedModel(Bundle(heatmap_check="failed"), CountingEngine(), Warm)
    asked = run(rows(workshop, 1), model=failed, options=JobOptions(unverified_overlays=True)).ended[0]
    verified = run(rows(workshop, 1)).ended[0]
    assert [item.heatmap for item in asked.report.slices] == ["drawn", "empty_heatmap", "drawn"]
    assert "heatmaps_failed_check" in [item.code for item in asked.report.quality]
    assert "heatmaps_failed_check" not in [item.code for item in verified.report.quality]
    assert asked.files["slice-001.png"] != verified.files["slice-001.png"]


def test_a_scan_without_a_finding_is_told_nothing_about_maps(run, workshop):
    dark = LoadedModel(
        Bundle(heatmap_check="failed", scoring=one_finding(threshold=0.9999999)), CountingEngine(), refuse
    )
    report = run(rows(workshop, 1), model=dark).ended[0].report
    assert report.label == "no_finding"
    assert "heatmaps_failed_check" not in [item.code for item in report.quality]


def test_no_heat_map_is_computed_where_no_output_shows_it(run, workshop):
    unwanted = LoadedModel(Bundle(), CountingEngine(), refuse)
    finished = run(rows(workshop, 1), model=unwanted, options=JobOptions(outputs=("report", "page"))).ended[0]
    assert finished.report.label == "hemorrhage"
    assert {item.heatmap for item in finished.report.slices} == {None}
    assert list(finished.files) == ["index.html", "report.json"]


@pytest.mark.parametrize("problem", [ImportError("no libcudart"), RuntimeError("out of handles"), OSError("I/O error")])
def test_an_explainer_that_did_not_load_is_no_scans_fault(run, workshop, problem):
    def load():
        raise problem

    recorder = Recorder()
    with pytest.raises(DeviceError, match=str(problem)):
        run(rows(workshop, 3), recorder, model=LoadedModel(Bundle(), CountingEngine(), load))
    assert recorder.ended == {}


@dataclass
class Explaining(Warm):
    """Fails on scans, and on everything once it is broken."""

    broken: bool

    def heatmaps(self, features, slices):
        if self.broken or features.any():
            raise RuntimeError("out of memory")
        return super().heatmaps(features, slices)


def test_an_explainer_that_breaks_later_is_no_scans_fault(run, workshop):
    recorder = Recorder()
    with pytest.raises(DeviceError, match="out of memory"):
        run(rows(workshop, 3), recorder, model=LoadedModel(Bundle(), CountingEngine(), lambda: Explaining(broken=True)))
    assert recorder.ended == {}


def test_a_scan_that_is_too_much_for_the_explainer_costs_its_own_row(run, workshop):
    model = LoadedModel(Bundle(), CountingEngine(), lambda: Explaining(broken=False))
    report = run(rows(workshop, 1), model=model).ended[0].report
    assert (report.outcome, report.error.code) == ("failed", "scan_error")
    assert "unforeseen RuntimeError while explaining" in report.error.message


def test_a_heat_map_that_is_no_number_costs_the_scans_row(run, workshop):
    class Odd(Warm):
        def heatmaps(self, features, slices):
            return super().heatmaps(features, slices) * np.nan

    report = run(rows(workshop, 1), model=LoadedModel(Bundle(), CountingEngine(), Odd)).ended[0].report
    assert (report.outcome, report.error.code) == ("failed", "scoring_failed")
    assert "no numbers" in report.error.message


def test_a_library_that_cannot_be_imported_is_no_scans_fault(run, workshop):
    def read(*_, **__):
        raise ImportError("nibabel was built for another numpy")

    recorder = Recorder()
    with pytest.raises(DeviceError, match="another numpy"):
        run(rows(workshop, 3), recorder, opener=read)
    assert recorder.ended == {}


def test_which_slices_are_positive():
    class Score:
        label = "review"
        slice_probabilities = np.array([0.1, 0.9, 0.5, 0.7, 0.49, 0.7])

    assert explained_slices(Score(), 0.5, JobOptions()) == (1, 2, 3, 5)
    assert explained_slices(Score(), 0.5, JobOptions(max_overlays=2)) == (1, 3)
    assert explained_slices(Score(), 0.5, JobOptions(max_overlays=0)) == ()
    Score.label = "no_finding"
    assert explained_slices(Score(), 0.0, JobOptions()) == ()
