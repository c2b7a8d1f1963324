"""Watch a job until nothing more happens, with a progress bar for people and lines for logs."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from hemo_cli.console import err, plain
from hemo_core.errors import BrokerError

if TYPE_CHECKING:
    from hemo_core.jobs import JobStore
    from hemo_core.jobs import Progress as Snapshot

_POLL_S = 0.5
_LINE_S = 15.0
_BROKER_AWAY_S = 60.0
Update = Callable[["Snapshot"], None]


def follow(store: JobStore, job: str, *, quiet: bool = False, check: Callable[[], None] | None = None) -> Snapshot:
    """Return when the job is complete.

    Args:
        store: the broker.
        job: its id.
        quiet: show nothing.
        check: called before each poll; raises if waiting has become pointless (the local worker died).

    Raises:
        JobNotFound: the broker does not know the job.
        BrokerError: the broker was away for a minute.
    """
    with _display(quiet=quiet) as update:
        while True:
            if check is not None:
                check()
            progress = _patiently(store, job)
            update(progress)
            if progress.complete:
                return progress
            time.sleep(_POLL_S)


def _patiently(store: JobStore, job: str) -> Snapshot:
    """A snapshot; a broker that restarts is waited for."""
    deadline = time.monotonic() + _BROKER_AWAY_S
    while True:
        try:
            return store.progress(job)
        except BrokerError:
            if time.monotonic() > deadline:
                raise
            time.sleep(_POLL_S)


@contextmanager
def _display(*, quiet: bool) -> Iterator[Update]:
    console = err()
    if quiet:
        yield lambda _: None
    elif console.is_terminal:
        with _bar() as update:
            yield update
    else:
        yield _lines()


@contextmanager
def _bar() -> Iterator[Update]:
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

    columns = (
        SpinnerColumn(),
        TextColumn("[bold]{task.fields[job]}"),
        BarColumn(bar_width=28),
        MofNCompleteColumn(),
        TextColumn("{task.fields[detail]}"),
        TimeElapsedColumn(),
    )
    with Progress(*columns, console=err()) as bar:
        task = bar.add_task("", total=None, job="", detail="loading the model")

        def update(progress: Snapshot) -> None:
            bar.update(
                task, total=progress.total, completed=progress.ended, job=progress.job, detail=plain(detail(progress))
            )

        yield update


def _lines() -> Update:
    """A line when something changed, at most every quarter of a minute, and one at the end."""
    console, last, shown = err(), float("-inf"), -1

    def update(progress: Snapshot) -> None:
        nonlocal last, shown
        due = time.monotonic() - last >= _LINE_S and progress.ended != shown
        if due or progress.complete:
            console.print(f"{progress.job}: {progress.ended}/{progress.total} {plain(detail(progress))}")
            last, shown = time.monotonic(), progress.ended

    return update


def detail(progress: Snapshot) -> str:
    """Counts, rate and time left, or why nothing moves."""
    counts = f"{progress.scored} scored, {progress.failed} failed, {progress.rejected} rejected"
    if progress.cancelled:
        counts += f", {progress.cancelled} cancelled"
    if progress.note:
        return f"{counts} · {progress.note}"
    if progress.open and progress.seconds_left is not None:
        return f"{counts} · {_rate(progress.scans_per_second)} · {span(progress.seconds_left)} left"
    return counts


def span(seconds: float) -> str:
    """A duration for people: ``4 s``, ``3 min 20 s``, ``5 h 12 min``."""
    whole = round(seconds)
    minutes, hours = whole // 60, whole // 3600
    if hours:
        return f"{hours} h {minutes % 60} min"
    return f"{minutes} min {whole % 60} s" if minutes else f"{whole} s"


def _rate(scans_per_second: float) -> str:
    return f"{scans_per_second:.1f} scans/s" if scans_per_second >= 1 else f"{60 * scans_per_second:.1f} scans/min"
