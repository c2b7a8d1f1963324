"""What every registered output keeps, and the registry itself."""

from __future__ import annotations

import errno
import os
import signal
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from hemo_core import files as durable
from hemo_core.errors import FileMissing, SinkError
from hemo_core.jobs.header import DEFAULT_OUTPUTS
from hemo_core.jobs.layout import REPORT, scan_folder
from hemo_core.report import failed_report
from hemo_worker.outputs.output import Output, ScanResult
from hemo_worker.outputs.registry import OUTPUTS, make_files
from hemo_worker.outputs.scan_files import read_report, write_scan

MOST_SYNCS = 30


@pytest.fixture(params=OUTPUTS)
def name(request) -> str:
    """Each registered output."""
    return request.param


@pytest.fixture
def result(workshop) -> ScanResult:
    heat = np.zeros((4, 4), np.float32)
    heat[1, 2] = 1
    return workshop.result(workshop.ref(), [3, 3, 3, -3], {0: heat, 1: np.zeros_like(heat), 2: heat.T})


def write(job: Path, result: ScanResult, *chosen: str) -> ScanResult:
    report, files = make_files(result, chosen)
    write_scan(job, report.scan.scan_id, files)
    return replace(result, report=report)


def everything(job: Path) -> dict[str, bytes]:
    return {str(path.relative_to(job)): path.read_bytes() for path in sorted(job.rglob("*")) if path.is_file()}


def scan_files(job: Path) -> dict[str, bytes]:
    scans = everything(job / "scans").items()
    return {Path(path).name: data for path, data in scans}


def stopping_at(fatal: int, stop):
    """An fsync that stops at its ``fatal``-th call."""
    calls, sync = 0, os.fsync

    def fsync(handle: int) -> None:
        nonlocal calls
        calls += 1
        if calls == fatal:
            stop()
        sync(handle)

    return fsync


def killed_at(fatal: int, job: Path, result: ScanResult, name: str) -> bool:
    """Write in a process that is killed at its ``fatal``-th fsync; False if there were fewer."""
    child = os.fork()
    if child == 0:
        durable.os.fsync = stopping_at(fatal, lambda: os.kill(os.getpid(), signal.SIGKILL))
        try:
            write(job, result, name)
        finally:
            os._exit(0)
    return os.WIFSIGNALED(os.waitpid(child, 0)[1])


def test_killed_at_any_moment_its_files_are_whole_or_absent(tmp_path, result, name):
    write(tmp_path / "undisturbed", result, name)
    wanted = scan_files(tmp_path / "undisturbed")
    complete = []
    for fatal in range(1, MOST_SYNCS):
        job = tmp_path / f"job-{fatal}"
        if not killed_at(fatal, job, result, name):
            break
        found = scan_files(job)
        assert found.items() <= wanted.items()
        complete.append(REPORT in found)
        assert not complete[-1] or found == wanted, "a folder with a report is complete"
        write(job, result, name)
        assert scan_files(job) == wanted
    assert fatal < MOST_SYNCS - 1
    assert complete == sorted(complete)
    assert complete[0] is False
    assert complete[-1] is True


@pytest.mark.parametrize("refusal", [errno.ENOSPC, errno.EIO])
def test_a_disk_that_refuses_tears_nothing(tmp_path, result, name, refusal, monkeypatch):
    def refuse() -> None:
        raise OSError(refusal, os.strerror(refusal))

    write(tmp_path / "undisturbed", result, name)
    wanted = scan_files(tmp_path / "undisturbed")
    for fatal in range(1, MOST_SYNCS):
        job = tmp_path / f"job-{fatal}"
        with monkeypatch.context() as broken:
            broken.setattr(durable.os, "fsync", stopping_at(fatal, refuse))
            try:
                write(job, result, name)
                break
            except SinkError:
                pass
        found = scan_files(job)
        assert found.items() <= wanted.items()
        assert REPORT not in found or found == wanted
        assert not list((job / ".staging").glob("*"))
    assert 2 < fatal < MOST_SYNCS - 1


