"""A job's folder: every file name in it.

<out>/<job>/
├── job.json                the header: everything about the job but its scans
├── manifest.jsonl          a row per scan
├── manifest.idx            where each row begins
├── ignored.csv             what was left out of the job, and why
├── summary.csv             a line per scan, written at the end
├── index.html              the worklist, written at the end
├── job.log                 what happened when, where and for how long
├── scans/<scan id>/
│   ├── report.json         written last: a folder with a report is complete
│   ├── slice-001.png       overlays
│   └── index.html          a page that shows them
├── .staging/               files that are not whole yet
└── .broker/                of a job that one machine runs for itself: its private Redis, and
    ├── local.json          how the machine works the job off
    └── worker.log          what its worker says
"""

from __future__ import annotations

import re
from pathlib import Path

from hemo_core.scans.walk import JOB_FILES

HEADER, ROWS = JOB_FILES
ROW_OFFSETS = "manifest.idx"
IGNORED = "ignored.csv"
SUMMARY = "summary.csv"
WORKLIST = "index.html"
LOG = "job.log"
SCANS = "scans"
REPORT = "report.json"
SCAN_PAGE = "index.html"
STAGING = ".staging"
BROKER = ".broker"
MACHINE = "local.json"
WORKER_LOG = "worker.log"

_SCAN_ID = re.compile(r"[0-9A-Za-z][0-9A-Za-z_-]{0,99}")
_PICTURE = re.compile(r"slice-[0-9]{3,}\.png")


def is_scan_id(text: str) -> bool:
    """Whether ``text`` may name a scan's folder."""
    return _SCAN_ID.fullmatch(text) is not None


def scan_folder(job_dir: Path, scan_id: str) -> Path:
    """The folder of one scan's results. Raises ValueError on an id that could lead elsewhere."""
    if not is_scan_id(scan_id):
        raise ValueError(f"not a scan id: {scan_id!r}")
    return job_dir / SCANS / scan_id


def report_path(job_dir: Path, scan_id: str) -> Path:
    """Where one scan's report is, or will be. Raises like :func:`scan_folder`."""
    return scan_folder(job_dir, scan_id) / REPORT


def picture_name(index: int) -> str:
    """File name of the overlay of model slice ``index`` (from 0): ``slice-001.png`` for the first."""
    return f"slice-{index + 1:03d}.png"


def is_picture_name(name: str) -> bool:
    """Whether ``name`` is one that :func:`picture_name` gives; nothing else is written or linked."""
    return _PICTURE.fullmatch(name) is not None
