from __future__ import annotations

import pytest

from hemo_core.errors import FileMissing, ReportInvalid, SinkError
from hemo_core.jobs.layout import scan_folder
from hemo_core.report import dump_report, failed_report
from hemo_worker.outputs.registry import naming
from hemo_worker.outputs.scan_files import has_report, read_report


def test_a_scan_is_written_whole_and_read_back(tmp_path, workshop):
    report = workshop.scored(workshop.ref(), [-3, 2, 1, -3], pictures=[1, 2])
    pictures = {"slice-002.png": b"two", "slice-003.png": b"three"}
    workshop.write(tmp_path, report, pictures)
    folder = scan_folder(tmp_path, report.scan.scan_id)
    assert sorted(path.name for path in folder.iterdir()) == [
        "index.html",
        "report.json",
        "slice-002.png",
        "slice-003.png",
    ]
    assert has_report(tmp_path, report.scan.scan_id)
    report = naming(report, ["index.html", *pictures])
    assert read_report(tmp_path, report.scan.scan_id) == report
    assert (folder / "report.json").read_bytes() == dump_report(report)
    assert not list((tmp_path / ".staging").iterdir())


def test_a_second_attempt_replaces_a_failure_and_stale_overlays_go(tmp_path, workshop):
    ref = workshop.ref()
    workshop.write(tmp_path, failed_report(ref, FileMissing("gone")), {})
    workshop.write(
        tmp_path, workshop.scored(ref, [3, 3, 3, 3], pictures=[0, 1]), {"slice-001.png": b"1", "slice-002.png": b"2"}
    )
    workshop.write(tmp_path, workshop.scored(ref, [3, -3, 3, 3], pictures=[0]), {"slice-001.png": b"1"})
    names = {path.name for path in scan_folder(tmp_path, ref.scan_id).iterdir()}
    assert names == {"index.html", "report.json", "slice-001.png"}
    report = read_report(tmp_path, ref.scan_id)
    assert report is not None
    assert report.outcome == "scored"


def test_a_reader_of_the_old_report_never_sees_a_mixture(tmp_path, workshop):
    ref = workshop.ref()
    old = failed_report(ref, FileMissing("gone"))
    workshop.write(tmp_path, old, {})
    with (scan_folder(tmp_path, ref.scan_id) / "report.json").open("rb") as reader:
        half = reader.read(20)
        workshop.write(tmp_path, workshop.scored(ref, [-3, -3, -3, -3]), {})
        assert half + reader.read() == dump_report(old)


@pytest.mark.parametrize("scan_id", ["..", "a/b", "", "a\n", "x" * 101])
def test_an_id_cannot_lead_out_of_the_job(tmp_path, scan_id):
    with pytest.raises(ValueError, match="not a scan id"):
        scan_folder(tmp_path, scan_id)


def test_a_torn_report_is_an_error_and_none_is_none(tmp_path, workshop):
    ref = workshop.ref()
    assert read_report(tmp_path, ref.scan_id) is None
    workshop.write(tmp_path, workshop.scored(ref, [3, -3, 3, 3]), {})
    path = scan_folder(tmp_path, ref.scan_id) / "report.json"
    path.write_bytes(path.read_bytes()[:100])
    with pytest.raises(ReportInvalid, match="malformed report"):
        read_report(tmp_path, ref.scan_id)


def test_a_folder_that_is_a_file_is_a_sink_error(tmp_path, workshop):
    (tmp_path / "scans").write_text("in the way")
    with pytest.raises(SinkError):
        workshop.write(tmp_path, workshop.scored(workshop.ref(), [3, -3, 3, 3]), {})
