"""Where a scan's results go: ``<job>/scans/<scan_id>/report.json`` and what other outputs write beside it.

The report is written last, so a folder with a report is complete; without one the scan is open. Writing the same
results again changes nothing.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from pathlib import Path

from hemo_core.errors import ReportInvalid
from hemo_core.files import as_sink_error, make_folder, sync_folder, write_durably
from hemo_core.jobs import layout
from hemo_core.report import Report, load_report
from hemo_worker.outputs.registry import is_output


def write_scan(job_dir: Path, scan_id: str, files: Mapping[str, bytes]) -> None:
    """Write one scan's files, whole and in their order, so that the report is last.

    A report that is already there (a scan that failed and was tried again) is replaced in one step; what an earlier
    run left and this one does not name is removed afterwards.

    Args:
        job_dir: the job's folder.
        files: of :func:`hemo_worker.outputs.registry.make_files`.

    Raises:
        SinkError: the disk refuses. Nothing is torn; the scan stays open.
        ValueError: a name that leads elsewhere or that no output has, or the report is not last.
    """
    folder, staging = layout.scan_folder(job_dir, scan_id), job_dir / layout.STAGING
    if [*files][-1:] != [layout.REPORT] or not all(is_output(name) for name in files):
        raise ValueError(f"{scan_id}: not the files of a scan: {[*files]}")
    make_folder(folder)
    for name, data in files.items():
        if name == layout.REPORT and len(files) > 1:
            sync_folder(folder)
        write_durably(folder / name, data, staging)
    sync_folder(folder)
    _remove_stale(folder, files.keys())


def has_report(job_dir: Path, scan_id: str) -> bool:
    """Whether the scan has a report, which is whole if it is there at all."""
    return layout.report_path(job_dir, scan_id).is_file()


def read_report(job_dir: Path, scan_id: str) -> Report | None:
    """Read a scan's report back; None while it has none. Raises ReportInvalid on a file that is no report."""
    path = layout.report_path(job_dir, scan_id)
    try:
        data = path.read_bytes()
    except FileNotFoundError:
        return None
    except (IsADirectoryError, NotADirectoryError, PermissionError) as problem:
        raise ReportInvalid(f"cannot be read: {problem.strerror}", path=str(path)) from problem
    try:
        return load_report(data)
    except ReportInvalid as problem:
        raise ReportInvalid(problem.message, path=str(path), hint=problem.hint) from problem


def _remove_stale(folder: Path, written: Collection[str]) -> None:
    """Remove what outputs of an earlier run wrote and those of this one did not."""
    with as_sink_error(folder):
        for path in folder.iterdir():
            if is_output(path.name) and path.name not in written:
                path.unlink(missing_ok=True)
