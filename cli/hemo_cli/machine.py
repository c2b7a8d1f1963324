"""One machine, no broker named: a private Redis and one worker for one job, and what is needed to take it up again."""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from hemo_cli.console import err, plain
from hemo_cli.progress import follow
from hemo_core import records
from hemo_core.errors import JobError
from hemo_core.extras import need_scoring
from hemo_core.files import write_durably

if TYPE_CHECKING:
    from hemo_core.jobs import JobStore, Progress
    from hemo_worker.local import LocalSession


@dataclass(frozen=True, slots=True)
class Machine:
    """How this machine works a job off. Kept beside the private broker's state, never in a report.

    Attributes:
        roots: mounts by name, input and output.
        bundle: folder of the model.
        device: ``auto``, ``cpu`` or ``cuda``.
        precision: ``auto``, ``fp32``, ``fp16`` or ``int8``.
        explainer: ``auto``, ``tf`` or ``onnx``.
        trusted_keys: one of these must have signed the bundle; none: signatures are not asked for.
    """

    roots: Mapping[str, Path]
    bundle: Path
    device: str
    precision: str = "auto"
    explainer: str = "auto"
    trusted_keys: tuple[str, ...] = ()

    def save(self, job_dir: Path) -> None:
        """Remember it for `resume` and `retry`."""
        whole = replace(self, roots={name: path.resolve() for name, path in self.roots.items()})
        write_durably(_file(job_dir), records.dumps(replace(whole, bundle=self.bundle.resolve())))

    @classmethod
    def load(cls, job_dir: Path) -> Machine:
        """What :meth:`save` wrote. Raises JobError if this job was not submitted on this machine alone."""
        try:
            text = _file(job_dir).read_bytes()
        except OSError as problem:
            raise JobError(
                "this machine does not know where the job's scans are",
                path=str(job_dir),
                hint="name its --broker, or every root: --root scans=/path",
            ) from problem
        return records.load(cls, text, error=JobError, what="record of the machine", path=_file(job_dir))


def run_here(job_dir: Path, machine: Machine, start: Callable[[JobStore], object], *, quiet: bool) -> Progress:
    """Start the private broker and a worker, have ``start`` put the job in, follow it to its end, stop both.

    Args:
        job_dir: the job's folder; its name is the job's id.
        machine: mounts, model and device.
        start: submits or resumes.
        quiet: show nothing.

    Raises:
        MissingExtra: this installation cannot score, or has no Redis.
        HemoError: whatever stopped the worker.
    """
    need_scoring(machine.explainer)
    from hemo_worker.local import local_session

    arguments = [f"--{name}={getattr(machine, name)}" for name in ("device", "precision", "explainer")]
    arguments += [f"--trusted-key={key}" for key in machine.trusted_keys]
    with (
        local_session(job_dir, machine.roots, bundle=machine.bundle, arguments=arguments) as session,
        _resumable(job_dir, session),
    ):
        machine.save(job_dir)
        start(session.store)
        _wait_for_model(session, machine, quiet=quiet)
        return follow(session.store, job_dir.name, quiet=quiet, check=session.worker.check)


def running_broker(job_dir: Path) -> str | None:
    """URL of the private broker that works on a job right now, if one does."""
    from hemo_core.jobs import layout
    from hemo_core.jobs.private_broker import running_url

    return running_url(job_dir / layout.BROKER)


def resume_command(job_dir: Path) -> str:
    """What to type to finish a job."""
    return f"hemo-batch resume {job_dir}"


def _wait_for_model(session: LocalSession, machine: Machine, *, quiet: bool) -> None:
    if quiet:
        session.worker.wait_ready()
        return
    with err().status("loading the model"):
        ready = session.worker.wait_ready()
    err().print(f"[dim]device {machine.device}: {ready.provider}[/]")
    err().print(f"[dim]precision {machine.precision}: {ready.precision}, {plain(ready.reason)}[/]", soft_wrap=True)
    err().print(f"[dim]explainer {machine.explainer}: {ready.explainer}[/]")


@contextmanager
def _resumable(job_dir: Path, session: LocalSession) -> Iterator[None]:
    """On Ctrl-C, or the SIGTERM of a scheduler, say how the job can be finished."""
    before = signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        yield
    except KeyboardInterrupt:
        _say_how_to_resume(job_dir, session.store)
        raise
    finally:
        signal.signal(signal.SIGTERM, before)


def _say_how_to_resume(job_dir: Path, store: JobStore) -> None:
    from hemo_core.errors import HemoError

    console = err()
    try:
        progress = store.progress(job_dir.name)
    except HemoError:
        console.print("\ninterrupted before the job was complete; submit it again")
        return
    console.print(f"\ninterrupted: {progress.ended} of {progress.total} scans have ended; those in flight are finished")
    console.print(f"finish it with: [bold]{plain(resume_command(job_dir))}[/]", soft_wrap=True)


def _file(job_dir: Path) -> Path:
    from hemo_core.jobs import layout

    return job_dir / layout.BROKER / layout.MACHINE
