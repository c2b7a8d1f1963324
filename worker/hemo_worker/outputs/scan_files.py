"""Where a scan's results go: ``<job>/scans/<scan_id>/report.json``, its overlays and a page that shows them.

The report is written last, so a folder with a report is complete; without one the scan is open. Writing the same
results again changes nothing.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

from hemo_core.errors import ReportInvalid
from hemo_core.files import STAGING, as_sink_error, make_folder, sync_folder, write_durably
from hemo_core.report import Report, dump_report, is_picture_name, load_report
from hemo_worker.outputs.scan_page import scan_page

REPORT = "report.json"
PAGE = "index.html"
SCANS = "scans"

_SCAN_ID = re.compile(r"[0-9A-Za-z][0-9A-Za-z_-]{0,99}")


def scan_folder(job_dir: Path, scan_id: str) -> Path:
    """The folder of one scan's results. Raises ValueError on an id that could lead elsewhere."""
    if not _SCAN_ID.fullmatch(scan_id):
        raise ValueError(f"not a scan id: {scan_id!r}")
    return job_dir / SCANS / scan_id


def write_scan(job_dir: Path, report: Report, pictures: Mapping[str, bytes]) -> None:
    """Write one scan's results: overlays, the page of a scored scan, the report last.

    A report that is already there (a scan that failed and was tried again) is replaced in one step; overlays it had
    and the new one has not are removed afterwards.

    Args:
        job_dir: the job's folder.
        report: of any outcome.
        pictures: PNG bytes by file name, exactly those that the report names.

    Raises:
        SinkError: the disk refuses. Nothing is torn; the scan stays open.
        ValueError: pictures and report do not agree.
    """
    named = {item.picture for item in report.slices if item.picture is not None}
    if named != set(pictures) or not all(is_picture_name(name) for name in named):
        raise ValueError(f"{report.scan.scan_id}: the report names {sorted(named)}, given are {sorted(pictures)}")
    folder = scan_folder(job_dir, report.scan.scan_id)
    staging = job_dir / STAGING
    make_folder(folder)
    for name, data in sorted(pictures.items()):
        write_durably(folder / name, data, staging)
    if report.outcome == "scored":
        write_durably(folder / PAGE, scan_page(report), staging)
        sync_folder(folder)
    write_durably(folder / REPORT, dump_report(report), staging)
    sync_folder(folder)
    _remove_stale(folder, named)


def has_report(job_dir: Path, scan_id: str) -> bool:
    """Whether the scan has a report, which is whole if it is there at all."""
    return (scan_folder(job_dir, scan_id) / REPORT).is_file()


def read_report(job_dir: Path, scan_id: str) -> Report | None:
    """Read a scan's report back; None while it has none. Raises ReportInvalid on a file that is no report."""
    path = scan_folder(job_dir, scan_id) / REPORT
    try:
        data = path.read_bytes()
    except FileNotFoundError:
        return None
    try:
        return load_report(data)
    except ReportInvalid as problem:
        raise ReportInvalid(problem.message, path=str(path), hint=problem.hint) from problem


def _remove_stale(folder: Path, named: set[str]) -> None:
    """Remove overlays of an earlier report that this one does not name."""
    with as_sink_error(folder):
        for path in folder.iterdir():
            if is_picture_name(path.name) and path.name not in named:
                path.unlink(missing_ok=True)
