"""The header of a job: everything about it but its scans. Written to ``job.json`` and kept in the broker."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path, PurePosixPath
from typing import Literal

from hemo_core import records
from hemo_core.bundle.manifest import Precision
from hemo_core.errors import HemoError, JobError, JobNotFound
from hemo_core.jobs import layout

Priority = Literal["high", "normal", "low"]

SCHEMA_VERSION = 1
DEFAULT_OUTPUTS = ("report", "pictures", "page")
_WHAT = "job header"
_JOB_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")


@dataclass(frozen=True, slots=True)
class JobOptions:
    """What the submitter may choose.

    Attributes:
        explain: draw overlays for the positive slices.
        max_overlays: at most so many overlays a scan, the highest slices first.
        allow_implausible: score pictures that do not look like a head CT.
        unverified_overlays: draw overlays also where the model's heat maps failed their randomisation check.
        outputs: names of what is written for each scan; the report always is.
        precision: only workers whose model computes in it touch the job; None: each in its own, which reports name.
    """

    explain: bool = True
    max_overlays: int = 8
    allow_implausible: bool = False
    precision: Precision | None = None
    unverified_overlays: bool = False
    outputs: tuple[str, ...] = DEFAULT_OUTPUTS


@dataclass(frozen=True, slots=True)
class JobHeader:
    """One job.

    Attributes:
        job: its id, also the name of its folder.
        created: UTC, ISO 8601, to the second.
        roots: names of the input roots its scans are in.
        total: number of scans, rejected and unreadable ones included.
        chunk_size: scans in a message; the last chunk may be shorter.
        bundle_name, bundle_version, bundle_digest: the model; only a worker with that very digest touches the job.
        output_root, output_path: its folder, a root's name and a POSIX path below that root.

    Raises:
        JobError: the id, the path or the numbers make no sense.
    """

    job: str
    created: str
    roots: tuple[str, ...]
    total: int
    chunk_size: int
    bundle_name: str
    bundle_version: str
    bundle_digest: str
    output_root: str
    output_path: str
    options: JobOptions = field(default_factory=JobOptions)
    priority: Priority = "normal"
    schema_version: int = SCHEMA_VERSION

    def __post_init__(self) -> None:
        check_job_id(self.job)
        path = PurePosixPath(self.output_path)
        if path.is_absolute() or ".." in path.parts or "\0" in self.output_path:
            raise JobError(f"output path {self.output_path!r} leaves its root")
        if self.total < 0 or self.chunk_size < 1:
            raise JobError(f"a job of {self.total} scans in chunks of {self.chunk_size} makes no sense")

    @property
    def chunks(self) -> int:
        """Number of chunks."""
        return -(-self.total // self.chunk_size)

    def bounds(self, chunk: int) -> tuple[int, int]:
        """First row of a chunk and the row after its last."""
        first = chunk * self.chunk_size
        return first, min(first + self.chunk_size, self.total)


def load_job_header(text: str | bytes, path: Path | None = None) -> JobHeader:
    """A header from what :func:`hemo_core.records.dumps` made of it. Raises JobError if it is malformed or newer."""
    value = records.loads(text, error=JobError, what=_WHAT, path=path)
    records.check_version(value, (SCHEMA_VERSION,), error=JobError, what=_WHAT, path=path)
    return records.decode(JobHeader, value, error=JobError, what=_WHAT, path=path)


def read_job_header(job_dir: Path) -> JobHeader:
    """The header in a job's folder. Raises JobNotFound, JobError."""
    path = job_dir / layout.HEADER
    try:
        text = path.read_bytes()
    except OSError as problem:
        raise JobNotFound(
            f"no job here: {problem.strerror}",
            path=str(job_dir),
            hint=f"name the folder that holds {layout.HEADER}; a submit that was interrupted has none, submit it again",
        ) from problem
    return load_job_header(text, path)


def check_job_id(job: str, *, error: type[HemoError] = JobError) -> str:
    """The id unchanged. Raises ``error`` where it could not be a folder's name and a key's part."""
    if not _JOB_ID.fullmatch(job):
        raise error(f"{job!r} cannot be a job id", hint="letters, digits, '.', '_' and '-', at most 100")
    return job


def utc_now() -> str:
    """The time in UTC, ISO 8601, to the second."""
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
