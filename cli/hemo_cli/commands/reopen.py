"""``hemo-batch resume`` and ``retry``: finish a job, whoever interrupted it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import wraps
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from hemo_cli.commands.jobs import exit_of, store_at
from hemo_cli.commands.results import show_job
from hemo_cli.machine import Machine, run_here
from hemo_cli.options import broker_option, json_option, root_option, rows_option, trusted_option
from hemo_cli.progress import follow
from hemo_cli.settings import SETTINGS

if TYPE_CHECKING:
    from hemo_core.bundle.keys import PublicKey
    from hemo_core.jobs import JobStore, Progress

Reopen = Callable[["JobStore", Path], int]


_device_option = SETTINGS["device"].option(default=None, default_text="as it was submitted")


@dataclass(frozen=True, slots=True)
class Changes:
    """What may differ from the submit; what is not said stays as it was."""

    broker: str | None
    roots: dict[str, Path]
    device: str | None
    trusted_keys: tuple[PublicKey, ...]


def _reopen_options(command: Callable[..., int]) -> Callable[..., int]:
    """The options of both commands; those of :class:`Changes` are handed over as one argument ``changes``."""

    @wraps(command)
    def wrapped(job_dir: Path, *, rows: int, as_json: bool, **changes: Any) -> int:
        return command(job_dir, Changes(**changes), rows=rows, as_json=as_json)

    folder = click.argument("job_dir", metavar="JOB_FOLDER", type=click.Path(path_type=Path))
    for option in (json_option, rows_option, trusted_option, _device_option, root_option, broker_option, folder):
        wrapped = option(wrapped)
    return wrapped


@click.command()
@_reopen_options
def resume(job_dir: Path, changes: Changes, *, rows: int, as_json: bool) -> int:
    """Finish an interrupted or cancelled job. Only what is missing is run."""
    from hemo_core.jobs import is_complete, reported_progress
    from hemo_core.jobs import resume as resume_job

    if is_complete(job_dir):
        show_job(job_dir, rows, as_json=as_json)
        return exit_of(reported_progress(job_dir).failed)
    ended = _run(job_dir, resume_job, changes, quiet=as_json)
    show_job(job_dir, rows, as_json=as_json)
    return exit_of(ended.failed)


@click.command()
@_reopen_options
def retry(job_dir: Path, changes: Changes, *, rows: int, as_json: bool) -> int:
    """Run the failed scans of a job again. What is missing is run, too."""
    from hemo_core.jobs import retry_failed

    ended = _run(job_dir, retry_failed, changes, quiet=as_json)
    show_job(job_dir, rows, as_json=as_json)
    return exit_of(ended.failed)


def _run(job_dir: Path, reopen: Reopen, changes: Changes, *, quiet: bool) -> Progress:
    from hemo_core.jobs import read_job_header

    header = read_job_header(job_dir)
    if changes.broker:
        with store_at(changes.broker) as store:
            reopen(store, job_dir)
            return follow(store, header.job, quiet=quiet)
    known = Machine.load(job_dir)
    machine = replace(
        known,
        roots={**known.roots, **changes.roots},
        device=changes.device or known.device,
        trusted_keys=tuple(key.text for key in changes.trusted_keys) or known.trusted_keys,
    )
    return run_here(job_dir.resolve(), machine, lambda store: reopen(store, job_dir), quiet=quiet)