def test_writing_again_changes_nothing(tmp_path, result, name):
    assert make_files(result, [name]) == make_files(result, [name])
    write(tmp_path, result, name)
    before = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*")}
    write(tmp_path, result, name)
    assert {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*")} == before


def test_the_report_names_its_files_and_nothing_lies_elsewhere(tmp_path, result, name):
    report = write(tmp_path, result, name).report
    folder = scan_folder(tmp_path, report.scan.scan_id)
    assert set(everything(tmp_path)) == {str((folder / file).relative_to(tmp_path)) for file in (*report.files, REPORT)}
    assert read_report(tmp_path, report.scan.scan_id) == report
    assert set(report.files) >= {item.picture for item in report.slices if item.picture}


def test_its_files_are_no_other_outputs(result, name):
    for file in OUTPUTS[name].files(result):
        assert [other for other, output in OUTPUTS.items() if output.owns(file)] == [name]


@pytest.mark.parametrize("file", ["../index.html", "/index.html", "a/b.png", "..", "", "index.html\n", ".hidden"])
def test_a_name_that_leads_elsewhere_is_refused(tmp_path, result, name, file):
    for owns in (OUTPUTS[name].owns, lambda _: True):
        leading = replace(OUTPUTS[name], files=lambda _: {file: b""}, owns=owns)
        with pytest.raises(ValueError, match=f"output {name} must not write"):
            make_files(result, [name], {**OUTPUTS, name: leading})
    with pytest.raises(ValueError, match="not the files of a scan"):
        write_scan(tmp_path, result.ref.scan_id, {file: b"", REPORT: b"{}"})
    assert not everything(tmp_path)


def test_what_an_earlier_run_left_goes(tmp_path, result, name, workshop):
    write(tmp_path / "alone", result, name)
    write(tmp_path / "job", result, *OUTPUTS)
    (scan_folder(tmp_path / "job", result.ref.scan_id) / "notes.txt").write_text("a reader's own")
    write(tmp_path / "job", result, name)
    assert scan_files(tmp_path / "job") == {**scan_files(tmp_path / "alone"), "notes.txt": b"a reader's own"}

    failed = ScanResult(result.ref, failed_report(result.ref, FileMissing("gone"), workshop.bundle))
    write(tmp_path / "job", failed, name)
    assert set(scan_files(tmp_path / "job")) == {REPORT, "notes.txt"}


def test_a_scan_that_failed_has_a_report_only(workshop, name):
    ref = workshop.ref()
    report, files = make_files(ScanResult(ref, failed_report(ref, FileMissing("gone"))), [name])
    assert (report.files, [*files]) == ((), [REPORT])


def test_all_outputs_together(result):
    report, files = make_files(result, DEFAULT_OUTPUTS)
    assert [*files] == ["slice-001.png", "slice-003.png", "index.html", REPORT]
    assert [(item.heatmap, item.picture) for item in report.slices] == [
        ("drawn", "slice-001.png"),
        ("empty_heatmap", None),
        ("drawn", "slice-003.png"),
        (None, None),
    ]
    assert b'src="slice-003.png"' in files["index.html"]


def test_a_page_without_pictures_links_to_none(result):
    report, files = make_files(result, ["page"])
    assert b"<img" not in files["index.html"]
    assert report.files == ("index.html",)


def test_what_is_not_chosen_is_not_made(result):
    def fail(_: ScanResult):
        pytest.fail("nobody asked for it")

    outputs = {**OUTPUTS, "pictures": Output(fail, bool)}
    assert [*make_files(result, ["page"], outputs)[1]] == ["index.html", REPORT]


def test_the_default_is_registered_and_the_report_is_last():
    assert set(DEFAULT_OUTPUTS) <= set(OUTPUTS)
    assert [*OUTPUTS][-1] == "report"
