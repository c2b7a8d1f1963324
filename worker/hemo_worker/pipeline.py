"""read → prepare → CNN → sequence → score → explain → report, with the device kept fed.

Threads read and prepare ahead; slices of different scans share CNN batches of one fixed size; the sequence runs one
scan a call; threads explain, draw and write behind. A bad scan costs its own row; a broken device or disk ends the run.
"""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Protocol, TypeAlias, TypeVar

import numpy as np
import numpy.typing as npt

from hemo_core.bundle import Bundle
from hemo_core.errors import DeviceError, HemoError, Poison, ScanError
from hemo_core.inference.gradcam import Explainer
from hemo_core.inference.scoring import ScanScore, score_scan
from hemo_core.inference.session import Engine
from hemo_core.jobs import JobOptions
from hemo_core.jobs.layout import picture_name
from hemo_core.report import EngineFacts, Report, Shown, failed_report, rejected_report, scored_report
from hemo_core.scans.preprocess import Prepared, prepare, to_input
from hemo_core.scans.readers import read_scan
from hemo_core.scans.scan import Scan, ScanRef
from hemo_worker.outputs.overlay import overlay_png

if TYPE_CHECKING:
    from hemo_worker.metrics import Meter

Float: TypeAlias = npt.NDArray[np.float32]
Pictures: TypeAlias = Mapping[str, bytes]
T = TypeVar("T")

_LOG = logging.getLogger(__name__)
_SLICES_OF_A_VOLUME = 40
_BYTES_OF_A_SLICE = 512 * 512 * 4
_BATCHES_AHEAD = 4


@dataclass(frozen=True, slots=True)
class Work:
    """One row to be done.

    Attributes:
        alone: nothing else may be in flight with it.
        poison: it killed its process too often and is to be failed unread.
    """

    row: int
    chunk: int
    ref: ScanRef
    alone: bool = False
    poison: bool = False


@dataclass(frozen=True, slots=True)
class Limits:
    """How far the pipeline reads ahead, see :class:`hemo_worker.settings.WorkerSettings`."""

    readers: int = 2
    writers: int = 2
    ahead: int = 64
    ahead_bytes: int = 1 << 30


@dataclass(frozen=True, slots=True)
class LoadedModel:
    """A loaded bundle.

    Attributes:
        explainer: gives the explaining half, and waits for it if it is still being loaded.
    """

    bundle: Bundle
    engine: Engine
    explainer: Callable[[], Explainer]


@dataclass(frozen=True, slots=True)
class Finished:
    """A row's end.

    Attributes:
        slices: model slices scored.
        timings: seconds by stage.
    """

    work: Work
    report: Report
    pictures: Pictures
    slices: int
    timings: dict[str, float]


class Outlet(Protocol):
    """Where the pipeline's rows come from and go to."""

    def begin(self, work: Sequence[Work]) -> bool:
        """Record rows as in flight before they are touched; False to leave them alone and stop."""

    def end(self, finished: Finished) -> None:
        """Write and mark a row. Called from several threads."""


@dataclass(slots=True, eq=False)
class _Flight:
    """A row on its way."""

    work: Work
    cost: int
    timings: dict[str, float] = field(default_factory=dict)
    decoded: tuple[Scan, Prepared] | None = None
    sent: int = 0
    features: list[Float] = field(default_factory=list)
    embeddings: list[Float] = field(default_factory=list)

    def result(self) -> tuple[Scan, Prepared]:
        """What reading gave."""
        if self.decoded is None:
            raise RuntimeError(f"row {self.work.row} has not been read yet")
        return self.decoded

    @property
    def slices(self) -> int:
        """Model slices; 0 before it is read."""
        return 0 if self.decoded is None else len(self.decoded[1].pixels)


