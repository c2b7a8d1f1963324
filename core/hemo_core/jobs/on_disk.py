"""What a job's folder says of itself, without a broker."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from hemo_core.errors import ReportInvalid
from hemo_core.jobs import layout
from hemo_core.jobs.header import read_job_header
from hemo_core.jobs.rows import JobRows
from hemo_core.report import load_report

_REPORTED = ("scored", "failed", "rejected")


@dataclass(frozen=True, slots=True)
class ReportedProgress:
    """How far a job is by its reports. ``total = scored + failed + rejected + open``."""

    job: str
    state: str
    total: int
    scored: int
    failed: int
    rejected: int
    open: int


def reported_progress(job_dir: Path) -> ReportedProgress:
    """Count the reports in a job's folder. Raises JobNotFound, JobError."""
    header = read_job_header(job_dir)
    counts = {name: sum(byte.bit_count() for byte in bits) for name, bits in reported_endings(job_dir).items()}
    missing = header.total - sum(counts.values())
    return ReportedProgress(header.job, "not running" if missing else "done", header.total, **counts, open=missing)


def reported_endings(job_dir: Path) -> dict[str, bytes]:
    """The bitmaps of a job's state, from its manifest and the reports in its folder. Raises JobNotFound, JobError."""
    with JobRows(job_dir) as rows:
        bits = {name: np.zeros(len(rows), np.uint8) for name in _REPORTED}
        for row, ref in enumerate(rows):
            outcome = _outcome(layout.report_path(job_dir, ref.scan_id))
            if outcome is not None:
                bits[outcome][row] = 1
    return {name: np.packbits(values).tobytes() for name, values in bits.items()}


def is_complete(job_dir: Path) -> bool:
    """Whether every scan has its report and the summary is written. Raises JobNotFound, JobError."""
    return (job_dir / layout.SUMMARY).is_file() and reported_progress(job_dir).open == 0


def _outcome(report: Path) -> str | None:
    """The outcome that a report names; None where there is no whole report."""
    try:
        return load_report(report.read_bytes()).outcome
    except (OSError, ReportInvalid):
        return None
