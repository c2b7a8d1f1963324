"""What the summary and the worklist say about one row of the manifest."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

from hemo_core.bundle.findings import urgency
from hemo_core.errors import ReportInvalid
from hemo_core.jobs import JobRows, layout
from hemo_core.report import FindingResult, Report
from hemo_core.scans.scan import ScanRef
from hemo_worker.outputs.scan_files import read_report

Ending = Literal["scored", "rejected", "failed", "cancelled", "open"]


@dataclass(frozen=True, slots=True)
class Row:
    """One scan, without what only its report holds.

    Attributes:
        number: its place in the manifest, from 0.
        report: path of its report below the job's folder; None if it has none.
        page: path of its own page, if it has one.
        picture: path of the overlay of its highest shown slice.
        finding: the primary one; None unless scored.
        details: texts of the other findings that reach their thresholds.
        slice_probabilities: of the model slices, foot to head.
        covered: what was looked at, in words; None unless scored.
    """

    number: int
    scan_id: str
    path: str
    kind: str
    outcome: Ending
    label: str | None = None
    finding: FindingResult | None = None
    details: tuple[str, ...] = ()
    probability: float | None = None
    threshold: float | None = None
    highest_slice: int | None = None
    slices: int | None = None
    slice_probabilities: tuple[float, ...] = ()
    quality: tuple[str, ...] = ()
    code: str | None = None
    message: str | None = None
    hint: str | None = None
    duplicate_of: str | None = None
    report: str | None = None
    page: str | None = None
    picture: str | None = None
    provider: str | None = None
    covered: str | None = None

    @property
    def urgency(self) -> tuple[int, float, int]:
        """Greater stands higher in the worklist: label first, then score, then the order of the manifest."""
        return urgency(self.label), self.probability or 0.0, -self.number


def rows(job_dir: Path, *, finished: bool) -> Iterator[Row]:
    """Every row of the manifest, in its order, one in memory at a time.

    Args:
        finished: nothing more will be written, so that a scan without a report was cancelled; else it is open.

    Raises:
        JobNotFound, JobError: no manifest, or a damaged one.
    """
    unreported: Ending = "cancelled" if finished else "open"
    with JobRows(job_dir) as manifest:
        for number, ref in enumerate(manifest):
            yield _row(job_dir, number, ref, unreported)


def _row(job_dir: Path, number: int, ref: ScanRef, unreported: Ending) -> Row:
    row = Row(number, ref.scan_id, ref.path, ref.kind, unreported, quality=ref.quality, duplicate_of=ref.duplicate_of)
    place = f"{layout.SCANS}/{ref.scan_id}"
    try:
        report = read_report(job_dir, ref.scan_id)
    except ReportInvalid as problem:
        found = f"{place}/{layout.REPORT}"
        return replace(
            row, outcome="failed", code=problem.code, message=problem.message, hint=problem.hint, report=found
        )
    return row if report is None else _reported(job_dir, row, report, place)


def _reported(job_dir: Path, row: Row, report: Report, place: str) -> Row:
    shown = [item for item in report.slices if item.picture is not None and layout.is_picture_name(item.picture)]
    best = max(shown, key=lambda item: item.probability, default=None)
    row = replace(
        row,
        outcome=report.outcome,
        quality=tuple(item.code for item in report.quality),
        report=f"{place}/{layout.REPORT}",
        page=f"{place}/{layout.SCAN_PAGE}" if (job_dir / place / layout.SCAN_PAGE).is_file() else None,
        picture=None if best is None else f"{place}/{best.picture}",
        label=report.label,
        finding=report.primary,
        details=tuple(one.text for one in report.findings if one.role == "detail" and one.probability >= one.threshold),
        probability=report.probability,
        threshold=report.threshold,
        highest_slice=report.highest_slice,
        slices=len(report.slices) or None,
        covered=report.covered,
        slice_probabilities=tuple(item.probability for item in report.slices),
    )
    if report.engine is not None:
        row = replace(row, provider=f"{report.engine.provider}, {report.engine.precision}")
    if report.error is not None:
        row = replace(row, code=report.error.code, message=report.error.message, hint=report.error.hint)
    return row
