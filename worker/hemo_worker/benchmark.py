"""Three ways over the same scans, timed in turns: the worker's whole path, its CNN alone, and the textbook."""

from __future__ import annotations

import os
import shutil
import statistics
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING, Any, Literal, TypeAlias, cast

import numpy as np
import numpy.typing as npt

from hemo_core.errors import NoInput

if TYPE_CHECKING:
    from hemo_core.bundle import Bundle
    from hemo_core.inference.session import Device
    from hemo_core.report import Report
    from hemo_core.scans.scan import ScanRef
    from hemo_worker.pipeline import Finished, LoadedModel, Pipeline, Work

Float: TypeAlias = npt.NDArray[np.float32]
Way = Literal["worker", "cnn", "textbook"]


@dataclass(frozen=True, slots=True)
class Timing:
    """One way over all scans.

    Attributes:
        seconds: wall time of each round.
        cpu_seconds: CPU time of each round, all threads of this process.
        slices_per_second: median over the rounds.
    """

    seconds: tuple[float, ...]
    cpu_seconds: tuple[float, ...]
    slices_per_second: float


@dataclass(frozen=True, slots=True)
class Benchmark:
    """What was measured.

    Attributes:
        provider: execution provider that ran the CNN.
        precision: what it computed in; the textbook computes in fp32.
        scans, slices: scored in each round; ``slices`` are model slices.
        explained: positive slices with a heat map, the same in ``worker`` and ``textbook``.
        ways: ``worker`` reads files and writes reports and overlays; ``cnn`` (the ceiling) and ``textbook`` begin with
            slices that are already prepared, and write nothing.
        of_ceiling: worker's slices/s as a fraction of the CNN's alone.
        times_textbook: worker's slices/s as a multiple of the textbook's.
        cpu_ms_outside_cnn: the worker's CPU milliseconds for a slice, less those of the CNN alone.
        stage_ms: the worker's milliseconds for a slice in each stage, summed over threads.
    """

    provider: str
    precision: str
    scans: int
    slices: int
    explained: int
    ways: Mapping[Way, Timing]
    of_ceiling: float
    times_textbook: float
    cpu_ms_outside_cnn: float
    stage_ms: Mapping[str, float]

    def to_json(self) -> dict[str, Any]:
        """JSON-ready form."""
        return asdict(self)


def benchmark(bundle: Bundle, scans: Path, scratch: Path, *, device: str, rounds: int) -> Benchmark:
    """Run the three ways in turns, so that whatever else the machine does meets all of them.

    Args:
        bundle: the model.
        scans: folder or file of scans.
        scratch: an empty folder for reports.
        device: for the ONNX half; the textbook runs on TensorFlow's CPU.
        rounds: how often each way is timed, after one round that is not.

    Raises:
        NoInput: nothing there can be scored.
    """
    worker = _Worker(bundle, scans, scratch, device)
    chosen = worker.run()
    if not worker.slices:
        raise NoInput("no scan there can be scored", path=str(scans), hint="hemo-batch inspect says why")
    prepared = worker.prepared()
    textbook = _Textbook(bundle)
    textbook.run(prepared[0][:1], (0,))
    ways: dict[Way, Callable[[], object]] = {
        "worker": worker.run,
        "cnn": lambda: _cnn_alone(worker.model, prepared),
        "textbook": lambda: textbook.run_all(prepared, chosen),
    }
    ways["cnn"]()
    worker.stages.clear()
    timed = _in_turns(ways, rounds, worker.slices)
    return _result(worker, timed, rounds, sum(map(len, chosen)))


def _result(worker: _Worker, timed: Mapping[Way, Timing], rounds: int, explained: int) -> Benchmark:
    rate = {way: timing.slices_per_second for way, timing in timed.items()}
    cpu = {way: statistics.median(timing.cpu_seconds) for way, timing in timed.items()}
    return Benchmark(
        provider=worker.model.engine.provider,
        precision=worker.model.engine.precision,
        scans=len(worker.scored),
        slices=worker.slices,
        explained=explained,
        ways=timed,
        of_ceiling=rate["worker"] / rate["cnn"],
        times_textbook=rate["worker"] / rate["textbook"],
        cpu_ms_outside_cnn=1e3 * (cpu["worker"] - cpu["cnn"]) / worker.slices,
        stage_ms={stage: 1e3 * spent / rounds / worker.slices for stage, spent in sorted(worker.stages.items())},
    )


def _in_turns(ways: Mapping[Way, Callable[[], object]], rounds: int, slices: int) -> dict[Way, Timing]:
    """Each way once a round, beginning with another one each time."""
    spent: dict[Way, list[tuple[float, float]]] = {way: [] for way in ways}
    names = list(ways)
    for number in range(rounds):
        first = number % len(names)
        for way in (*names[first:], *names[:first]):
            wall, cpu = time.perf_counter(), time.process_time()
            ways[way]()
            spent[way].append((time.perf_counter() - wall, time.process_time() - cpu))
    return {way: _timing(times, slices) for way, times in spent.items()}


def _timing(times: Sequence[tuple[float, float]], slices: int) -> Timing:
    walls, cpus = zip(*times, strict=True)
    return Timing(tuple(walls), tuple(cpus), slices / statistics.median(walls))


def _cnn_alone(model: LoadedModel, prepared: Sequence[Float]) -> None:
    """All slices through the CNN in full batches."""
    slices, batch = np.concatenate(prepared), model.engine.batch
    for first in range(0, len(slices), batch):
        model.engine.cnn(slices[first : first + batch])


