"""Jobs on a real Redis with real worker processes and a real, tiny model."""

from __future__ import annotations

import json
import shutil
import signal
import socket
import urllib.request
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from functools import cache
from pathlib import Path

import pytest
from jobsite import Site, child_of, eventually, kill, write_crowd, write_series
from tiny import fp32_only

from hemo_core.errors import BundleAltered, DeviceError, PrecisionRefused, RootNotMounted
from hemo_core.jobs import JobOptions, cancel, resume, retry_failed, submit
from hemo_core.jobs.private_broker import PrivateBroker
from hemo_core.jobs.queue import queue_depth, queue_keys
from hemo_core.phantoms import write_demo
from hemo_core.report import load_report
from hemo_core.scans.discover import discover
from hemo_worker.local import LocalWorker, local_session

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def worker(site: Site) -> Iterator[LocalWorker]:
    """A worker that several tests share."""
    with site.worker(f"--metrics-port={port()}") as worker:
        worker.wait_ready()
        yield worker


@pytest.fixture(scope="module")
def crowd(site: Site) -> str:
    """Two hundred small scans."""
    write_crowd(site.scans("crowd"), 200)
    return "crowd"


@pytest.fixture(scope="module")
def undisturbed(site: Site, worker: LocalWorker, crowd: str) -> dict[str, bytes]:
    """What the crowd's reports and overlays are when nothing goes wrong."""
    site.submit("calm", crowd, chunk_size=16)
    progress = site.complete("calm")
    assert (progress.scored, progress.open, worker.process.poll()) == (200, 0, None)
    return site.reports("calm")


@cache
def port() -> int:
    """One that is free, where the worker serves its metrics."""
    with socket.create_server(("127.0.0.1", 0)) as held:
        return held.getsockname()[1]


def outcomes(site: Site, job: str) -> Counter[str]:
    reports = [load_report(data) for name, data in site.reports(job).items() if name.endswith(".json")]
    return Counter(report.error.code if report.error else report.outcome for report in reports)


def metric(name: str) -> float:
    with urllib.request.urlopen(f"http://127.0.0.1:{port()}/metrics") as answer:
        lines = answer.read().decode().splitlines()
    return sum(float(line.rpartition(" ")[2]) for line in lines if line.split("{")[0].split(" ")[0] == name)


def test_a_folder_with_everything_ends_with_a_row_for_each_scan(site: Site, worker: LocalWorker):
    demo = write_demo(site.scans("demo"), rows=128)
    (site.scans("demo") / "notes.txt").write_text("not a scan")
    (site.scans("demo") / "empty.dcm").write_bytes(b"")
    header = site.submit("mixed", "demo")
    progress = site.complete("mixed")
    expected = Counter("scored" if scan.expected in {"hemorrhage", "no_finding"} else scan.expected for scan in demo)
    assert header.total == progress.total == len(demo) + 1
    assert (progress.scored, progress.rejected) == (expected["scored"], expected["rejected"])
    assert progress.failed == expected["failed"] + 1
    assert sum(progress.codes.values()) == progress.failed
    assert "empty_file" in progress.codes
    assert "notes.txt" in (site.out / "mixed" / "ignored.csv").read_text()
    summary = (site.out / "mixed" / "summary.csv").read_text().splitlines()
    assert len(summary) == 1 + header.total
    assert (site.out / "mixed" / "index.html").is_file()
    assert outcomes(site, "mixed").total() == header.total
    assert worker.process.poll() is None


def test_the_parent_loads_neither_tensorflow_nor_onnxruntime(worker: LocalWorker):
    maps = Path(f"/proc/{worker.process.pid}/maps").read_text()
    assert "onnxruntime" not in maps
    assert "tensorflow" not in maps
    child = child_of(worker.process.pid)
    assert "onnxruntime" in Path(f"/proc/{child}/maps").read_text()


def test_every_positive_scan_shows_its_slices(undisturbed: dict[str, bytes]):
    reports = [load_report(data) for name, data in undisturbed.items() if name.endswith(".json")]
    labels = Counter(report.label for report in reports)
    assert set(labels) == {"hemorrhage", "review", "no_finding"}
    for report in reports:
        above = [item for item in report.slices if item.probability >= report.threshold]
        assert bool(above) == (report.label != "no_finding")
        assert all(item.heatmap is not None for item in above)
        shown = [item.picture for item in report.slices if item.picture]
        assert all(f"{report.scan.scan_id}/{name}" in undisturbed for name in shown)