class Pipeline:
    """Scores scans with one loaded model.

    Args:
        mounts: where the input roots are, by name.
        opener: reads one scan; :func:`hemo_core.scans.readers.read_scan`.
    """

    def __init__(
        self,
        model: LoadedModel,
        mounts: Mapping[str, Path],
        limits: Limits,
        meter: Meter,
        *,
        opener: Callable[..., Scan] = read_scan,
    ) -> None:
        self.model = model
        self.mounts = mounts
        self.limits = limits
        self.meter = meter
        self.opener = opener

    def run(self, source: Iterator[Work], outlet: Outlet, options: JobOptions) -> None:
        """Do every row of ``source``; it is asked for the next one only when there is room.

        Raises:
            HemoError: not about one scan (root not mounted, disk, broker, device). Rows in flight stay open.
        """
        with (
            ThreadPoolExecutor(self.limits.readers, "read") as readers,
            ThreadPoolExecutor(self.limits.writers, "write") as writers,
        ):
            _Run(self, source, outlet, options, readers, writers).drain()

    def read(self, flight: _Flight, options: JobOptions) -> None:
        """Decode and prepare one scan. Raises ScanError; any other failure but ours becomes one."""
        ref = flight.work.ref
        try:
            with self.meter.timed("read", flight.timings):
                scan = self.opener(ref, self.mounts[ref.root], allow_implausible=options.allow_implausible)
            with self.meter.timed("preprocess", flight.timings):
                prepared = prepare(scan, self.model.bundle.input)
            flight.decoded = scan, prepared
        except HemoError:
            raise
        except Exception as problem:
            raise unexpected(ref, "reading", problem) from problem

    def explain(
        self, flight: _Flight, score: ScanScore, features: Float, options: JobOptions
    ) -> tuple[tuple[Shown, ...], dict[str, bytes]]:
        """Overlays of the positive slices, the highest first where there are too many.

        A model whose maps failed their check gets none, unless the job asks for them.
        """
        scan, prepared = flight.result()
        bundle = self.model.bundle
        chosen = positive_slices(score, bundle.scoring.threshold, options)
        if not chosen:
            return (), {}
        doubtful = bundle.heatmap_check == "failed"
        if doubtful and not options.unverified_overlays:
            return tuple(Shown(index, None, "withheld") for index in chosen), {}
        shown, pictures = [], {}
        explainer = self.model.explainer()
        with self.meter.timed("gradcam", flight.timings):
            maps = explainer.heatmaps(features, chosen)
            for index, heat in zip(chosen, maps, strict=True):
                if not heat.any():
                    shown.append(Shown(index, None, "empty_heatmap"))
                    continue
                name = picture_name(index)
                probability = float(score.slice_probabilities[index])
                threshold = bundle.scoring.threshold
                pictures[name] = overlay_png(
                    scan, prepared, index, heat, probability, threshold=threshold, doubtful=doubtful
                )
                shown.append(Shown(index, name))
        return tuple(shown), pictures


