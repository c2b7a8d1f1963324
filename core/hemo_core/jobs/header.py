"""The header of a job: everything about it but its scans. Written to ``job.json`` and kept in the broker."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path, PurePosixPath
from typing import Any, Literal, cast, get_args

from hemo_core.errors import JobError, JobNotFound
from hemo_core.inference.precision import PRECISIONS, Precision

Priority = Literal["high", "normal", "low"]

SCHEMA_VERSION = 1
HEADER_FILE = "job.json"
_SILENT = (("precision", None), ("unverified_overlays", False))
_JOB_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")


@dataclass(frozen=True, slots=True)
class JobOptions:
    """What the submitter may choose.

    Attributes:
        explain: draw overlays for the positive slices.
        max_overlays: at most so many overlays a scan, the highest slices first.
        allow_implausible: score pictures that do not look like a head CT.
        unverified_overlays: draw overlays also where the model's heat maps failed their randomisation check.
        precision: only workers whose model computes in it touch the job; None: each in its own, which reports name.
    """

    explain: bool = True
    max_overlays: int = 8
    allow_implausible: bool = False
    precision: Precision | None = None
    unverified_overlays: bool = False


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

    def __post_init__(self) -> None:
        check_job_id(self.job)
        path = PurePosixPath(self.output_path)
        if path.is_absolute() or ".." in path.parts or "\0" in self.output_path:
            raise JobError(f"output path {self.output_path!r} leaves its root")
        if self.total < 0 or self.chunk_size < 1:
            raise JobError(f"a job of {self.total} scans in chunks of {self.chunk_size} makes no sense")
        if self.priority not in get_args(Priority):
            raise JobError(f"unknown priority {self.priority!r}", hint="high, normal or low")
        if self.options.precision not in (None, *PRECISIONS):
            raise JobError(f"unknown precision {self.options.precision!r}", hint="fp32, fp16 or int8")

    @property
    def chunks(self) -> int:
        """Number of chunks."""
        return -(-self.total // self.chunk_size)

    def bounds(self, chunk: int) -> tuple[int, int]:
        """First row of a chunk and the row after its last."""
        first = chunk * self.chunk_size
        return first, min(first + self.chunk_size, self.total)

    def to_json(self) -> dict[str, Any]:
        """JSON-ready form."""
        options = asdict(self.options)
        for name, silent in _SILENT:
            if options[name] == silent:
                del options[name]  # workers that do not know the option read the header, too
        return {**asdict(self), "options": options, "roots": list(self.roots), "schema_version": SCHEMA_VERSION}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> JobHeader:
        """Inverse of :meth:`to_json`. Raises JobError on a malformed or newer header."""
        values = dict(data)
        if values.pop("schema_version", None) != SCHEMA_VERSION:
            raise JobError(f"job header is not of version {SCHEMA_VERSION}", hint="update hemo-batch")
        try:
            values["options"] = JobOptions(**values["options"])
            values["roots"] = tuple(values["roots"])
            return cls(**values)
        except (KeyError, TypeError) as problem:
            raise JobError(f"malformed job header: {problem}") from problem

    def dumps(self) -> str:
        """``job.json``."""
        return json.dumps(self.to_json(), sort_keys=True, indent=2) + "\n"

    @classmethod
    def loads(cls, text: str | bytes) -> JobHeader:
        """Inverse of :meth:`dumps`. Raises JobError."""
        try:
            data = json.loads(text)
        except ValueError as problem:
            raise JobError(f"malformed job header: {problem}") from problem
        if not isinstance(data, dict):
            raise JobError("malformed job header: not an object")
        return cls.from_json(cast("dict[str, Any]", data))


def read_job_header(job_dir: Path) -> JobHeader:
    """The header in a job's folder. Raises JobNotFound, JobError."""
    try:
        text = (job_dir / HEADER_FILE).read_bytes()
    except OSError as problem:
        raise JobNotFound(
            f"no job here: {problem.strerror}",
            path=str(job_dir),
            hint="name the folder that holds job.json; a submit that was interrupted has none, submit it again",
        ) from problem
    return JobHeader.loads(text)


def check_job_id(job: str) -> str:
    """The id unchanged. Raises JobError where it could not be a folder's name and a key's part."""
    if not _JOB_ID.fullmatch(job):
        raise JobError(f"{job!r} cannot be a job id", hint="letters, digits, '.', '_' and '-', at most 100")
    return job


def utc_now() -> str:
    """The time in UTC, ISO 8601, to the second."""
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
