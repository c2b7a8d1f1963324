"""Submit, cancel, resume and retry: what needs the job's folder or the queue besides the job's state."""

from __future__ import annotations

import secrets
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Protocol

from hemo_core import records
from hemo_core.errors import JobExists, NoInput
from hemo_core.files import as_sink_error, make_folder, sync_folder, write_durably
from hemo_core.jobs import layout
from hemo_core.jobs.header import JobHeader, JobOptions, Priority, check_job_id, read_job_header, utc_now
from hemo_core.jobs.on_disk import reported_endings
from hemo_core.jobs.progress import Progress
from hemo_core.jobs.queue import make_app, queue_name, send_chunks
from hemo_core.jobs.rows import JobRows, write_ignored, write_rows
from hemo_core.jobs.store import JobStore
from hemo_core.scans.scan import ScanRef

CHUNK_SIZE = 32
_BATCH = 1000


class BundleName(Protocol):
    """What a job says about its model; :class:`hemo_core.bundle.Bundle` has it."""

    @property
    def name(self) -> str:
        """Name of the bundle."""

    @property
    def version(self) -> str:
        """Semantic version."""

    @property
    def digest(self) -> str:
        """Digest over everything in it."""


def new_job_id() -> str:
    """A job id that sorts by time: ``20261121-185439-3f2a``."""
    return f"{datetime.now(UTC):%Y%m%d-%H%M%S}-{secrets.token_hex(2)}"


def submit(
    store: JobStore,
    job_dir: Path,
    refs: Iterable[ScanRef],
    *,
    bundle: BundleName,
    ignored: Iterable[tuple[str, str]] = (),
    output_root: str = "out",
    output_path: str | None = None,
    options: JobOptions | None = None,
    priority: Priority = "normal",
    chunk_size: int = CHUNK_SIZE,
) -> JobHeader:
    """Write the job's folder and enqueue its chunks. The folder's name is the job's id.

    Args:
        store: the broker.
        job_dir: made here; a worker finds it as ``output_path`` (default: the folder's name) below ``output_root``.
        refs: streamed; memory does not grow with their number.
        ignored: path and reason of what discovery left out; read after ``refs`` has ended.
        bundle: the model that must score this job.

    Raises:
        JobExists: the folder, or the broker, already has this job.
        NoInput: not a single scan.
        SinkError: the disk refuses.
        BrokerError: the broker is away; the folder is kept, and ``resume`` goes on from there.
    """
    job = check_job_id(job_dir.name)
    if (job_dir / layout.HEADER).exists():
        raise JobExists("this folder already holds a job", path=str(job_dir), hint="resume it, or choose another")
    store.ping()
    make_folder(job_dir)
    total, roots = write_rows(job_dir, refs)
    write_ignored(job_dir, ignored)
    if total == 0:
        raise NoInput("no scan found", hint=f"{job_dir / layout.IGNORED} says what was left out and why")
    header = JobHeader(
        job=job,
        created=utc_now(),
        roots=tuple(sorted(roots)),
        total=total,
        chunk_size=chunk_size,
        bundle_name=bundle.name,
        bundle_version=bundle.version,
        bundle_digest=bundle.digest,
        output_root=output_root,
        output_path=output_path or job,
        options=options or JobOptions(),
        priority=priority,
    )
    write_durably(job_dir / layout.HEADER, records.dumps(header), job_dir / layout.STAGING)
    sync_folder(job_dir)
    store.create(header)
    enqueue(store, header, range(header.chunks))
    return header


def cancel(store: JobStore, job: str) -> Progress:
    """Stop a job: what is open becomes cancelled, scans in flight may still end. Raises JobNotFound, BrokerError."""
    header = store.header(job)
    if store.cancel(job):
        enqueue(store, header, (0,))  # a worker finds nothing open and writes the summary
    return store.progress(job)


def resume(store: JobStore, job_dir: Path) -> int:
    """Run what is missing. Rebuilds the broker's state from the reports if the broker has lost it.

    Returns:
        How many scans are open now.

    Raises:
        JobNotFound: no job in that folder.
        BrokerError: the broker is away.
    """
    return _reopen(store, job_dir, failed_too=False)


def retry_failed(store: JobStore, job_dir: Path) -> int:
    """Run the failed scans again, and what is missing. Their reports are removed first, so that they are open.

    Returns and raises like :func:`resume`.
    """
    return _reopen(store, job_dir, failed_too=True)


def enqueue(store: JobStore, header: JobHeader, chunks: Sequence[int]) -> None:
    """Send messages for these chunks. Raises BrokerError."""
    app, queue = make_app(store.url), queue_name(header.bundle_digest)
    try:
        for start in range(0, len(chunks), _BATCH):
            store.enqueuing(header.job)
            messages = ((header.job, *header.bounds(chunk)) for chunk in chunks[start : start + _BATCH])
            send_chunks(app, queue, header.priority, messages)
        store.enqueued(header.job)
    finally:
        app.close()


def _reopen(store: JobStore, job_dir: Path, *, failed_too: bool) -> int:
    header = read_job_header(job_dir)
    store.ping()
    if not store.exists(header.job):
        store.create(header, reported_endings(job_dir))
    if failed_too:
        _remove_reports(job_dir, store.rows(header, "failed"))
    missing = store.reopen(header, failed_too=failed_too)
    if missing:
        enqueue(store, header, store.unleased_chunks(header))
    elif not store.progress(header.job).summarised:
        enqueue(store, header, (0,))
    return missing


def _remove_reports(job_dir: Path, rows: Iterable[int]) -> None:
    with JobRows(job_dir) as manifest:
        for row in rows:
            report = layout.report_path(job_dir, manifest[row].scan_id)
            with as_sink_error(report):
                report.unlink(missing_ok=True)
