"""``hemo-batch results``: the table at the end of a job, highest scores first, read from ``summary.csv``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from hemo_cli.console import out, plain, print_json
from hemo_cli.options import json_option, rows_option
from hemo_core import records
from hemo_core.bundle.findings import standing

if TYPE_CHECKING:
    from hemo_core.jobs.results import Results, SummaryRow

_STYLES = {"positive": "bold red", "review": "yellow", "no_finding": ""}
_OUTCOMES = ("scored", "failed", "rejected", "cancelled", "open")


@click.command()
@click.argument("job_dir", metavar="JOB_FOLDER", type=click.Path(path_type=Path))
@rows_option
@json_option
def results(job_dir: Path, rows: int, as_json: bool) -> None:
    """Show what a finished job found, highest scores first."""
    show_job(job_dir, rows, as_json=as_json)


def show_job(job_dir: Path, limit: int, *, as_json: bool) -> None:
    """What a finished job found: tables, or JSON; for a single scan its label, probability and pictures."""
    from hemo_core.jobs.results import read_results

    found = read_results(job_dir, limit)
    if as_json:
        print_json(records.encode(found))
    elif found.outcomes.total() == 1 and len(found.scored) == 1:
        show_single(found)
    else:
        show_results(found)


def show_results(found: Results) -> None:
    """Print the tables, the totals, where to look, and what the output is not."""
    from hemo_core.jobs import layout
    from hemo_core.wording import STATEMENT

    console = out()
    if found.scored:
        console.print(_scored_table(found))
    if found.not_scored:
        console.print(_others_table(found))
    hidden = found.outcomes.total() - len(found.scored) - len(found.not_scored)
    if hidden:
        console.print(f"… and {hidden} more: --rows shows more here, {layout.SUMMARY} has all")
    console.print(_totals(found))
    console.print(f"worklist  {plain(found.page)}", soft_wrap=True)
    console.print(f"[dim]{plain(STATEMENT)}[/]")


def show_single(found: Results) -> None:
    """Print the result of a job of one scan."""
    from hemo_core.jobs import layout
    from hemo_core.wording import STATEMENT, label_text

    row = found.scored[0]
    folder = layout.scan_folder(found.folder, row.scan_id)
    console = out()
    console.print(f"[bold]{plain(label_text(row.label or ''))}[/], probability {_probability(row)}")
    if row.quality:
        console.print(f"quality   {plain(' '.join(row.quality))}")
    for picture in sorted(folder.iterdir()):
        if layout.is_picture_name(picture.name):
            console.print(f"overlay   {plain(picture)}", soft_wrap=True)
    console.print(f"report    {plain(folder / layout.REPORT)}", soft_wrap=True)
    console.print(f"worklist  {plain(found.page)}", soft_wrap=True)
    console.print(f"[dim]{plain(STATEMENT)}[/]")


def _scored_table(found: Results) -> Any:
    from rich.table import Table

    from hemo_core.wording import label_text

    table = Table(box=None, pad_edge=False, header_style="bold")
    for name in ("probability", "label", "highest slice", "scan", "quality"):
        table.add_column(name, justify="right" if name in ("probability", "highest slice") else "left", overflow="fold")
    for row in found.scored:
        style = _STYLES[standing(row.label or "")]
        highest = f"{row.highest_slice} of {row.slices}" if row.highest_slice else ""
        cells = (_probability(row), plain(label_text(row.label or "")), highest)
        table.add_row(*cells, plain(row.path), plain(" ".join(row.quality)), style=style)
    return table


def _others_table(found: Results) -> Any:
    from rich.table import Table

    table = Table(box=None, pad_edge=False, header_style="bold", title="not scored", title_justify="left")
    for name in ("outcome", "code", "scan", "reason"):
        table.add_column(name, overflow="fold")
    for row in found.not_scored:
        style = "red" if row.outcome == "failed" else "dim"
        table.add_row(row.outcome, row.code, plain(row.path), plain(row.message or ""), style=style)
    return table


def _probability(row: SummaryRow) -> str:
    return "" if row.probability is None else f"{row.probability:.3f}"


def _totals(found: Results) -> str:
    labels = ", ".join(f"{count} {label}" for label, count in found.labels.most_common())
    parts = [f"{found.outcomes[outcome]} {outcome}" for outcome in _OUTCOMES if found.outcomes[outcome]]
    return f"[bold]{found.outcomes.total()} scans[/]: {', '.join(parts)}" + (f" ({labels})" if labels else "")
