"""One task's work on one job: claim chunk after chunk, feed the pipeline, write and mark, give back what is left."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from hemo_core.errors import BrokerError, JobError, RootNotMounted
from hemo_core.jobs import Claim, JobHeader, JobRows, JobStore, enqueue, layout
from hemo_worker.joblog import JobLog
from hemo_worker.metrics import Meter
from hemo_worker.outputs.scan_files import write_scan
from hemo_worker.pipeline import Finished, Pipeline, Work
from hemo_worker.settings import WorkerSettings

_LOG = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Tools:
    """What every task of a worker's child shares.

    Attributes:
        owner: ``<worker>/<process>``, unique to this process.
        stopping: whether the worker is shutting down.
    """

    store: JobStore
    owner: str
    pipeline: Pipeline
    settings: WorkerSettings
    meter: Meter
    stopping: Callable[[], bool]


def job_folder(header: JobHeader, settings: WorkerSettings) -> Path:
    """Where this worker finds a job's folder.

    Raises:
        JobError: an input or output root of the job has no mount here.
        RootNotMounted: a root is not mounted.
    """
    for name in (header.output_root, *header.roots):
        if name not in settings.roots:
            raise JobError(
                f"job {header.job} needs the root {name!r}, which this worker does not have",
                hint=f"--root {name}=/path",
            )
    for name in header.roots:
        if not settings.roots[name].is_dir():
            raise RootNotMounted(
                f"the input root {name!r} is not mounted", path=str(settings.roots[name]), hint="no scan was failed"
            )
    folder = settings.roots[header.output_root] / header.output_path
    if not (folder / layout.HEADER).is_file():
        raise RootNotMounted(
            f"the job's folder is not there: is the output root {header.output_root!r} mounted?", path=str(folder)
        )
    return folder


class ChunkRun:
    """One task. It is the :class:`hemo_worker.pipeline.Outlet` of its own pipeline run."""

    def __init__(self, tools: Tools, header: JobHeader, folder: Path) -> None:
        self.tools = tools
        self.header = header
        self.folder = folder
        self.complete = False
        self._open: dict[int, int] = {}
        self._lost: set[int] = set()
        self._lock = threading.Lock()
        self._deadline = time.monotonic() + tools.settings.task_s
        self._log = JobLog(folder)

    def run(self, claim: Claim) -> None:
        """Work until nothing is free, time is up or the worker stops. Raises what is not about one scan."""
        with JobRows(self.folder) as manifest, self._heartbeat(), self._giving_back():
            self.tools.pipeline.run(self._rows(claim, manifest), self, self.header.options)

    def close(self) -> None:
        """Close the log."""
        self._log.close()

    # -- source -------------------------------------------------------------------------------------------------------

    def _rows(self, claim: Claim, manifest: JobRows) -> Iterator[Work]:
        while claim.verdict == "run":
            yield from self._rows_of(claim, manifest)
            if self._must_stop():
                return
            claim = self.tools.store.claim(self.header.job, self.tools.owner, None, self.tools.settings.lease_s)

    def _rows_of(self, claim: Claim, manifest: JobRows) -> Iterator[Work]:
        chunk = claim.chunk
        if claim.taken_over:
            self.tools.meter.redelivered.inc()
        with self._lock:
            self._open[chunk] = len(claim.rows) + len(claim.suspects) + len(claim.poison)
        for row in claim.poison:
            yield Work(row, chunk, manifest[row], poison=True)
        for row in claim.suspects:
            yield Work(row, chunk, manifest[row], alone=True)
        for row in claim.rows:
            if self._must_stop():
                return
            if chunk not in self._lost:
                yield Work(row, chunk, manifest[row])

    def _must_stop(self) -> bool:
        return self.tools.stopping() or time.monotonic() > self._deadline

    # -- outlet -------------------------------------------------------------------------------------------------------

    def begin(self, work: Sequence[Work]) -> bool:
        """Record rows as in flight. False once the job no longer runs."""
        alone = len(work) == 1 and work[0].alone
        state = self.tools.store.begin(self.header.job, [item.row for item in work], alone=alone)
        return state == "running"

    def end(self, finished: Finished) -> None:
        """Report first, mark after: what is marked is on disk."""
        report, work = finished.report, finished.work
        write_scan(self.folder, report.scan.scan_id, finished.files)
        code = report.error.code if report.error is not None else ""
        what = report.label or code
        marked = self.tools.store.mark(self.header.job, work.row, report.outcome, what=what, slices=finished.slices)
        if marked.new:
            self.tools.meter.scans.labels(report.outcome, what).inc()
            self.tools.meter.slices.inc(finished.slices)
        self._log.write(
            "scan",
            row=work.row,
            scan_id=work.ref.scan_id,
            outcome=report.outcome,
            what=what,
            slices=finished.slices,
            alone=work.alone,
            seconds={stage: round(took, 4) for stage, took in finished.timings.items()},
        )
        with self._lock:
            self.complete |= marked.open == 0
            self._open[work.chunk] -= 1
            done = self._open[work.chunk] == 0
            if done:
                del self._open[work.chunk]
        if done:
            self.tools.store.release(self.header.job, self.tools.owner, work.chunk)

    # -- leases -------------------------------------------------------------------------------------------------------

    @contextmanager
    def _heartbeat(self) -> Iterator[None]:
        """Renew the leases from a thread, while the block runs."""
        over = threading.Event()
        thread = threading.Thread(target=self._beat, args=(over,), name="lease", daemon=True)
        thread.start()
        try:
            yield
        finally:
            over.set()
            thread.join()

    def _beat(self, over: threading.Event) -> None:
        lease_s = self.tools.settings.lease_s
        while not over.wait(lease_s / 3):
            with self._lock:
                held = tuple(self._open)
            try:
                lost = self.tools.store.renew(self.header.job, self.tools.owner, held, lease_s)
            except BrokerError as problem:
                _LOG.warning("cannot renew leases: %s", problem)
                continue
            with self._lock:
                self._lost |= lost & self._open.keys()

    @contextmanager
    def _giving_back(self) -> Iterator[None]:
        """Release what is not through. After an orderly stop others hear of it at once, after an error a little later.

        That pause keeps a full disk from being tried without end; the reconciler sends the chunks again.
        """
        orderly = False
        try:
            yield
            orderly = True
        finally:
            self._give_back(tell=orderly)

    def _give_back(self, *, tell: bool) -> None:
        header, tools = self.header, self.tools
        try:
            given_back = [chunk for chunk in tuple(self._open) if tools.store.release(header.job, tools.owner, chunk)]
            if given_back and tell and tools.store.progress(header.job).state == "running":
                enqueue(tools.store, header, given_back)
        except BrokerError as problem:
            _LOG.warning("leases of %s are left to expire: %s", header.job, problem)
