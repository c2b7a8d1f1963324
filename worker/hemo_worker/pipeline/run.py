"""How scans are interleaved: what is let in, what is batched together, what waits for what."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from hemo_core.errors import ScanError
from hemo_core.inference.scoring import score_scan
from hemo_core.jobs import JobOptions
from hemo_core.scans.preprocess import to_input
from hemo_core.scans.readers import read_scan
from hemo_core.scans.scan import Scan
from hemo_worker.pipeline.blame import on_device
from hemo_worker.pipeline.flight import Flight, bytes_of, expected_slices
from hemo_worker.pipeline.stages import Stages
from hemo_worker.pipeline.work import Finished, Limits, LoadedModel, Outlet, Work

if TYPE_CHECKING:
    from hemo_worker.metrics import Meter

_BATCHES_AHEAD = 4


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
        stages = Stages(self.model, self.mounts, self.meter, self.opener, options)
        with (
            ThreadPoolExecutor(self.limits.readers, "read") as readers,
            ThreadPoolExecutor(self.limits.writers, "write") as writers,
        ):
            _Run(self, stages, source, outlet, readers, writers).drain()


class _Run:
    """One call of :meth:`Pipeline.run`. Its methods run in the calling thread, except ``_end``."""

    def __init__(
        self,
        pipeline: Pipeline,
        stages: Stages,
        source: Iterator[Work],
        outlet: Outlet,
        readers: ThreadPoolExecutor,
        writers: ThreadPoolExecutor,
    ) -> None:
        self.limits = pipeline.limits
        self.stages = stages
        self.model = pipeline.model
        self.meter = pipeline.meter
        self.source = source
        self.outlet = outlet
        self.readers = readers
        self.writers = writers
        self.next: Work | None = None
        self.exhausted = False
        self.reading: dict[Future[None], Flight] = {}
        self.waiting: deque[Flight] = deque()
        self.writing: dict[Future[None], Flight] = {}

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
            flight = Flight(work, cost=expected_slices(work.ref))
            if work.poison or work.ref.rejection is not None or work.ref.failure is not None:
                self._write(flight, partial(self.stages.unread, flight))
            else:
                self.reading[self.readers.submit(self.stages.read, flight)] = flight

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
        limits, coming = self.limits, sum(expected_slices(item.ref) for item in admitted)
        if len(flights) + len(admitted) >= limits.ahead:
            return False
        if bytes_of((*(flight.cost for flight in flights), coming)) >= limits.ahead_bytes:
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
            flight.weigh()
            self.waiting.append(flight)
        for future in [future for future in self.writing if future.done()]:
            del self.writing[future]
            future.result()

    def _slices_waiting(self) -> int:
        return sum(flight.slices - flight.sent for flight in self.waiting)

    def _cnn(self) -> None:
        """One CNN batch from the scans that wait, in their order; score those that are through."""
        parts = self._next_batch()
        batch = to_input(np.concatenate([pixels for _, pixels in parts]))
        timings: dict[str, float] = {}
        with self.meter.timed("cnn", timings):
            output = on_device(lambda: self.model.engine.cnn(batch))
        self.meter.batch.observe(len(batch))
        first = 0
        for flight, pixels in parts:
            last = first + len(pixels)
            flight.take(output.features[first:last], output.embeddings[first:last])
            flight.timings["cnn"] = flight.timings.get("cnn", 0.0) + timings["cnn"] * len(pixels) / len(batch)
            first = last
        while self.waiting and self.waiting[0].sent == self.waiting[0].slices:
            self._score(self.waiting.popleft())

    def _next_batch(self) -> list[tuple[Flight, npt.NDArray[np.uint8]]]:
        """Prepared slices that fill a batch, of the scans that wait longest."""
        room, parts = self.model.engine.batch, []
        for flight in self.waiting:
            if room == 0:
                break
            pixels = flight.result()[1].pixels[flight.sent : flight.sent + room]
            parts.append((flight, pixels))
            room -= len(pixels)
        return parts

    def _score(self, flight: Flight) -> None:
        try:
            with self.meter.timed("sequence", flight.timings):
                embeddings = np.concatenate(flight.embeddings)
                logits = on_device(lambda: self.model.engine.sequence(embeddings))
                score = score_scan(logits, self.model.bundle.scoring)
        except ScanError as problem:
            self._fail(flight, problem)
            return
        self._write(flight, partial(self.stages.scored, flight, score))

    def _fail(self, flight: Flight, problem: ScanError) -> None:
        self._write(flight, partial(self.stages.failed, flight, problem))

    def _write(self, flight: Flight, finish: Callable[[], Finished]) -> None:
        self.writing[self.writers.submit(self._end, flight, finish)] = flight

    def _end(self, flight: Flight, finish: Callable[[], Finished]) -> None:
        """In a writer thread."""
        finished = finish()
        with self.meter.timed("write", flight.timings):
            self.outlet.end(finished)
