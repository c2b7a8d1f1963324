"""The page of codes is what the code says, and every row that was not scored says what to do."""

from __future__ import annotations

from pathlib import Path

from hemo_core import codes
from hemo_core.errors import ScanError, Truncated, all_errors
from hemo_core.report import failed_report, rejected_report
from hemo_core.scans.choice import REJECTION_CODES
from hemo_core.scans.scan import Cause, ScanRef

PAGE = Path(__file__).resolve().parents[2] / "docs" / "codes.md"


def test_the_page_is_current():
    assert PAGE.read_text("utf-8") == codes.page()  # python -m hemo_core.codes > docs/codes.md


def test_every_rejection_and_failure_says_what_to_do():
    row = ScanRef("0" * 16, "scans", "a.dcm", ("a.dcm",), "dicom")
    for code in REJECTION_CODES:
        rejected = ScanRef("0" * 16, "scans", "a.dcm", ("a.dcm",), "dicom", rejection=Cause(code, "so it is"))
        assert rejected_report(rejected).error.hint
        assert rejected_report(rejected).error.file == "a.dcm"
    for kind in all_errors(ScanError):
        assert failed_report(row, kind("so it is")).error.hint == kind.advice
    assert failed_report(row, Truncated("so it is", hint="this instead")).error.hint == "this instead"
