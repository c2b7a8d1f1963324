"""``hemo-batch dataset check``: what training data holds, before anything is trained on it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import click

from hemo_cli.console import err, out, plain, print_json
from hemo_cli.failure import Exit
from hemo_cli.options import json_option

if TYPE_CHECKING:
    from hemo_trainer.data.check import DatasetReport, SourceContents

_COLUMNS = {
    "source": "source",
    "patients": "patients",
    "bleeding_patients": "bleeding",
    "slices": "slices",
    "positive": "positive",
    "negative": "negative",
    "uncertain": "uncertain",
    "in_exams_read_as_a_whole": "exam only",
}


@click.group()
def dataset() -> None:
    """Look at training data."""


@dataset.command()
@click.argument("path", type=click.Path(path_type=Path, exists=True))
@json_option
def check(path: Path, as_json: bool) -> int:
    """Count, read and compare everything that PATH names.

    PATH is a training configuration (TOML), a folder in one of the known layouts, or a CSV table of slices. Every
    picture is read once. Exit code 1 if one is missing or cannot be read, or if a patient or picture would stand on two
    sides of the split.
    """
    from hemo_core.records import encode
    from hemo_trainer.data.check import check_data, sources_of

    with _progress(quiet=as_json) as update:
        report = check_data(*sources_of(path), update)
    if as_json:
        print_json({"ok": report.ok, **encode(report)})
    else:
        _show(report)
    return Exit.DONE if report.ok else Exit.SCANS_FAILED


def _show(report: DatasetReport) -> None:
    from rich.table import Table

    table = Table(box=None, pad_edge=False, header_style="bold")
    for title in _COLUMNS.values():
        table.add_column(title, justify="left" if title == "source" else "right")
    for source in report.sources:
        table.add_row(*("" if (count := getattr(source, name)) is None else plain(count) for name in _COLUMNS))
    out().print(table)
    for source in report.sources:
        out().print(f"{plain(source.source)}: {_further(source)}")
    _list("cannot be used", [f"{problem.path}: {problem.reason}" for problem in report.problems], "red")
    _list("on two sides of the split", report.leaks, "red")
    _list("pictures that two patients share (kept on one side)", report.shared_pictures, "yellow")
    _list("pictures that a series holds twice", report.repeated_pictures, "dim")
    count = report.too_empty_to_compare
    empty = f"; {count} pictures show too little to be compared" if count else ""
    out().print(f"[bold]{'usable' if report.ok else 'not usable as it is'}[/]{empty}")


def _further(source: SourceContents) -> str:
    kinds = [f"{name} {counts.positive}" for name, counts in source.subtypes.items() if counts.positive]
    parts = [", ".join(kinds) if kinds else "no subtypes"]
    parts += [
        f"{count} {name}"
        for name, count in (("with boxes", source.with_boxes), ("with mask", source.with_mask))
        if count
    ]
    if source.published_split:
        sides = ", ".join(f"{side} {count}" for side, count in source.published_split.items())
        parts.append(f"slices by published side: {sides}")
    return "; ".join(parts)


def _list(title: str, lines: Sequence[str], style: str) -> None:
    if lines:
        err().print(f"[bold {style}]{len(lines)} {title}[/]")
        for line in lines:
            err().print(f"  {plain(line)}", soft_wrap=True)


@contextmanager
def _progress(*, quiet: bool) -> Iterator[Callable[[int, int], None]]:
    """A progress bar on a terminal, nothing elsewhere."""
    from rich.progress import Progress

    console = err()
    with Progress(console=console, transient=True, disable=quiet or not console.is_terminal) as bar:
        task = bar.add_task("reading pictures")
        yield lambda done, total: bar.update(task, completed=done, total=total)
