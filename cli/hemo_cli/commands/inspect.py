"""``hemo-batch inspect``: what a job would do with a path, without a model and without a job."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import click

from hemo_cli.console import err, out, plain, print_json
from hemo_cli.failure import Exit
from hemo_cli.options import json_option
from hemo_cli.selection import Selection, selection_options

if TYPE_CHECKING:
    from hemo_core.scans.describe import ScanOutlook


@click.command()
@click.argument("path", type=click.Path(path_type=Path))
@selection_options
@click.option("--hash", "with_hash", is_flag=True, help="Also print the SHA-256 of each file's decoded pixels.")
@click.option("--why", "with_why", is_flag=True, help="Also print the rules that fired on each series.")
@json_option
def inspect(path: Path, selection: Selection, with_hash: bool, with_why: bool, as_json: bool) -> int:
    """Show what `submit PATH` would do, and why. Exit code 1 if a scan could not be read."""
    from hemo_core.scans.describe import outlooks

    found = selection.discover(path)
    rows = list(outlooks(found, allow_implausible=selection.allow_implausible, with_files=with_hash, with_why=with_why))
    if as_json:
        ignored = [{"path": name, "reason": reason} for name, reason in found.ignored]
        print_json({"scans": [asdict(row) for row in rows], "ignored": ignored})
    else:
        _show(rows, list(found.ignored))
    return Exit.SCANS_FAILED if any(row.would == "fail" for row in rows) else Exit.DONE


def _show(rows: list[ScanOutlook], ignored: list[tuple[str, str]]) -> None:
    from rich.table import Table

    table = Table(box=None, pad_edge=False, header_style="bold")
    for name in ("would", "scan", "kind", "slices", "order", "spacing", "tilt", "quality, or why not"):
        table.add_column(name, overflow="fold", justify="right" if name in ("slices", "spacing", "tilt") else "left")
    for row in rows:
        table.add_row(*_cells(row), style={"score": "", "reject": "dim", "fail": "red"}[row.would])
    out().print(table)
    for file in (file for row in rows for file in row.files or ()):
        remark = ", ".join(file.quality) if file.error is None else f"{file.error.code}: {file.error.reason}"
        line = f"{file.pixels_sha256 or '-':64}  {plain(file.path)}" + (f"  [dim]{plain(remark)}[/]" if remark else "")
        out().print(line, soft_wrap=True)
    for row in rows:
        for line in row.why or ():
            out().print(f"[dim]why[/] {plain(row.path)}  {plain(line)}", soft_wrap=True)
    counts = {would: sum(row.would == would for row in rows) for would in ("score", "reject", "fail")}
    would = f"{counts['score']} would be scored, {counts['reject']} rejected, {counts['fail']} would fail"
    out().print(f"[bold]{len(rows)} scans[/]: {would}; {len(ignored)} files ignored")
    for name, reason in ignored:
        err().print(f"[dim]ignored {plain(name)}: {plain(reason)}[/]")


def _cells(row: ScanOutlook) -> tuple[str, ...]:
    remark = ", ".join(row.quality) if row.would == "score" else f"{row.code}: {row.reason}"
    if row.duplicate_of:
        remark = f"duplicate of {row.duplicate_of} {remark}".rstrip()
    return (
        row.would,
        plain(row.path),
        row.kind,
        str(row.slices),
        row.order_from or "",
        "" if row.slice_spacing_mm is None else f"{row.slice_spacing_mm:g} mm",
        "" if row.tilt_deg is None else f"{row.tilt_deg:g}°",
        plain(remark),
    )
