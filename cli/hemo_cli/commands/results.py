"""``hemo-batch results``: the table at the end of a job, highest scores first, read from ``summary.csv``."""

from __future__ import annotations

import csv
import heapq
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import click

from hemo_cli.console import out, plain, print_json
from hemo_cli.options import json_option, rows_option
from hemo_core.bundle.findings import standing, urgency
from hemo_core.errors import JobNotFound

Row = dict[str, str]

_SUMMARY, _PAGE = "summary.csv", "index.html"
_STYLES = {"positive": "bold red", "review": "yellow", "no_finding": ""}
_OUTCOMES = ("scored", "failed", "rejected", "cancelled", "open")


@dataclass(frozen=True, slots=True)
class Results:
    """A job's results, as many rows as are to be shown.

    Attributes:
        outcomes, labels, codes: counts over all scans.
        top: scored scans, highest first.
        others: failed and rejected scans.
    """

    job_dir: Path
    outcomes: Counter[str] = field(default_factory=Counter)
    labels: Counter[str] = field(default_factory=Counter)
    codes: Counter[str] = field(default_factory=Counter)
    top: list[Row] = field(default_factory=list)
    others: list[Row] = field(default_factory=list)

    @property
    def page(self) -> Path:
        """The worklist to open in a browser."""
        return (self.job_dir / _PAGE).resolve()

    def to_json(self) -> dict[str, Any]:
        """JSON-ready form."""
        return {
            "job": self.job_dir.resolve().name,
            "folder": str(self.job_dir.resolve()),
            "page": str(self.page),
            "outcomes": dict(self.outcomes),
            "labels": dict(self.labels),
            "codes": dict(self.codes),
            "scored": [_typed(row) for row in self.top],
            "not_scored": [_typed(row) for row in self.others],
        }


@click.command()
@click.argument("job_dir", metavar="JOB_FOLDER", type=click.Path(path_type=Path))
@rows_option
@json_option
def results(job_dir: Path, rows: int, as_json: bool) -> None:
    """Show what a finished job found, highest scores first."""
    show_job(job_dir, rows, as_json=as_json)


def show_job(job_dir: Path, limit: int, *, as_json: bool) -> None:
    """What a finished job found: tables, or JSON; for a single scan its label, probability and pictures."""
    found = read_results(job_dir, limit)
    if as_json:
        print_json(found.to_json())
    elif found.outcomes.total() == 1 and len(found.top) == 1:
        show_single(found)
    else:
        show_results(found)


def read_results(job_dir: Path, limit: int) -> Results:
    """One pass over ``summary.csv``, ``limit`` rows of each kind kept. Raises JobNotFound."""
    found = Results(job_dir)
    highest: list[tuple[tuple[int, float, int], Row]] = []
    for number, row in enumerate(_rows(job_dir)):
        found.outcomes[row["outcome"]] += 1
        if row["code"]:
            found.codes[row["code"]] += 1
        if row["outcome"] != "scored":
            if len(found.others) < limit:
                found.others.append(row)
            continue
        found.labels[row["label"]] += 1
        entry = (urgency(row["label"]), float(row["probability"] or 0), -number), row
        if len(highest) < limit:
            heapq.heappush(highest, entry)
        elif limit:
            heapq.heappushpop(highest, entry)
    found.top.extend(row for _, row in sorted(highest, key=lambda entry: entry[0], reverse=True))
    return found


def show_results(found: Results) -> None:
    """Print the tables, the totals, where to look, and what the output is not."""
    from hemo_core.wording import STATEMENT

    console = out()
    if found.top:
        console.print(_scored_table(found))
    if found.others:
        console.print(_others_table(found))
    hidden = found.outcomes.total() - len(found.top) - len(found.others)
    if hidden:
        console.print(f"… and {hidden} more: --rows shows more here, summary.csv has all")
    console.print(_totals(found))
    console.print(f"worklist  {plain(found.page)}", soft_wrap=True)
    console.print(f"[dim]{plain(STATEMENT)}[/]")


def show_single(found: Results) -> None:
    """Print the result of a job of one scan."""
    from hemo_core.wording import STATEMENT, label_text

    row = found.top[0]
    folder = (found.job_dir / row["report"]).resolve().parent
    console = out()
    console.print(f"[bold]{plain(label_text(row['label']))}[/], probability {float(row['probability']):.3f}")
    if row["quality"]:
        console.print(f"quality   {plain(row['quality'])}")
    for picture in sorted(folder.glob("slice-*.png")):
        console.print(f"overlay   {plain(picture)}", soft_wrap=True)
    console.print(f"report    {plain(folder / 'report.json')}", soft_wrap=True)
    console.print(f"worklist  {plain(found.page)}", soft_wrap=True)
    console.print(f"[dim]{plain(STATEMENT)}[/]")


def _scored_table(found: Results) -> Any:
    from rich.table import Table

    from hemo_core.wording import label_text

    table = Table(box=None, pad_edge=False, header_style="bold")
    for name in ("probability", "label", "highest slice", "scan", "quality"):
        table.add_column(name, justify="right" if name in ("probability", "highest slice") else "left", overflow="fold")
    for row in found.top:
        style = _STYLES[standing(row["label"])]
        highest = f"{row['highest_slice']} of {row['slices']}" if row["highest_slice"] else ""
        cells = (f"{float(row['probability']):.3f}", plain(label_text(row["label"])), highest)
        table.add_row(*cells, plain(row["path"]), plain(row["quality"]), style=style)
    return table


def _others_table(found: Results) -> Any:
    from rich.table import Table

    table = Table(box=None, pad_edge=False, header_style="bold", title="not scored", title_justify="left")
    for name in ("outcome", "code", "scan", "reason"):
        table.add_column(name, overflow="fold")
    for row in found.others:
        style = "red" if row["outcome"] == "failed" else "dim"
        table.add_row(row["outcome"], row["code"], plain(row["path"]), plain(row["message"]), style=style)
    return table


def _totals(found: Results) -> str:
    labels = ", ".join(f"{count} {label}" for label, count in found.labels.most_common())
    parts = [f"{found.outcomes[outcome]} {outcome}" for outcome in _OUTCOMES if found.outcomes[outcome]]
    return f"[bold]{found.outcomes.total()} scans[/]: {', '.join(parts)}" + (f" ({labels})" if labels else "")


def _rows(job_dir: Path) -> Iterator[Row]:
    path = job_dir / _SUMMARY
    try:
        with path.open(encoding="utf-8", newline="") as stream:
            yield from csv.DictReader(stream)
    except OSError as problem:
        raise JobNotFound(
            f"no summary: {problem.strerror}",
            path=str(path),
            hint="is the job still running? `hemo-batch status` says; `hemo-batch resume` finishes an interrupted one",
        ) from problem


def _typed(row: Row) -> dict[str, Any]:
    """A row with numbers as numbers and empty cells as null."""
    numbers = {"probability": float, "highest_slice": int, "slices": int}
    typed: dict[str, Any] = {name: value or None for name, value in row.items()}
    for name, kind in numbers.items():
        typed[name] = kind(row[name]) if row[name] else None
    typed["quality"] = row["quality"].split()
    return typed