class _Run:
    """One call of :meth:`Pipeline.run`. Its methods run in the calling thread, except ``_finish*``."""

    def __init__(
        self,
        pipeline: Pipeline,
        source: Iterator[Work],
        outlet: Outlet,
        options: JobOptions,
        readers: ThreadPoolExecutor,
        writers: ThreadPoolExecutor,
    ) -> None:
        self.pipeline = pipeline
        self.model = pipeline.model
        self.meter = pipeline.meter
        self.source = source
        self.outlet = outlet
        self.options = options
        self.readers = readers
        self.writers = writers
        self.next: Work | None = None
        self.exhausted = False
        self.reading: dict[Future[None], _Flight] = {}
        self.waiting: deque[_Flight] = deque()
        self.writing: dict[Future[None], _Flight] = {}

    def drain(self) -> None:
        """Run until the source is empty and everything has ended."""
        try:
            while True:
                self._collect()
                self._admit()
                if self._slices_waiting() >= self.model.engine.batch or (self.waiting and not self.reading):
                    self._cnn()
                elif self.reading or self.writing:
                    wait((*self.reading, *self.writing), return_when=FIRST_COMPLETED)
                elif self.exhausted:
                    return
        finally:
            for future in (*self.reading, *self.writing):
                future.cancel()

    # -- admission ----------------------------------------------------------------------------------------------------

    def _admit(self) -> None:
        """Let rows in while there is room."""
        admitted: list[Work] = []
        while (work := self._peek()) is not None and self._has_room(work, admitted):
            self.next = None
            admitted.append(work)
            if work.alone:
                break
        if not admitted:
            return
        if not self.outlet.begin(admitted):
            self.exhausted = True
            return
        for work in admitted:
            flight = _Flight(work, cost=_estimate(work.ref))
            if work.poison or work.ref.rejection is not None or work.ref.failure is not None:
                self._write(flight, lambda flight=flight: self._finish_unread(flight))  # type: ignore[misc]
            else:
                self.reading[self.readers.submit(self.pipeline.read, flight, self.options)] = flight

    def _peek(self) -> Work | None:
        if self.next is None and not self.exhausted:
            self.next = next(self.source, None)
            self.exhausted = self.next is None
        return self.next

    def _has_room(self, work: Work, admitted: Sequence[Work]) -> bool:
        flights = [*self.reading.values(), *self.waiting, *self.writing.values()]
        if not flights and not admitted:
            return True
        if work.alone or any(flight.work.alone for flight in flights):
            return False
        limits, coming = self.pipeline.limits, sum(_estimate(item.ref) for item in admitted)
        if len(flights) + len(admitted) >= limits.ahead:
            return False
        if (sum(flight.cost for flight in flights) + coming) * _BYTES_OF_A_SLICE >= limits.ahead_bytes:
            return False
        if len(self.reading) + len(admitted) < limits.readers:
            return True
        read_ahead = sum(flight.cost for flight in self.reading.values()) + coming + self._slices_waiting()
        return read_ahead < _BATCHES_AHEAD * self.model.engine.batch

    # -- progress -----------------------------------------------------------------------------------------------------

    def _collect(self) -> None:
        """Take what threads have finished. Raises what is not about one scan."""
        for future in [future for future in self.reading if future.done()]:
            flight = self.reading.pop(future)
            try:
                future.result()
            except ScanError as problem:
                self._fail(flight, problem)
                continue
            flight.cost = -(-sum(item.pixels.nbytes for item in flight.result()[0].slices) // _BYTES_OF_A_SLICE)
            self.waiting.append(flight)
        for future in [future for future in self.writing if future.done()]:
            del self.writing[future]
            future.result()

    def _slices_waiting(self) -> int:
        return sum(flight.slices - flight.sent for flight in self.waiting)

    def _cnn(self) -> None:
        """One CNN batch from the scans that wait, in their order; score those that are through."""
        room, parts, owners = self.model.engine.batch, [], []
        for flight in self.waiting:
            if room == 0:
                break
            part = flight.result()[1].pixels[flight.sent : flight.sent + room]
            parts.append(part)
            owners.append((flight, len(part)))
            room -= len(part)
        batch = to_input(np.concatenate(parts))
        timings: dict[str, float] = {}
        with self.meter.timed("cnn", timings):
            output = _on_device(lambda: self.model.engine.cnn(batch))
        self.meter.batch.observe(len(batch))
        first = 0
        for flight, count in owners:
            flight.features.append(output.features[first : first + count])
            flight.embeddings.append(output.embeddings[first : first + count])
            flight.timings["cnn"] = flight.timings.get("cnn", 0.0) + timings["cnn"] * count / len(batch)
            flight.sent += count
            first += count
        while self.waiting and self.waiting[0].sent == self.waiting[0].slices:
            self._score(self.waiting.popleft())

    def _score(self, flight: _Flight) -> None:
        try:
            with self.meter.timed("sequence", flight.timings):
                embeddings = np.concatenate(flight.embeddings)
                logits = _on_device(lambda: self.model.engine.sequence(embeddings))
                score = score_scan(logits, self.model.bundle.scoring)
        except ScanError as problem:
            self._fail(flight, problem)
            return
        self._write(flight, lambda: self._finish_scored(flight, score))

    # -- the end of a row; in writer threads --------------------------------------------------------------------------

    def _write(self, flight: _Flight, finish: Callable[[], None]) -> None:
        self.writing[self.writers.submit(finish)] = flight

    def _fail(self, flight: _Flight, problem: ScanError) -> None:
        self._write(flight, lambda: self._finish_failed(flight, problem))

    def _finish_unread(self, flight: _Flight) -> None:
        work = flight.work
        if work.poison:
            self.meter.poison.inc()
            self._finish_failed(flight, Poison("scoring it killed the process twice, alone", hint="inspect the file"))
        else:
            self._end(flight, rejected_report(work.ref, self.model.bundle), {}, 0)

    def _finish_failed(self, flight: _Flight, problem: ScanError) -> None:
        self._end(flight, failed_report(flight.work.ref, problem, self.model.bundle), {}, 0)

    def _finish_scored(self, flight: _Flight, score: ScanScore) -> None:
        ref, bundle = flight.work.ref, self.model.bundle
        scan, prepared = flight.result()
        try:
            features = np.concatenate(flight.features)
            shown, pictures = self.pipeline.explain(flight, score, features, self.options)
            engine = self.model.engine
            explained = any(item.heatmap != "withheld" for item in shown)
            facts = EngineFacts(engine.provider, engine.precision, self.model.explainer().kind if explained else None)
            report = scored_report(ref, scan, prepared, score, bundle, shown, engine=facts)
        except ScanError as problem:
            self._finish_failed(flight, problem)
        except HemoError:
            raise
        except Exception as problem:  # noqa: BLE001  (it costs this scan's row and is logged)
            self._finish_failed(flight, unexpected(ref, "explaining", problem))
        else:
            self.meter.score.observe(score.probability)
            self._end(flight, report, pictures, len(prepared.pixels))

    def _end(self, flight: _Flight, report: Report, pictures: Pictures, slices: int) -> None:
        with self.meter.timed("write", flight.timings):
            self.outlet.end(Finished(flight.work, report, pictures, slices, flight.timings))


def positive_slices(score: ScanScore, threshold: float, options: JobOptions) -> tuple[int, ...]:
    """Indices of the slices to explain, in anatomical order: at or above the threshold, at most ``max_overlays``."""
    if not options.explain or score.label == "no_finding":
        return ()
    above = np.flatnonzero(score.slice_probabilities >= threshold)
    highest = above[np.argsort(-score.slice_probabilities[above], kind="stable")][: options.max_overlays]
    return tuple(int(index) for index in np.sort(highest))


def unexpected(ref: ScanRef, doing: str, problem: Exception) -> ScanError:
    """A failure nobody foresaw, as the scan's own error: it must not cost the other scans of the chunk."""
    _LOG.error("unforeseen failure %s %s", doing, ref.path, exc_info=problem)
    return ScanError(f"unforeseen {type(problem).__name__} while {doing}: {problem}", path=ref.path)


def _on_device(call: Callable[[], T]) -> T:
    """Run the model; a failure that is not about the scan means the device is broken. Raises DeviceError."""
    try:
        return call()
    except HemoError:
        raise
    except Exception as problem:
        raise DeviceError(f"the model stopped running: {problem}", hint="see the worker's log") from problem


def _estimate(ref: ScanRef) -> int:
    """Slices a scan may have, before it is read."""
    return max(len(ref.files), _SLICES_OF_A_VOLUME if ref.kind == "nifti" else 1)
