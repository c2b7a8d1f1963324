"""Finds what the broker lost. Run by every worker's parent, a job at a time, every few seconds.

A chunk with open scans, without a lease and without a waiting message is missing. If it still is on the next pass, a
new message is sent. A message too many does no harm; the claim finds nothing to do.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable

from hemo_core.bundle import Bundle
from hemo_core.errors import HemoError, JobError, RootNotMounted
from hemo_core.jobs import JobHeader, JobStore, enqueue
from hemo_worker.child import check_precision, other_bundle
from hemo_worker.chunks import job_folder
from hemo_worker.settings import WorkerSettings
from hemo_worker.shared import Shared

_LOG = logging.getLogger(__name__)
_MOST_AT_ONCE = 1000


class Reconciler:
    """Keeps the worker's sign of life fresh and re-enqueues lost chunks.

    Args:
        shared: this worker's id, and the precision of its model.
        bundle: only its jobs are this worker's business.
    """

    def __init__(self, store: JobStore, settings: WorkerSettings, shared: Shared, bundle: Bundle) -> None:
        self.store = store
        self.settings = settings
        self.shared = shared
        self.worker = f"{shared.worker}@{bundle.digest}"
        self.bundle = bundle
        self._suspected: dict[str, frozenset[int]] = {}
        self._told: set[str] = set()
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._loop, name="reconcile", daemon=True)

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def stop(self) -> None:
        """End, and say that the worker is gone."""
        self._over.set()
        if self._thread.is_alive():
            self._thread.join()
        self._guarded(lambda: self.store.worker_gone(self.worker))

    def once(self) -> int:
        """One pass. Returns how many messages were sent. Raises BrokerError."""
        self.store.worker_seen(self.worker)
        jobs = self.store.unfinished()
        self._suspected = {job: chunks for job, chunks in self._suspected.items() if job in jobs}
        return sum(self._job(job) for job in jobs)

    def _job(self, job: str) -> int:
        """One job, whose troubles are its own. Returns how many messages were sent."""
        try:
            header = self.store.header(job)
            missing = self._missing(header)
            if missing:
                queue = self.store.queued_chunks(self.bundle.digest)
                missing -= {first // header.chunk_size for name, first in queue if name == job}
            return self._send(header, missing)
        except (JobError, RootNotMounted) as problem:
            _LOG.warning("job %s: %s", job, problem)
            return 0

    def _missing(self, header: JobHeader) -> frozenset[int]:
        """Chunks of a job of ours that nobody works on."""
        if header.bundle_digest != self.bundle.digest:
            self._tell_if_nobody_serves(header)
            return frozenset()
        precision = self.shared.precision()
        if precision is None:
            return frozenset()  # the model is still being loaded
        check_precision(header, precision)
        if self.store.is_enqueuing(header.job):
            return frozenset()
        job_folder(header, self.settings)
        if self.store.progress(header.job).open == 0:
            return frozenset((0,))  # its summary is missing
        return frozenset(self.store.unleased_chunks(header))

    def _send(self, header: JobHeader, missing: frozenset[int]) -> int:
        again = sorted(missing & self._suspected.get(header.job, frozenset()))[:_MOST_AT_ONCE]
        self._suspected[header.job] = missing - frozenset(again)
        if again:
            _LOG.warning("job %s: %d chunks had no message, sent again", header.job, len(again))
            enqueue(self.store, header, again)
        return len(again)

    def _tell_if_nobody_serves(self, header: JobHeader) -> None:
        if any(worker.endswith(f"@{header.bundle_digest}") for worker in self.store.workers()):
            return
        text = other_bundle(header, self.bundle)
        if header.job not in self._told:
            self._told.add(header.job)
            _LOG.warning("left alone: %s", text)
        self.store.note(header.job, f"no worker serves it: {text}")

    def _loop(self) -> None:
        while not self._over.wait(self.settings.reconcile_s):
            self._guarded(self.once)

    @staticmethod
    def _guarded(call: Callable[[], object]) -> None:
        try:
            call()
        except HemoError as problem:
            _LOG.warning("reconciling: %s", problem)
        except Exception:  # noqa: BLE001  (the thread is the worker's sign of life and must outlive it)
            _LOG.exception("reconciling")
