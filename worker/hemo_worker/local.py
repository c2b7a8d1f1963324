"""Everything on this machine: a private broker and one worker, started together and stopped together."""

from __future__ import annotations

import os
import select
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path

from hemo_core.errors import HemoError, JobError
from hemo_core.jobs import JobStore, Progress, layout
from hemo_core.jobs.private_broker import PrivateBroker
from hemo_core.jobs.store import POLL_S
from hemo_core.processes import die_with_parent
from hemo_worker.shared import Fatal, Ready, hear

READY_S = 180.0
_STOP_S = 60.0


class LocalWorker:
    """A worker process of ours. Start it from the main thread: it dies with the thread that started it.

    Args:
        arguments: for ``hemo-batch worker``, which is started by its name: this package knows nothing of the command
            line's, and there is one definition of what a worker can be told.
        log: file that takes what it says; None for our stderr.
        module: what to run; tests have their own.
    """

    def __init__(
        self, arguments: Sequence[str], *, log: Path | None = None, module: Sequence[str] = ("-m", "hemo_cli", "worker")
    ) -> None:
        self._reader, writer = os.pipe()
        self._said = b""
        self.log = log
        sink = log.open("ab") if log is not None else None
        try:
            self.process = subprocess.Popen(
                [sys.executable, *module, *arguments, "--ready-fd", str(writer)],
                stdin=subprocess.DEVNULL,
                stdout=sink,
                stderr=sink,
                pass_fds=(writer,),
                start_new_session=True,  # Ctrl-C is for us to turn into an orderly stop
                preexec_fn=partial(die_with_parent, signal.SIGTERM),  # noqa: PLW1509  (one prctl call, no lock taken)
            )
        finally:
            os.close(writer)
            if sink is not None:
                sink.close()

    def wait_ready(self, timeout_s: float = READY_S) -> Ready:
        """Wait until the model is loaded.

        Raises:
            HemoError: of the class that stopped the worker: BundleError, DeviceError …
        """
        deadline = time.monotonic() + timeout_s
        while b"\n" not in self._said:
            if not self._listen(max(0.0, deadline - time.monotonic())):
                raise JobError(f"the worker is not ready after {timeout_s:.0f} s", hint=self._where())
        said = hear(self._said.partition(b"\n")[0])
        if isinstance(said, Fatal):
            raise said.error()
        return said

    def check(self) -> None:
        """Raise what stopped the worker, if it has stopped."""
        if self.process.poll() is not None:
            raise self._ended()

    def stop(self) -> int:
        """Have it finish what is in flight and end. Returns its exit code."""
        if self.process.poll() is None:
            self.process.terminate()
            try:
                self.process.wait(_STOP_S)
            except subprocess.TimeoutExpired:
                with suppress(ProcessLookupError):
                    os.killpg(self.process.pid, signal.SIGKILL)  # its own session: parent and child
                self.process.wait()
        if self._reader >= 0:
            os.close(self._reader)
            self._reader = -1
        return int(self.process.returncode)

    def _listen(self, seconds: float) -> bool:
        """Take in what the worker says. False if it is silent for so long. Raises what ended it."""
        ready, _, _ = select.select([self._reader], [], [], seconds)
        if not ready:
            return False
        part = os.read(self._reader, 65536)
        if not part:
            raise self._ended()
        self._said += part
        return True

    def _ended(self) -> HemoError:
        """Why it ended, in its own words if it had any."""
        code = self.process.wait()
        while part := os.read(self._reader, 65536):
            self._said += part
        for line in self._said.splitlines():
            said = hear(line)
            if isinstance(said, Fatal):
                return said.error()
        return JobError(f"the worker ended with code {code}", hint=self._where())

    def _where(self) -> str:
        return f"see {self.log}" if self.log is not None else "its messages are above"


class LocalSession:
    """A private broker, its jobs, and one worker."""

    def __init__(self, broker: PrivateBroker, store: JobStore, worker: LocalWorker) -> None:
        self.broker = broker
        self.store = store
        self.worker = worker

    def watch(self, job: str) -> Iterator[Progress]:
        """Snapshots until the job is complete. Raises what stopped the worker, if it stops."""
        for progress in self.store.watch(job, interval_s=POLL_S):
            yield progress
            if not progress.complete:
                self.worker.check()


@contextmanager
def local_session(
    job_dir: Path,
    roots: Mapping[str, Path],
    *,
    bundle: Path | None = None,
    arguments: Sequence[str] = (),
    log: Path | None = None,
) -> Iterator[LocalSession]:
    """Start both; stop both at the end, the worker first, also after Ctrl-C. Call it in the main thread.

    The broker's state is kept in the job's folder, so a session on the same folder resumes where this one stopped.
    The worker loads its model meanwhile: ``session.worker.wait_ready()``.

    Args:
        job_dir: the job's folder, made if absent.
        roots: mounts by name, input and output.
        bundle: None for the released one.
        arguments: more for ``hemo-batch worker``.
        log: file for the worker's messages; default ``worker.log`` beside the broker's state.

    Raises:
        BrokerError: another session runs on that folder.
        SinkError: that folder cannot be written to.
        MissingExtra: there is no Redis server.
    """
    state = job_dir / layout.BROKER
    with PrivateBroker(state) as broker:
        store = JobStore(broker.url)
        mounts = [f"--root={name}={path}" for name, path in roots.items()]
        model = [f"--bundle={bundle}"] if bundle is not None else []
        worker = LocalWorker(
            [f"--broker={broker.url}", *mounts, *model, *arguments], log=log or state / layout.WORKER_LOG
        )
        try:
            yield LocalSession(broker, store, worker)
        finally:
            worker.stop()
            store.close()
