"""``hemo-batch inspect``: what a job would do with a path, without a model and without a job."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import click

from hemo_cli.console import err, out, plain, print_json
from hemo_cli.failure import Exit
from hemo_cli.options import json_option
from hemo_cli.selection import Intake, intake_options
from hemo_core.errors import ScanError

if TYPE_CHECKING:
    from hemo_core.scans.describe import FileDescription
    from hemo_core.scans.discover import Discovery
    from hemo_core.scans.scan import Scan, ScanRef

Would = Literal["score", "reject", "fail"]


@dataclass(frozen=True, slots=True)
class ScanOutlook:
    """What would happen to one scan, and what it is.

    Attributes:
        would: be scored, rejected (readable, but not a series for the model) or failed (cannot be read).
        slices: number of source slices.
        order_from: what the order of the slices was derived from.
        slice_spacing_mm, tilt_deg: geometry; None where the format has none.
        code, reason: why it would not be scored.
        files: each file by itself, with the digest of its decoded pixels; None unless asked for.
        why: the rules that fired on its series, as ``code: field: rule``; None unless asked for.
    """

    scan_id: str
    path: str
    kind: str
    would: Would
    slices: int
    order_from: str | None = None
    slice_spacing_mm: float | None = None
    tilt_deg: float | None = None
    quality: tuple[str, ...] = ()
    code: str | None = None
    reason: str | None = None
    duplicate_of: str | None = None
    files: tuple[FileDescription, ...] | None = None
    why: tuple[str, ...] | None = None


@click.command()
@click.argument("path", type=click.Path(path_type=Path))
@intake_options
@click.option("--hash", "with_hash", is_flag=True, help="Also print the SHA-256 of each file's decoded pixels.")
@click.option("--why", "with_why", is_flag=True, help="Also print the rules that fired on each series.")
@json_option
def inspect(path: Path, intake: Intake, with_hash: bool, with_why: bool, as_json: bool) -> int:
    """Show what `submit PATH` would do, and why. Exit code 1 if a scan could not be read."""
    found = intake.discover(path)
    rows = list(_outlooks(found, intake, with_hash=with_hash, with_why=with_why))
    if as_json:
        ignored = [{"path": name, "reason": reason} for name, reason in found.ignored]
        print_json({"scans": [asdict(row) for row in rows], "ignored": ignored})
    else:
        _show(rows, list(found.ignored))
    return Exit.SCANS_FAILED if any(row.would == "fail" for row in rows) else Exit.DONE


def _outlooks(discovery: Discovery, intake: Intake, *, with_hash: bool, with_why: bool) -> Iterator[ScanOutlook]:
    from hemo_core.scans.describe import describe_files

    for ref in discovery:
        why = tuple(f"{rule.code or 'for it'}: {rule.in_words()}" for rule in discovery.why)
        found, scan = _outlook(ref, discovery.mount, allow_implausible=intake.allow_implausible)
        yield replace(
            found,
            files=describe_files(ref, discovery.mount, scan) if with_hash else None,
            why=why if with_why else None,
        )


def _outlook(ref: ScanRef, mount: Path, *, allow_implausible: bool) -> tuple[ScanOutlook, Scan | None]:
    from hemo_core.scans.readers import read_scan

    common: dict[str, Any] = {
        "scan_id": ref.scan_id,
        "path": ref.path,
        "kind": ref.kind,
        "slices": len(ref.files),
        "quality": ref.quality,
        "duplicate_of": ref.duplicate_of,
    }
    if ref.failure is not None:
        return ScanOutlook(**common, would="fail", code=ref.failure.code, reason=ref.failure.reason), None
    if ref.rejection is not None:
        return ScanOutlook(**common, would="reject", code=ref.rejection.code, reason=ref.rejection.reason), None
    try:
        scan = read_scan(ref, mount, allow_implausible=allow_implausible)
    except ScanError as error:
        return ScanOutlook(**common, would="fail", code=error.code, reason=error.message), None
    return _readable(common, scan), scan


def _readable(common: dict[str, Any], scan: Scan) -> ScanOutlook:
    return ScanOutlook(
        **{**common, "slices": len(scan.slices), "quality": scan.quality},
        would="score",
        order_from=scan.geometry.order_from,
        slice_spacing_mm=_rounded(scan.geometry.slice_spacing_mm),
        tilt_deg=_rounded(scan.geometry.tilt_deg),
    )


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 2)


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
