"""``hemo-batch resume`` and ``retry``: finish a job, whoever interrupted it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import click

from hemo_cli.commands.jobs import exit_of, is_complete, on_disk, store_at
from hemo_cli.commands.results import show_job
from hemo_cli.machine import Machine, run_here
from hemo_cli.options import (
    broker_option,
    device_option,
    json_option,
    root_option,
    roots_setting,
    rows_option,
    setting,
    trusted_setting,
)
from hemo_cli.progress import follow

if TYPE_CHECKING:
    from hemo_core.jobs import JobStore, Progress

Reopen = Callable[["JobStore", Path], int]


@click.command()
@click.argument("job_dir", metavar="JOB_FOLDER", type=click.Path(path_type=Path))
@broker_option
@root_option
@device_option
@rows_option
@json_option
def resume(
    job_dir: Path, broker: str | None, roots: dict[str, Path] | None, device: str | None, rows: int, as_json: bool
) -> int:
    """Finish an interrupted or cancelled job. Only what is missing is run."""
    from hemo_core.jobs import resume as resume_job

    if is_complete(job_dir):
        show_job(job_dir, rows, as_json=as_json)
        return exit_of(on_disk(job_dir)["failed"])
    ended = _run(job_dir, resume_job, broker=broker, roots=roots, device=device, quiet=as_json)
    show_job(job_dir, rows, as_json=as_json)
    return exit_of(ended.failed)


@click.command()
@click.argument("job_dir", metavar="JOB_FOLDER", type=click.Path(path_type=Path))
@broker_option
@root_option
@device_option
@rows_option
@json_option
def retry(
    job_dir: Path, broker: str | None, roots: dict[str, Path] | None, device: str | None, rows: int, as_json: bool
) -> int:
    """Run the failed scans of a job again. What is missing is run, too."""
    from hemo_core.jobs import retry_failed

    ended = _run(job_dir, retry_failed, broker=broker, roots=roots, device=device, quiet=as_json)
    show_job(job_dir, rows, as_json=as_json)
    return exit_of(ended.failed)


def _run(
    job_dir: Path,
    reopen: Reopen,
    *,
    broker: str | None,
    roots: dict[str, Path] | None,
    device: str | None,
    quiet: bool,
) -> Progress:
    from hemo_core.jobs import read_job_header

    header = read_job_header(job_dir)
    url = setting("broker", broker)
    if url:
        with store_at(url) as store:
            reopen(store, job_dir)
            return follow(store, header.job, quiet=quiet)
    known = Machine.load(job_dir)
    machine = replace(
        known,
        roots={**known.roots, **roots_setting(roots)},
        device=setting("device", device) or known.device,
        trusted=trusted_setting(None) or known.trusted,
    )
    return run_here(job_dir.resolve(), machine, lambda store: reopen(store, job_dir), quiet=quiet)