def test_metrics_count_what_was_done(undisturbed: dict[str, bytes]):
    reports = sum(name.endswith(".json") for name in undisturbed)
    assert metric("hemo_batch_scans_total") >= reports
    assert metric("hemo_batch_slices_total") > reports
    assert metric("hemo_batch_scans_outstanding") == 0
    eventually(lambda: metric("hemo_batch_queue_depth_chunks"), lambda depth: depth == 0)
    assert metric("hemo_batch_worker_up") == 1
    assert metric("hemo_batch_model_info") == metric("hemo_batch_device_info") == 1
    assert metric("hemo_batch_stage_duration_seconds_count") > reports


def test_killing_child_and_broker_in_the_middle_changes_no_byte(
    site: Site, worker: LocalWorker, broker: PrivateBroker, crowd: str, undisturbed: dict[str, bytes]
):
    site.submit("rough", crowd, chunk_size=16)
    site.until("rough", lambda progress: progress.scored >= 20)
    kill(child_of(worker.process.pid))
    site.until("rough", lambda progress: progress.scored >= 60)
    kill(broker.pid)
    broker.start()
    site.store.client.delete(*queue_keys(site.bundle.digest))
    progress = site.complete("rough")
    assert (progress.scored, progress.failed, progress.total) == (200, 0, 200)
    assert site.reports("rough") == undisturbed
    assert not list((site.out / "rough").rglob("*.tmp"))
    assert metric("hemo_batch_child_crashes_total") >= 1
    assert worker.process.poll() is None


def test_a_scan_that_kills_its_process_fails_alone(site: Site, worker: LocalWorker):
    names = [f"{number:02d}" for number in range(5)] + ["killer"]
    write_series(site.scans("killer"), names)
    site.submit("poisoned", "killer", chunk_size=4)
    progress = site.complete("poisoned")
    assert (progress.scored, progress.failed, dict(progress.codes)) == (5, 1, {"poison": 1})
    assert outcomes(site, "poisoned") == {"scored": 5, "poison": 1}
    assert metric("hemo_batch_poison_scans_total") == 1
    assert worker.process.poll() is None


@pytest.mark.usefixtures("worker")
def test_failed_scans_can_be_tried_again_once_they_are_mended(site: Site):
    folder = site.scans("few")
    write_series(folder, ["mended"])
    whole = {path: path.read_bytes() for path in (folder / "mended").iterdir()}
    found = list(discover(folder, root_name="few"))
    for path in whole:
        path.write_bytes(b"")
    submit(site.store, site.out / "mended", found, bundle=site.bundle)
    assert dict(site.complete("mended").codes) == {"empty_file": 1}
    for path, data in whole.items():
        path.write_bytes(data)
    assert retry_failed(site.store, site.out / "mended") == 1
    progress = site.complete("mended")
    assert (progress.scored, progress.failed) == (1, 0)
    assert outcomes(site, "mended") == {"scored": 1}


@pytest.mark.usefixtures("worker")
def test_a_disk_that_refuses_reports_fails_no_scan(site: Site):
    obstacle = site.out / "blocked" / "scans"
    obstacle.parent.mkdir()
    obstacle.write_text("a file where the reports' folder must be")
    write_series(site.scans("few"), ["a", "b"])
    site.submit("blocked", "few")
    progress = site.until("blocked", lambda progress: progress.note is not None)
    assert (progress.failed, progress.scored) == (0, 0)
    assert "cannot write" in progress.note
    obstacle.unlink()
    progress = site.complete("blocked")
    assert (progress.failed, progress.scored) == (0, progress.total)


@pytest.mark.usefixtures("worker")
def test_lost_messages_are_found_again(site: Site, crowd: str):
    site.submit("busy", crowd, chunk_size=100)
    site.submit("lost", crowd, chunk_size=100)
    site.store.client.delete(*queue_keys(site.bundle.digest))
    assert site.complete("lost").scored == site.complete("busy").scored == 200


@pytest.mark.usefixtures("worker")
def test_a_cancelled_job_stops_and_resumes_to_the_same_end(site: Site, crowd: str, undisturbed: dict[str, bytes]):
    site.submit("stopped", crowd, chunk_size=16)
    site.until("stopped", lambda progress: progress.scored >= 10)
    assert cancel(site.store, "stopped").state == "cancelled"
    progress = site.complete("stopped")
    assert progress.cancelled > 0
    assert progress.total == progress.scored + progress.cancelled
    rows = (site.out / "stopped" / "summary.csv").read_text()
    assert rows.count(",cancelled,") >= 1
    assert resume(site.store, site.out / "stopped") == progress.cancelled
    assert site.complete("stopped").scored == 200
    assert site.reports("stopped") == undisturbed