class _Worker:
    """The worker's pipeline in this process, without a queue: files in, reports and overlays out.

    Attributes:
        scored: the scans that were scored, in order of discovery.
        slices: model slices of one run.
        stages: seconds spent in each stage, over all runs.
    """

    def __init__(self, bundle: Bundle, scans: Path, scratch: Path, device: str) -> None:
        from hemo_core.scans.discover import discover
        from hemo_worker.settings import WorkerSettings

        settings = WorkerSettings("", device=cast("Device", device))
        found = discover(scans)
        self.refs = tuple(found)
        self.mount = found.mount
        self.scratch = scratch
        self.stages: Counter[str] = Counter()
        self.scored: list[ScanRef] = []
        self.slices = 0
        self.pipeline = _pipeline(bundle, {ref.root: found.mount for ref in self.refs}, settings)
        self.model = self.pipeline.model

    def run(self) -> list[tuple[int, ...]]:
        """Score everything into a fresh folder; the slices explained in each scored scan, in order of discovery."""
        from hemo_core.jobs import JobOptions
        from hemo_worker.pipeline import Work

        out = _Outlet(self.scratch / "job")
        work = (Work(row, 0, ref) for row, ref in enumerate(self.refs))
        self.pipeline.run(work, out, JobOptions())
        shutil.rmtree(out.folder)
        for timings in out.timings:
            self.stages.update(timings)
        self.slices = out.slices
        self.scored = [self.refs[row] for row in sorted(out.reports)]
        return [_explained(out.reports[row]) for row in sorted(out.reports)]

    def prepared(self) -> list[Float]:
        """The CNN's input of each scored scan, float32 ``(slices, H, W, C)``."""
        from hemo_core.scans.preprocess import prepare, to_input
        from hemo_core.scans.readers import read_scan

        contract = self.model.bundle.input
        return [to_input(prepare(read_scan(ref, self.mount), contract).pixels) for ref in self.scored]


def _explained(report: Report) -> tuple[int, ...]:
    """Indices of the slices whose heat map was computed."""
    return tuple(item.number - 1 for item in report.slices if item.heatmap not in (None, "withheld"))


class _Outlet:
    """Writes as a worker does, and keeps the reports."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.reports: dict[int, Report] = {}
        self.timings: list[dict[str, float]] = []
        self.slices = 0
        self._lock = Lock()
        folder.mkdir()

    def begin(self, work: Sequence[Work]) -> bool:
        """Everything may begin."""
        return bool(work)

    def end(self, finished: Finished) -> None:
        """Write a scan; keep the report of a scored one."""
        from hemo_worker.outputs.scan_files import write_scan

        write_scan(self.folder, finished.report.scan.scan_id, finished.files)
        with self._lock:
            self.timings.append(finished.timings)  # its "write" is filled in after this call
            if finished.report.outcome == "scored":
                self.slices += finished.slices
                self.reports[finished.work.row] = finished.report


def _pipeline(bundle: Bundle, mounts: Mapping[str, Path], settings: Any) -> Pipeline:
    """The pipeline as a worker's child sets it up."""
    from prometheus_client import CollectorRegistry

    from hemo_core.bundle.keras import quiet_tensorflow
    from hemo_worker.child import load_model
    from hemo_worker.metrics import Meter
    from hemo_worker.pipeline import Limits, Pipeline

    quiet_tensorflow(os.cpu_count())  # the textbook needs every core; a worker's Explainer has to share them
    model = load_model(bundle, settings, _give_up)
    model.explainer()
    limits = Limits(readers=settings.readers, ahead=settings.ahead, ahead_bytes=settings.ahead_bytes)
    return Pipeline(model, mounts, limits, Meter(CollectorRegistry()))


def _give_up(problem: Exception) -> None:
    raise problem


class _Textbook:
    """What tutorials do: predict picture by picture, and build the Grad-CAM model anew for each (keras.io/examples)."""

    def __init__(self, bundle: Bundle) -> None:
        from hemo_core.bundle import MODEL
        from hemo_core.bundle.keras import load_keras

        self.model = load_keras(bundle.path / MODEL)

    def run_all(self, scans: Sequence[Float], chosen: Sequence[Sequence[int]]) -> None:
        """Every scan with its chosen slices."""
        for slices, picks in zip(scans, chosen, strict=True):
            self.run(slices, picks)

    def run(self, slices: Float, chosen: Sequence[int]) -> None:
        """Predict every slice of ``(t, H, W, C)`` as a scan of its own; explain the chosen ones."""
        for index, picture in enumerate(slices):
            batch = picture[None, None]
            self.model.predict(batch, verbose=0)
            if index in chosen:
                self._explain(batch)

    def _explain(self, batch: Float) -> Float:
        import keras
        import tensorflow as tf

        outputs = [self.model.get_layer("per_slice").output, self.model.output]
        both = keras.Model(self.model.inputs[0], outputs)
        with tf.GradientTape() as tape:
            features, logits = both(batch)
            tape.watch(features)
            score = logits[0, 0, 0]
        weights = tf.reduce_mean(tape.gradient(score, features), axis=(0, 1, 2, 3))
        heat = tf.nn.relu(tf.reduce_sum(features[0, 0] * weights, axis=-1))
        return np.asarray(heat / (tf.reduce_max(heat) + 1e-8), np.float32)
