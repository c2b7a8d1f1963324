"""``hemo-batch status``, ``watch`` and ``cancel``: jobs on a broker, or in a folder."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import click

from hemo_cli.console import out, plain, print_json
from hemo_cli.failure import Exit
from hemo_cli.options import broker_option, json_option, need_broker
from hemo_cli.progress import detail, follow
from hemo_core import records
from hemo_core.errors import JobNotFound

if TYPE_CHECKING:
    from hemo_core.jobs import JobStore, Progress, ReportedProgress


@click.command()
@click.argument("job", required=False, metavar="[JOB]")
@broker_option
@json_option
def status(job: str | None, broker: str | None, as_json: bool) -> None:
    """Say how far a job is, or all jobs of a broker. JOB is an id or a job's folder."""
    if job is None:
        with store_at(need_broker(broker)) as store:
            found = store.jobs()
        _show(found, as_json=as_json)
        return
    from hemo_core.jobs import Progress

    progress = _progress(job, broker)
    if isinstance(progress, Progress):
        _show_one(progress, as_json=as_json)
    else:
        _show_disk(Path(job), progress, as_json=as_json)


@click.command()
@click.argument("job")
@broker_option
@json_option
def watch(job: str, broker: str | None, as_json: bool) -> int:
    """Follow a job until it is complete. Exit code 1 if a scan failed."""
    from hemo_core.jobs import reported_progress

    if _is_complete_folder(job):
        reported = reported_progress(Path(job))
        _show_disk(Path(job), reported, as_json=as_json)
        return exit_of(reported.failed)
    with _store_of(job, broker) as (store, name):
        ended = follow(store, name, quiet=as_json)
    _show_one(ended, as_json=as_json)
    return exit_of(ended.failed)


@click.command()
@click.argument("job")
@broker_option
@json_option
def cancel(job: str, broker: str | None, as_json: bool) -> None:
    """Stop a job. What has ended stays, what is open becomes cancelled; `resume` can still finish it."""
    from hemo_core.jobs import cancel as cancel_job

    with _store_of(job, broker) as (store, name):
        _show_one(cancel_job(store, name), as_json=as_json)


def exit_of(failed: int) -> int:
    """Exit code of a job that has ended, by the number of its failed scans."""
    return Exit.SCANS_FAILED if failed else Exit.DONE


@contextmanager
def store_at(url: str) -> Iterator[JobStore]:
    """A job store that is closed again. Raises BrokerError if nobody answers."""
    from hemo_core.jobs import JobStore

    store = JobStore(url)
    try:
        store.ping()
        yield store
    finally:
        store.close()


@contextmanager
def _store_of(job: str, broker: str | None) -> Iterator[tuple[JobStore, str]]:
    """The broker that runs a job, and the job's id. A folder's private broker is found by its lock."""
    url = _running_broker(job, broker)
    if url is None and (os.sep in job or Path(job).is_dir()) and not _holds_job(job):
        raise JobNotFound("no job here", path=job, hint="name the folder that holds job.json")
    if url is None:
        raise JobNotFound(
            f"no broker runs the job {job}",
            hint="name its --broker; a job of this machine runs only while `submit` or `resume` does",
        )
    with store_at(url) as store:
        yield store, Path(job).resolve().name if Path(job).is_dir() else job


def _running_broker(job: str, broker: str | None) -> str | None:
    """The private one that works on this very folder, else the one that was named."""
    from hemo_cli.machine import running_broker

    return (running_broker(Path(job)) if Path(job).is_dir() else None) or broker


def _progress(job: str, broker: str | None) -> Progress | ReportedProgress:
    """From the broker if one runs the job, else from the job's folder: the reports there are the truth."""
    from hemo_core.jobs import reported_progress

    if _is_complete_folder(job) or (Path(job).is_dir() and _running_broker(job, broker) is None):
        return reported_progress(Path(job))
    try:
        with _store_of(job, broker) as (store, name):
            return store.progress(name)
    except JobNotFound:
        if not _holds_job(job):
            raise
        return reported_progress(Path(job))


def _holds_job(job: str) -> bool:
    from hemo_core.jobs import layout

    return (Path(job) / layout.HEADER).is_file()


def _is_complete_folder(job: str) -> bool:
    from hemo_core.jobs import is_complete

    return _holds_job(job) and is_complete(Path(job))


def _show_one(progress: Progress, *, as_json: bool) -> None:
    if as_json:
        print_json(progress.to_json())
    else:
        _show([progress], as_json=False)


def _show(found: Sequence[Progress], *, as_json: bool) -> None:
    if as_json:
        print_json([progress.to_json() for progress in found])
        return
    from rich.table import Table

    table = Table(box=None, pad_edge=False, header_style="bold")
    for name in ("job", "state", "ended", ""):
        table.add_column(name, overflow="fold")
    for progress in found:
        table.add_row(progress.job, progress.state, f"{progress.ended}/{progress.total}", plain(detail(progress)))
    out().print(table if found else "no jobs on this broker")


def _show_disk(job_dir: Path, progress: ReportedProgress, *, as_json: bool) -> None:
    if as_json:
        print_json(records.encode(progress))
        return
    ended = progress.total - progress.open
    counts = f"{progress.scored} scored, {progress.failed} failed, {progress.rejected} rejected"
    out().print(f"{plain(progress.job)}: {progress.state}, {ended}/{progress.total} ended ({counts})")
    if progress.open:
        out().print(f"finish it with: hemo-batch resume {plain(job_dir)}", soft_wrap=True)