def test_a_job_for_another_bundle_is_left_alone_and_says_so(site: Site, worker: LocalWorker):
    class Other:
        name, version, digest = "other", "9.9.9", "f" * 64

    write_series(site.scans("few"), ["a", "b"])
    submit(site.store, site.out / "foreign", discover(site.scans("few"), root_name="few"), bundle=Other())
    progress = site.until("foreign", lambda progress: progress.note is not None)
    assert "other 9.9.9 (ffffffffffff)" in progress.note
    assert progress.open == progress.total > 0
    assert queue_depth(site.store.client, Other.digest) == 1
    cancel(site.store, "foreign")
    assert worker.process.poll() is None


def test_a_job_for_another_precision_is_left_alone_and_says_so(site: Site, worker: LocalWorker):
    write_series(site.scans("several"), ["a", "b"])
    site.submit("precise", "several", options=JobOptions(precision="int8"))
    progress = site.until("precise", lambda progress: progress.note is not None)
    assert "asks for int8; this worker computes in fp32 (start a worker with --precision int8)" in progress.note
    assert progress.open == progress.total == 2
    cancel(site.store, "precise")
    assert worker.process.poll() is None


def test_sigterm_gives_the_work_back_and_another_worker_ends_it(
    site: Site, worker: LocalWorker, crowd: str, undisturbed: dict[str, bytes]
):
    site.submit("handover", crowd, chunk_size=100)
    site.until("handover", lambda progress: progress.scored >= 10)
    assert worker.stop() == 0
    progress = site.store.progress("handover")
    assert 10 <= progress.scored < 200
    assert site.store.client.zcard("hb:{handover}:leases") == 0
    with site.worker() as second:
        assert site.complete("handover").scored == 200
        assert second.process.poll() is None
    assert site.reports("handover") == undisturbed


def test_a_lost_input_root_stops_the_worker_and_fails_no_scan(site: Site):
    gone = site.scans("gone")
    write_series(gone, ["a"])
    site.submit("unmounted", "gone")
    with site.worker() as worker:
        worker.wait_ready()
        (gone / "a").rename(site.folder / "elsewhere")
        kept = site.store.header("unmounted")
        resume(site.store, site.out / kept.job)
        assert worker.process.wait(60) == RootNotMounted.exit_code
        with pytest.raises(RootNotMounted, match="the folder is empty"):
            worker.check()
    progress = site.store.progress("unmounted")
    assert (progress.failed, progress.open) == (0, 1)
    assert "not mounted" in progress.note


def test_a_missing_device_ends_the_worker_with_its_own_code(site: Site):
    with site.worker("--device=cuda") as worker:
        with pytest.raises(DeviceError):
            worker.wait_ready()
        assert worker.process.wait(60) == DeviceError.exit_code


def test_a_precision_that_the_bundle_lacks_ends_the_worker_with_its_own_code(site: Site, tmp_path: Path):
    with site.worker("--precision=int8", bundle=fp32_only(site.bundle.path, tmp_path / "fp32")) as worker:
        with pytest.raises(PrecisionRefused, match="holds no int8 graphs"):
            worker.wait_ready()
        assert worker.process.wait(60) == PrecisionRefused.exit_code


def test_an_altered_bundle_is_refused_before_anything_is_loaded(site: Site, tmp_path: Path):
    altered = tmp_path / "altered"
    shutil.copytree(site.bundle.path, altered)
    (altered / "cnn.onnx").write_bytes(b"something else")
    with site.worker(bundle=replace(site.bundle, path=altered)) as worker:
        with pytest.raises(BundleAltered):
            worker.wait_ready()
        assert worker.process.wait(60) == BundleAltered.exit_code


@pytest.fixture
def interruptible():
    """Ctrl-C raises KeyboardInterrupt, as in a terminal; a test run in the background ignores the signal."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.usefixtures("interruptible")
def test_a_session_stopped_with_ctrl_c_goes_on_where_it_was(site: Site, crowd: str, undisturbed: dict[str, bytes]):
    job_dir = site.out / "session"
    roots = {crowd: site.scans(crowd), "out": site.out}

    def session():
        return local_session(job_dir, roots, bundle=site.bundle.path, arguments=["--device=cpu", "--explainer=onnx"])

    def interrupted():
        with session() as first:
            found = discover(site.scans(crowd), root_name=crowd)
            submit(first.store, job_dir, found, bundle=site.bundle, chunk_size=16)
            for progress in first.watch("session"):
                if progress.scored >= 10:
                    signal.raise_signal(signal.SIGINT)

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    with session() as second:
        assert 0 < resume(second.store, job_dir) < 200
        assert list(second.watch("session"))[-1].scored == 200
    assert site.reports("session") == undisturbed
    assert json.loads((job_dir / "job.json").read_text())["total"] == 200
