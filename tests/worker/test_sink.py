from __future__ import annotations

import errno
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from hemo_core import files as durable
from hemo_core.errors import FileMissing, ReportInvalid, SinkError
from hemo_core.jobs.layout import scan_folder
from hemo_core.report import dump_report, failed_report
from hemo_worker.outputs.scan_files import has_report, read_report, write_scan


def everything(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


def test_a_scan_is_written_whole_and_read_back(tmp_path, workshop):
    report = workshop.scored(workshop.ref(), [-3, 2, 1, -3], pictures=[1, 2])
    pictures = {"slice-002.png": b"two", "slice-003.png": b"three"}
    write_scan(tmp_path, report, pictures)
    folder = scan_folder(tmp_path, report.scan.scan_id)
    assert sorted(path.name for path in folder.iterdir()) == [
        "index.html",
        "report.json",
        "slice-002.png",
        "slice-003.png",
    ]
    assert has_report(tmp_path, report.scan.scan_id)
    assert read_report(tmp_path, report.scan.scan_id) == report
    assert (folder / "report.json").read_bytes() == dump_report(report)
    assert not list((tmp_path / ".staging").iterdir())


def test_writing_again_touches_nothing(tmp_path, workshop):
    report = workshop.scored(workshop.ref(), [-3, 2, 1, -3], pictures=[1])
    write_scan(tmp_path, report, {"slice-002.png": b"two"})
    before = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*")}
    write_scan(tmp_path, report, {"slice-002.png": b"two"})
    assert {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*")} == before


def test_a_second_attempt_replaces_a_failure_and_stale_overlays_go(tmp_path, workshop):
    ref = workshop.ref()
    write_scan(tmp_path, failed_report(ref, FileMissing("gone")), {})
    write_scan(
        tmp_path, workshop.scored(ref, [3, 3, 3, 3], pictures=[0, 1]), {"slice-001.png": b"1", "slice-002.png": b"2"}
    )
    write_scan(tmp_path, workshop.scored(ref, [3, -3, 3, 3], pictures=[0]), {"slice-001.png": b"1"})
    names = {path.name for path in scan_folder(tmp_path, ref.scan_id).iterdir()}
    assert names == {"index.html", "report.json", "slice-001.png"}
    report = read_report(tmp_path, ref.scan_id)
    assert report is not None
    assert report.outcome == "scored"


def test_a_reader_of_the_old_report_never_sees_a_mixture(tmp_path, workshop):
    ref = workshop.ref()
    old = failed_report(ref, FileMissing("gone"))
    write_scan(tmp_path, old, {})
    with (scan_folder(tmp_path, ref.scan_id) / "report.json").open("rb") as reader:
        half = reader.read(20)
        write_scan(tmp_path, workshop.scored(ref, [-3, -3, -3, -3]), {})
        assert half + reader.read() == dump_report(old)


@pytest.mark.parametrize("given", [{}, {"slice-002.png": b""}, {"slice-001.png": b"", "../x.png": b""}])
def test_pictures_are_exactly_those_of_the_report(tmp_path, workshop, given):
    report = workshop.scored(workshop.ref(), [3, -3, 3, 3], pictures=[0])
    with pytest.raises(ValueError, match="slice-001"):
        write_scan(tmp_path, report, given)
    assert not everything(tmp_path)


@pytest.mark.parametrize("scan_id", ["..", "a/b", "", "a\n", "x" * 101])
def test_an_id_cannot_lead_out_of_the_job(tmp_path, scan_id):
    with pytest.raises(ValueError, match="not a scan id"):
        scan_folder(tmp_path, scan_id)


def test_a_torn_report_is_an_error_and_none_is_none(tmp_path, workshop):
    ref = workshop.ref()
    assert read_report(tmp_path, ref.scan_id) is None
    write_scan(tmp_path, workshop.scored(ref, [3, -3, 3, 3]), {})
    path = scan_folder(tmp_path, ref.scan_id) / "report.json"
    path.write_bytes(path.read_bytes()[:100])
    with pytest.raises(ReportInvalid, match="malformed report"):
        read_report(tmp_path, ref.scan_id)


@pytest.mark.parametrize("refusal", [errno.ENOSPC, errno.EROFS, errno.EIO])
def test_a_disk_that_refuses_leaves_the_scan_open(tmp_path, workshop, monkeypatch, refusal):
    def refuse(_: int) -> None:
        raise OSError(refusal, os.strerror(refusal))

    report = workshop.scored(workshop.ref(), [3, -3, 3, 3], pictures=[0])
    with monkeypatch.context() as broken:
        broken.setattr(durable.os, "fsync", refuse)
        with pytest.raises(SinkError, match="resume"):
            write_scan(tmp_path, report, {"slice-001.png": b"1"})
    assert not has_report(tmp_path, report.scan.scan_id)
    assert not everything(tmp_path)
    write_scan(tmp_path, report, {"slice-001.png": b"1"})
    assert read_report(tmp_path, report.scan.scan_id) == report


def test_a_folder_that_is_a_file_is_a_sink_error(tmp_path, workshop):
    (tmp_path / "scans").write_text("in the way")
    with pytest.raises(SinkError):
        write_scan(tmp_path, workshop.scored(workshop.ref(), [3, -3, 3, 3]), {})


_KILLED = """
import os, signal, sys
from pathlib import Path
from hemo_core.report import load_report
from hemo_core import files as durable
from hemo_worker.outputs.scan_files import write_scan
job, report, fatal = Path(sys.argv[1]), load_report(Path(sys.argv[2]).read_bytes()), int(sys.argv[3])
calls, sync = 0, os.fsync
def dying(handle):
    global calls
    calls += 1
    if calls == fatal:
        os.kill(os.getpid(), signal.SIGKILL)
    sync(handle)
durable.os.fsync = dying
write_scan(job, report, {"slice-001.png": b"one", "slice-002.png": b"two"})
"""


def test_killed_at_any_moment_the_report_is_whole_or_absent(tmp_path, workshop):
    report = workshop.scored(workshop.ref(), [3, 3, -3, -3], pictures=[0, 1])
    wanted = tmp_path / "wanted.json"
    wanted.write_bytes(dump_report(report))
    undisturbed = tmp_path / "undisturbed"
    write_scan(undisturbed, report, {"slice-001.png": b"one", "slice-002.png": b"two"})
    present = []
    for fatal in range(1, 20):
        job = tmp_path / f"job-{fatal}"
        command = [sys.executable, "-c", _KILLED, str(job), str(wanted), str(fatal)]
        path = os.pathsep.join(part for part in sys.path if part)
        ended = subprocess.run(command, env={**os.environ, "PYTHONPATH": path}, check=False)
        if ended.returncode == 0:
            break
        assert ended.returncode == -signal.SIGKILL
        found = read_report(job, report.scan.scan_id)
        present.append(found is not None)
        assert found in (None, report)
        if found is not None:
            assert (scan_folder(job, report.scan.scan_id) / "slice-002.png").read_bytes() == b"two"
        write_scan(job, report, {"slice-001.png": b"one", "slice-002.png": b"two"})
        assert everything(job / "scans") == everything(undisturbed / "scans")
    assert ended.returncode == 0
    assert present == sorted(present)
    assert present[0] is False
    assert present[-1] is True
