"""Where a scan's results go: ``<job>/scans/<scan_id>/report.json``, its overlays and a page that shows them.

The report is written last, so a folder with a report is complete; without one the scan is open. Writing the same
results again changes nothing.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from hemo_core.errors import ReportInvalid
from hemo_core.files import as_sink_error, make_folder, sync_folder, write_durably
from hemo_core.jobs import layout
from hemo_core.report import Report, dump_report, load_report
from hemo_worker.outputs.scan_page import scan_page


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
    if named != set(pictures) or not all(layout.is_picture_name(name) for name in named):
        raise ValueError(f"{report.scan.scan_id}: the report names {sorted(named)}, given are {sorted(pictures)}")
    folder = layout.scan_folder(job_dir, report.scan.scan_id)
    staging = job_dir / layout.STAGING
    make_folder(folder)
    for name, data in sorted(pictures.items()):
        write_durably(folder / name, data, staging)
    if report.outcome == "scored":
        write_durably(folder / layout.SCAN_PAGE, scan_page(report), staging)
        sync_folder(folder)
    write_durably(folder / layout.REPORT, dump_report(report), staging)
    sync_folder(folder)
    _remove_stale(folder, named)


def has_report(job_dir: Path, scan_id: str) -> bool:
    """Whether the scan has a report, which is whole if it is there at all."""
    return (layout.report_path(job_dir, scan_id)).is_file()


def read_report(job_dir: Path, scan_id: str) -> Report | None:
    """Read a scan's report back; None while it has none. Raises ReportInvalid on a file that is no report."""
    path = layout.report_path(job_dir, scan_id)
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
            if layout.is_picture_name(path.name) and path.name not in named:
                path.unlink(missing_ok=True)
