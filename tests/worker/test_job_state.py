"""The state of jobs on a real Redis, without a model."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from jobsite import eventually

from hemo_core.errors import BrokerError, BrokerInsecure, JobError, JobExists, JobNotFound, NoInput, SinkError
from hemo_core.jobs import JobRows, JobStore, cancel, read_job_header, resume, retry_failed, submit
from hemo_core.jobs.layout import report_path
from hemo_core.jobs.private_broker import PrivateBroker, running_url
from hemo_core.jobs.queue import celery_url, check_url, queue_depth, queue_keys, queued_chunks, redis_url
from hemo_core.scans.scan import ScanRef
from hemo_worker.metrics import BrokerCollector

LEASE_S = 30.0


class Digest:
    name, version, digest = "tiny", "1.0.0", "ab" * 32


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[JobStore]:
    with PrivateBroker(tmp_path_factory.mktemp("broker")) as broker:
        yield JobStore(broker.url)


@pytest.fixture
def job(store: JobStore, tmp_path: Path) -> Iterator[str]:
    """A job of ten scans in chunks of four: rows 0–3, 4–7, 8–9."""
    name = f"job-{tmp_path.name}"
    submit(store, tmp_path / name, refs(10), bundle=Digest(), chunk_size=4)
    yield name
    store.client.flushdb()


def refs(count: int) -> Iterator[ScanRef]:
    return (ScanRef(f"{row:016x}", "scans", f"s/{row}.png", (f"s/{row}.png",), "image") for row in range(count))


def do(store: JobStore, job: str, rows: tuple[int, ...], ending: str = "scored", what: str = "no_finding"):
    return [store.mark(job, row, ending, what=what, slices=3) for row in rows][-1]


def test_a_submitted_job_is_on_disk_in_the_broker_and_in_the_queue(store, job, tmp_path):
    header = read_job_header(tmp_path / job)
    assert (header.total, header.chunks, header.roots) == (10, 3, ("scans",))
    assert store.header(job) == header
    assert sorted(queued_chunks(store.client, Digest.digest)) == [(job, 0), (job, 4), (job, 8)]
    with JobRows(tmp_path / job) as manifest:
        assert [ref.path for ref in manifest] == [f"s/{row}.png" for row in range(10)]
        assert manifest[7] == list(refs(10))[7]
    progress = store.progress(job)
    assert (progress.total, progress.open, progress.state) == (10, 10, "running")


def test_file_names_that_are_no_utf8_survive_the_manifest(store, tmp_path):
    path = b"caf\xe9.dcm".decode("utf-8", "surrogateescape")
    ref = ScanRef("0" * 16, "scans", path, (path,), "dicom")
    submit(store, tmp_path / "bytes", [ref], bundle=Digest())
    with JobRows(tmp_path / "bytes") as manifest:
        assert manifest[0] == ref


@pytest.mark.parametrize("scan_id", ["../../elsewhere", "", "a/b", "."])
def test_a_manifest_cannot_lead_out_of_the_jobs_folder(store, tmp_path, scan_id):
    submit(store, tmp_path / "forged", [ScanRef(scan_id, "scans", "a.png", ("a.png",), "image")], bundle=Digest())
    with JobRows(tmp_path / "forged") as manifest, pytest.raises(JobError, match="is no scan id"):
        _ = manifest[0]
    store.mark("forged", 0, "failed", what="x")
    with pytest.raises(JobError):
        retry_failed(store, tmp_path / "forged")
    store.client.flushdb()


@pytest.mark.parametrize("text", ["{", "", '{"schema_version": 1}', '{"schema_version": 1, "job": 7}'])
def test_a_malformed_header_in_the_broker_is_a_job_error(store, job, text):
    store.client.hset(f"hb:{{{job}}}", "header", text)
    with pytest.raises(JobError, match="malformed job header"):
        store.header(job)


@pytest.mark.parametrize("change", [{"total": "many"}, {"created": ""}, {"state": b"\xff"}])
def test_a_malformed_state_in_the_broker_is_a_job_error(store, job, change):
    store.client.hset(f"hb:{{{job}}}", mapping=change)
    with pytest.raises(JobError, match=f"the state of job {job} in the broker is malformed"):
        store.progress(job)


def test_a_malformed_job_hides_no_other_from_the_metrics(store, job, tmp_path):
    submit(store, tmp_path / "malformed", refs(3), bundle=Digest())
    store.client.hset("hb:{malformed}", "header", "{}")
    found = {metric.name: metric.samples[0].value for metric in BrokerCollector(store).collect()}
    assert found["hemo_batch_broker_up"] == 1
    assert found["hemo_batch_scans_outstanding"] == store.progress(job).open == 10


def test_a_chunk_is_worked_on_by_one_owner_at_a_time(store, job):
    assert store.claim(job, "a/1", 0, LEASE_S).rows == (0, 1, 2, 3)
    assert store.claim(job, "b/1", 0, LEASE_S).verdict == "busy"
    assert store.claim(job, "b/1", None, LEASE_S).rows == (4, 5, 6, 7)
    assert store.claim(job, "b/1", None, LEASE_S).rows == (8, 9)
    assert store.claim(job, "b/1", None, LEASE_S).verdict == "none"


def test_every_scan_ends_once_and_the_last_one_completes_the_job(store, job):
    store.claim(job, "a/1", 0, LEASE_S)
    do(store, job, (0, 1, 2))
    assert not store.mark(job, 2, "failed", what="poison").new
    do(store, job, (3,), "failed", "truncated")
    do(store, job, (4,), "rejected", "localizer")
    marked = do(store, job, (5, 6, 7, 8, 9), what="hemorrhage")
    assert (marked.open, store.ending(job, 3)) == (0, "failed")
    assert store.claim(job, "a/1", 0, LEASE_S).verdict == "finish"
    assert not store.progress(job).complete
    store.finish(job)
    progress = store.progress(job)
    assert (progress.scored, progress.failed, progress.rejected, progress.open) == (8, 1, 1, 0)
    assert (progress.codes, progress.labels) == ({"truncated": 1}, {"hemorrhage": 5, "no_finding": 3})
    assert progress.complete
    assert progress.slices == 30
    assert store.client.ttl(f"hb:{{{job}}}:scored") > 0


def test_a_silent_owner_loses_its_chunk_and_its_rows_in_flight_must_run_alone(store, job):
    store.claim(job, "a/1", 0, 0.05)
    store.begin(job, (1, 2))
    claim = eventually(lambda: store.claim(job, "b/1", 0, LEASE_S), lambda found: found.verdict == "run")
    assert (claim.rows, claim.suspects, claim.taken_over) == ((0, 3), (1, 2), True)
    assert store.renew(job, "a/1", (0,), LEASE_S) == {0}
    assert store.release(job, "a/1", 0) == 0
    assert store.claim(job, "c/1", 0, LEASE_S).verdict == "busy"


def test_a_workers_new_process_inherits_at_once(store, job):
    store.claim(job, "a/1", 0, LEASE_S)
    store.begin(job, (0,))
    assert store.claim(job, "a/2", None, LEASE_S).suspects == (0,)


def test_a_scan_that_dies_alone_twice_is_poison_and_no_other(store, job):
    store.claim(job, "a/1", 0, LEASE_S)
    store.begin(job, (0, 1))
    for process in (2, 3):
        claim = store.claim(job, f"a/{process}", 0, LEASE_S)
        assert (claim.suspects, claim.poison) == ((0, 1), ())
        store.begin(job, (1,), alone=True)
    claim = store.claim(job, "a/4", 0, LEASE_S)
    assert (claim.rows, claim.suspects, claim.poison) == ((2, 3), (0,), (1,))


def test_rows_given_back_in_good_order_are_no_suspects(store, job):
    store.claim(job, "a/1", 0, LEASE_S)
    store.begin(job, (0, 1))
    do(store, job, (0,))
    assert store.release(job, "a/1", 0) == 3
    claim = store.claim(job, "b/1", 0, LEASE_S)
    assert (claim.rows, claim.suspects) == ((1, 2, 3), ())


def test_cancel_ends_what_is_open_and_resume_opens_it_again(store, job, tmp_path):
    store.claim(job, "a/1", 0, LEASE_S)
    do(store, job, (0,))
    store.begin(job, (1,))
    progress = cancel(store, job)
    assert (progress.state, progress.scored, progress.cancelled, progress.open) == ("cancelled", 1, 9, 0)
    assert store.mark(job, 1, "scored", what="review").state == "cancelled"
    assert (store.progress(job).scored, store.progress(job).cancelled) == (2, 8)
    assert store.claim(job, "b/1", 1, LEASE_S).verdict == "finish"
    store.finish(job)
    assert store.claim(job, "b/1", 1, LEASE_S).verdict == "stop"
    store.release(job, "a/1", 0)
    assert resume(store, tmp_path / job) == 8
    assert store.claim(job, "b/1", 0, LEASE_S).rows == (2, 3)


def test_retry_opens_failed_scans_and_removes_their_reports(store, job, tmp_path, workshop):
    from hemo_core.errors import Truncated
    from hemo_core.report import failed_report

    ref = list(refs(10))[5]
    workshop.write(tmp_path / job, failed_report(ref, Truncated("short")), {})
    do(store, job, (5,), "failed", "truncated")
    do(store, job, tuple(row for row in range(10) if row != 5))
    store.finish(job)
    assert store.progress(job).complete
    assert retry_failed(store, tmp_path / job) == 1
    progress = store.progress(job)
    assert (progress.state, progress.open, progress.codes) == ("running", 1, {})
    assert not (tmp_path / job / "scans" / ref.scan_id / "report.json").exists()
    assert store.claim(job, "b/1", None, LEASE_S).rows == (5,)


def test_a_job_is_rebuilt_from_its_reports_when_the_broker_forgot_it(store, job, tmp_path, workshop):
    from hemo_core.errors import Truncated
    from hemo_core.report import failed_report

    everything = list(refs(10))
    workshop.write(tmp_path / job, failed_report(everything[2], Truncated("short")), {})
    for row, text in ((3, '{"outcome": "sco'), (4, '{"outcome": "scored", "probability": "high"}')):
        spoiled = report_path(tmp_path / job, everything[row].scan_id)
        spoiled.parent.mkdir(parents=True)
        spoiled.write_text(text)
    store.client.flushall()
    with pytest.raises(JobNotFound):
        store.progress(job)
    assert resume(store, tmp_path / job) == 9
    assert [store.ending(job, row) for row in (2, 3, 4)] == ["failed", None, None]
    assert sorted(queued_chunks(store.client, Digest.digest)) == [(job, 0), (job, 4), (job, 8)]


def test_open_chunks_are_found_whether_or_not_anything_has_ended(store, job):
    header = store.header(job)
    for _ in range(50):  # bitmaps that do not exist yet must read as zeros, every time
        assert store.unleased_chunks(header) == (0, 1, 2)
    do(store, job, (8, 9))
    store.claim(job, "a/1", 0, LEASE_S)
    assert store.unleased_chunks(header) == (1,)
    assert store.rows(header, "scored") == (8, 9)
    assert store.rows(header, "failed") == ()


def test_resuming_a_finished_job_changes_nothing(store, job, tmp_path):
    do(store, job, tuple(range(10)))
    store.finish(job)
    store.client.delete(*queue_keys(Digest.digest))
    assert resume(store, tmp_path / job) == 0
    assert store.progress(job).complete
    assert queue_depth(store.client, Digest.digest) == 0


@pytest.mark.usefixtures("job")
def test_urgent_chunks_are_found_first_whatever_their_priority(store, tmp_path):
    submit(store, tmp_path / "urgent", refs(1), bundle=Digest(), priority="high")
    assert next(queued_chunks(store.client, Digest.digest)) == ("urgent", 0)
    assert queue_depth(store.client, Digest.digest) == 4


def test_a_folder_holds_one_job(store, job, tmp_path):
    with pytest.raises(JobExists):
        submit(store, tmp_path / job, refs(1), bundle=Digest())


def test_an_input_without_scans_is_no_job_but_says_what_was_ignored(store, tmp_path):
    with pytest.raises(NoInput):
        submit(store, tmp_path / "none", [], bundle=Digest(), ignored=[("a.txt", "text")])
    assert (tmp_path / "none" / "ignored.csv").read_text() == "path,reason\na.txt,text\n"


def test_a_folder_that_cannot_be_written_is_a_sink_error(store, tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(SinkError):
        submit(store, tmp_path / "file" / "job", refs(1), bundle=Digest())


def test_progress_is_json(store, job):
    body = json.loads(json.dumps(store.progress(job).to_json()))
    assert (body["job"], body["open"], body["complete"]) == (job, 10, False)
    assert [progress.job for progress in store.jobs()] == [job]


def test_a_broker_that_is_away_is_a_broker_error():
    with pytest.raises(BrokerError, match="hemo-batch doctor"):
        JobStore("redis://127.0.0.1:1/0", patience_s=0.25).ping()


def test_a_password_is_not_shown():
    assert JobStore("redis://user:secret@example/0").safe_url == "redis://user@example/0"


@pytest.mark.parametrize(
    "url", ["rediss://h/0", "rediss://h/0?ssl_cert_reqs=none", "rediss://h/0?ssl_cert_reqs=CERT_NONE"]
)
def test_tls_without_verification_is_refused(url):
    with pytest.raises(BrokerInsecure):
        check_url(url)


def test_other_transports_are_refused():
    with pytest.raises(BrokerError):
        check_url("amqp://localhost")


def test_urls_are_spelled_for_each_library():
    assert redis_url("redis+socket:///run/r.sock?virtual_host=2") == "unix:///run/r.sock?db=2"
    assert celery_url("unix:///run/r.sock?db=2") == "redis+socket:///run/r.sock?virtual_host=2"
    verified = "rediss://h:6380/1?ssl_cert_reqs=required&ssl_ca_certs=%2Fca.pem"
    assert redis_url(verified) == verified
    assert celery_url(verified) == "rediss://h:6380/1?ssl_cert_reqs=CERT_REQUIRED&ssl_ca_certs=%2Fca.pem"


def test_the_private_broker_is_private_keeps_its_data_and_runs_once(tmp_path):
    state = tmp_path / "state"
    with PrivateBroker(state) as broker:
        assert running_url(state) == broker.url
        socket = Path(broker.url.removeprefix("redis+socket://"))
        assert (socket.parent.stat().st_mode & 0o777, state.stat().st_mode & 0o777) == (0o700, 0o700)
        JobStore(broker.url).client.set("kept", "yes")
        with pytest.raises(BrokerError, match="another hemo-batch"):
            PrivateBroker(state).__enter__()
        pid = broker.pid
    assert running_url(state) is None
    assert not Path(f"/proc/{pid}").exists()
    with PrivateBroker(state) as broker:
        assert JobStore(broker.url).client.get("kept") == b"yes"
