"""The state of jobs in Redis: which scans have ended and how, who works on what.

What must change together changes in a Lua script beside this file; they all take the keys of ``prelude.lua``.

A million scans take half a megabyte. The reports on disk and these bitmaps are the truth; queue messages are hints.
Keys of a finished job expire after :data:`KEEP_FINISHED_S`; its folder stays.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache, wraps
from importlib import resources
from typing import Any, Concatenate, Literal, ParamSpec, TypeVar, cast, get_args

import numpy as np
import numpy.typing as npt

from hemo_core import records
from hemo_core.errors import BrokerError, JobError, JobExists, JobNotFound
from hemo_core.jobs.header import JobHeader, load_job_header
from hemo_core.jobs.progress import Ending, JobState, Progress
from hemo_core.jobs.queue import PREFIX, queue_depth, queued_chunks, redis_url, safe_url

KEEP_FINISHED_S = 30 * 24 * 3600
POISON_DEATHS = 2
POLL_S = 0.5
_ENDINGS: tuple[Ending, ...] = get_args(Ending)
_KEYS = (  # in the order of prelude.lua
    "meta",
    *_ENDINGS,
    "free",
    "inflight",
    "crashes",
    "leases",
    "owners",
    "counts",
)
_SCRIPTS = ("claim", "mark", "renew", "release", "cancel", "reopen", "finish")
_WORKER_SILENT_MS = 60_000
_NOTE_S = 60

Verdict = Literal["run", "empty", "busy", "none", "stop", "finish", "unknown"]
P = ParamSpec("P")
R = TypeVar("R")


@dataclass(frozen=True, slots=True)
class Claim:
    """What :meth:`JobStore.claim` found.

    Attributes:
        verdict: ``run`` these rows; ``empty``: the chunk is done; ``busy``: somebody else is at it; ``none``: no chunk
            is free; ``stop``: the job is not running; ``finish``: every scan has ended, the summary is to be written;
            ``unknown``: the broker has no such job.
        taken_over: another process held it and is dead or silent.
        rows: may run together, with read-ahead.
        suspects: were in flight when a process died; each must run alone.
        poison: died alone too often; to be failed.
    """

    verdict: Verdict
    chunk: int
    taken_over: bool = False
    rows: tuple[int, ...] = ()
    suspects: tuple[int, ...] = ()
    poison: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class Marked:
    """What :meth:`JobStore.mark` found: the job's state, its open scans, and whether the row had no outcome before."""

    state: str
    open: int
    new: bool


def _mapped(
    method: Callable[Concatenate[JobStore, P], R],
) -> Callable[Concatenate[JobStore, P], R]:
    """Raise Redis's errors as ours."""

    @wraps(method)
    def wrapper(self: JobStore, /, *args: P.args, **kwargs: P.kwargs) -> R:
        from redis.exceptions import RedisError

        try:
            return method(self, *args, **kwargs)
        except (RedisError, OSError) as problem:
            raise BrokerError(
                f"broker {self.safe_url}: {problem}", hint="is it running? hemo-batch doctor checks"
            ) from problem

    return wrapper


class JobStore:
    """Jobs on one Redis server. Connects when first used; safe in threads; a forked child makes its own.

    Args:
        url: ``redis://``, ``rediss://`` (verified) or ``redis+socket://``.
        patience_s: how long a call keeps trying while the server is away.

    Raises:
        BrokerError, BrokerInsecure: the URL cannot or must not be used.
    """

    def __init__(self, url: str, *, patience_s: float = 2.0) -> None:
        from redis import Redis
        from redis.backoff import ConstantBackoff
        from redis.exceptions import ConnectionError as Gone
        from redis.exceptions import TimeoutError as Silent
        from redis.retry import Retry

        self.url = url
        try:
            self.client: Any = Redis.from_url(
                redis_url(url),
                socket_timeout=5,
                socket_connect_timeout=5,
                retry=Retry(ConstantBackoff(0.25), max(1, round(patience_s / 0.25))),
                retry_on_error=[Gone, Silent],
                health_check_interval=15,
            )
            self.client.connection_pool.make_connection()  # connects to nothing: an unknown option is seen only here
        except (TypeError, ValueError) as problem:
            raise BrokerError(f"the broker's URL {self.safe_url} cannot be used: {problem}") from problem
        self._scripts = {name: self.client.register_script(_lua("prelude") + _lua(name)) for name in _SCRIPTS}

    @property
    def safe_url(self) -> str:
        """The URL without its password."""
        return safe_url(self.url)

    def close(self) -> None:
        """Close the connections."""
        self.client.close()

    @_mapped
    def ping(self) -> None:
        """Raise BrokerError unless the server answers."""
        self.client.ping()

    # -- what a user asks ---------------------------------------------------------------------------------------------

    @_mapped
    def progress(self, job: str) -> Progress:
        """How far a job is. Raises JobNotFound, JobError."""
        found = self._progress(job)
        if found is None:
            raise _unknown(job)
        return found

    @_mapped
    def jobs(self) -> tuple[Progress, ...]:
        """Every job the broker still knows, newest first."""
        found = [self._progress(name) for name in self._names()]
        return tuple(progress for progress in found if progress is not None)

    @_mapped
    def unfinished(self) -> tuple[str, ...]:
        """Jobs that run, or whose summary is not written. Cheap: asked every few seconds."""
        names = self._names()
        pipeline = self.client.pipeline(transaction=False)
        for name in names:
            pipeline.hmget(_key(name), "state", "summarised")
        states = dict(zip(names, pipeline.execute(), strict=True))
        gone = [name for name, (state, _) in states.items() if state is None]
        if gone:
            self.client.zrem(f"{PREFIX}jobs", *gone)
        return tuple(name for name, (state, done) in states.items() if state and (state == b"running" or done != b"1"))

    def watch(self, job: str, *, interval_s: float = POLL_S) -> Iterator[Progress]:
        """Snapshots until the job is complete; the last one says so. Raises JobNotFound, BrokerError."""
        while True:
            progress = self.progress(job)
            yield progress
            if progress.complete:
                return
            time.sleep(interval_s)

    @_mapped
    def header(self, job: str) -> JobHeader:
        """The job's header. Raises JobNotFound."""
        text = self.client.hget(_key(job), "header")
        if text is None:
            raise _unknown(job)
        return load_job_header(text)

    @_mapped
    def ending(self, job: str, row: int) -> Ending | None:
        """How one scan ended; None while it is open."""
        pipeline = self.client.pipeline(transaction=True)
        for ending in _ENDINGS:
            pipeline.getbit(_key(job, ending), row)
        return next((ending for ending, bit in zip(_ENDINGS, pipeline.execute(), strict=True) if bit), None)

    @_mapped
    def workers(self) -> tuple[str, ...]:
        """Ids of the workers that were alive within the last minute."""
        now = self._now_ms()
        self.client.zremrangebyscore(f"{PREFIX}workers", "-inf", now - _WORKER_SILENT_MS)
        return tuple(name.decode() for name in self.client.zrange(f"{PREFIX}workers", 0, -1))

    # -- what submit, cancel, resume and retry do ---------------------------------------------------------------------

    @_mapped
    def create(self, header: JobHeader, endings: Mapping[str, bytes] | None = None) -> None:
        """Make a job known, with nothing done, or with the bitmaps a rebuild found on disk. Raises JobExists."""
        now = self._now_ms()
        if self.exists(header.job):
            raise JobExists(f"the broker already has a job {header.job}", hint="resume it, or submit under another id")
        pipeline = self.client.pipeline(transaction=True)
        pipeline.hset(
            _key(header.job),
            mapping={
                "header": records.dumps(header),
                "state": "running",
                "total": header.total,
                "chunk_size": header.chunk_size,
                "created": now,
                "summarised": 0,
            },
        )
        pipeline.set(_key(header.job, "free"), _ones(header.chunks))
        for name, bits in (endings or {}).items():
            pipeline.set(_key(header.job, name), bits)
        pipeline.zadd(f"{PREFIX}jobs", {header.job: now})
        pipeline.execute()

    @_mapped
    def exists(self, job: str) -> bool:
        """Whether the broker knows the job."""
        return bool(self.client.hexists(_key(job), "header"))

    @_mapped
    def enqueuing(self, job: str, seconds: int = 30) -> None:
        """Say that somebody is at enqueuing this job, so that nobody else finds its messages missing."""
        self.client.set(_key(job, "enqueuing"), 1, ex=seconds)

    @_mapped
    def enqueued(self, job: str) -> None:
        """Say that all messages of this job have been sent."""
        self.client.delete(_key(job, "enqueuing"))

    @_mapped
    def is_enqueuing(self, job: str) -> bool:
        """Whether somebody is at enqueuing this job."""
        return bool(self.client.exists(_key(job, "enqueuing")))

    @_mapped
    def cancel(self, job: str) -> bool:
        """Turn every open scan into a cancelled one; what is in flight may still end. False if it was not running."""
        return bool(self._run("cancel", job))

    @_mapped
    def reopen(self, header: JobHeader, *, failed_too: bool = False) -> int:
        """Let the open and cancelled scans run again. Returns how many are open now."""
        missing = int(self._run("reopen", header.job, _ones(header.chunks), int(failed_too)))
        if missing < 0:
            raise _unknown(header.job)
        return missing

    @_mapped
    def rows(self, header: JobHeader, ending: Ending) -> tuple[int, ...]:
        """The scans that ended that way."""
        bits = _bits(self.client.get(_key(header.job, ending)), header.total)
        return tuple(int(row) for row in np.flatnonzero(bits))

    @_mapped
    def queue_depth(self, bundle_digest: str) -> int:
        """Messages that wait in a bundle's queue."""
        return queue_depth(self.client, bundle_digest)

    @_mapped
    def queued_chunks(self, bundle_digest: str) -> tuple[tuple[str, int], ...]:
        """``(job, first)`` of every message that waits in a bundle's queue."""
        return tuple(queued_chunks(self.client, bundle_digest))

    @_mapped
    def unleased_chunks(self, header: JobHeader) -> tuple[int, ...]:
        """Chunks with open scans that nobody works on."""
        now = self._now_ms()
        pipeline = self.client.pipeline(transaction=True)
        for ending in _ENDINGS:
            pipeline.get(_key(header.job, ending))
        pipeline.zrangebyscore(_key(header.job, "leases"), now, "+inf")
        *bitmaps, leased = pipeline.execute()
        ended = np.zeros(header.total, bool)
        for bits in bitmaps:
            ended |= _bits(bits, header.total)
        open_chunks = np.unique(np.flatnonzero(~ended) // header.chunk_size)
        held = {int(chunk) for chunk in leased}
        return tuple(int(chunk) for chunk in open_chunks if int(chunk) not in held)

    # -- what a worker does -------------------------------------------------------------------------------------------

    @_mapped
    def claim(self, job: str, owner: str, chunk: int | None, lease_s: float) -> Claim:
        """Take a chunk, or any free one. ``owner`` is ``<worker>/<process>``; a worker's new process inherits."""
        wanted = -1 if chunk is None else chunk
        while True:
            answer = self._run("claim", job, owner, wanted, round(lease_s * 1000), POISON_DEATHS)
            verdict, found, taken_over, *rows = answer
            if verdict != b"empty" or chunk is not None:
                lists = (tuple(int(row) for row in part) for part in rows)
                return Claim(verdict.decode(), int(found), bool(taken_over), *lists)

    @_mapped
    def begin(self, job: str, rows: Sequence[int], *, alone: bool = False) -> str:
        """Record rows as in flight, before any of them is touched. Returns the job's state."""
        pipeline = self.client.pipeline(transaction=True)
        how = "alone" if alone else "group"
        pipeline.hset(_key(job, "inflight"), mapping=dict.fromkeys(rows, how))
        pipeline.hget(_key(job), "state")
        state: bytes | None = pipeline.execute()[1]
        return "unknown" if state is None else state.decode()

    @_mapped
    def mark(self, job: str, row: int, ending: Ending, *, what: str, slices: int = 0) -> Marked:
        """Record that a scan has ended. Its report must be on disk by then.

        Args:
            what: the label of a scored scan, else the code.
            slices: model slices scored.
        """
        state, still_open, new = self._run("mark", job, ending, row, slices, what)
        return Marked(state.decode(), int(still_open), bool(new))

    @_mapped
    def renew(self, job: str, owner: str, chunks: Collection[int], lease_s: float) -> frozenset[int]:
        """Keep the leases. Returns the chunks that somebody else holds by now."""
        if not chunks:
            return frozenset()
        return frozenset(int(chunk) for chunk in self._run("renew", job, owner, round(lease_s * 1000), *chunks))

    @_mapped
    def release(self, job: str, owner: str, chunk: int) -> int:
        """Give a chunk back. Returns how many of its scans are open."""
        return int(self._run("release", job, owner, chunk))

    @_mapped
    def finish(self, job: str) -> None:
        """Record that the summary is written; a running job without open scans is done from now on."""
        self._run("finish", job, KEEP_FINISHED_S)

    @_mapped
    def note(self, job: str, text: str) -> None:
        """Tell whoever watches why nothing moves. Fades after a minute."""
        self.client.set(_key(job, "note"), text, ex=_NOTE_S)

    @_mapped
    def worker_seen(self, worker: str) -> None:
        """A worker's sign of life."""
        self.client.zadd(f"{PREFIX}workers", {worker: self._now_ms()})

    @_mapped
    def worker_gone(self, worker: str) -> None:
        """A worker has left in good order."""
        self.client.zrem(f"{PREFIX}workers", worker)

    # -- inside -------------------------------------------------------------------------------------------------------

    def _run(self, script: str, job: str, *args: str | int | bytes) -> Any:
        return self._scripts[script](keys=[_key(job, name) for name in _KEYS], args=args)

    def _names(self) -> list[str]:
        return [name.decode() for name in self.client.zrevrange(f"{PREFIX}jobs", 0, -1)]

    def _now_ms(self) -> int:
        seconds, micros = self.client.time()
        return int(seconds) * 1000 + int(micros) // 1000

    def _progress(self, job: str) -> Progress | None:
        pipeline = self.client.pipeline(transaction=True)
        pipeline.time()
        pipeline.hgetall(_key(job))
        for ending in _ENDINGS:
            pipeline.bitcount(_key(job, ending))
        pipeline.hgetall(_key(job, "counts"))
        pipeline.get(_key(job, "note"))
        (seconds, micros), meta, *counts, tags, note = pipeline.execute()
        if b"header" not in meta:
            return None
        try:
            return Progress(
                job=job,
                state=cast("JobState", meta[b"state"].decode()),
                total=int(meta[b"total"]),
                **{name: int(count) for name, count in zip(_ENDINGS, counts, strict=True)},
                slices=int(meta.get(b"slices", 0)),
                created=int(meta[b"created"]) / 1000,
                started=_seconds(meta.get(b"started")),
                finished=_seconds(meta.get(b"finished")),
                now=int(seconds) + int(micros) / 1e6,
                summarised=meta.get(b"summarised") == b"1",
                codes=_tagged(tags, "failed"),
                labels=_tagged(tags, "scored"),
                note=None if note is None else note.decode(),
            )
        except (KeyError, ValueError) as problem:
            raise JobError(f"the state of job {job} in the broker is malformed: {problem}") from problem


@cache
def _lua(name: str) -> str:
    return resources.files("hemo_core.jobs").joinpath(f"{name}.lua").read_text("utf-8")


def _key(job: str, name: str = "meta") -> str:
    """A key of a job; the braces keep all of them on one node of a cluster."""
    return f"{PREFIX}{{{job}}}" + ("" if name == "meta" else f":{name}")


def _ones(count: int) -> bytes:
    """A bitmap with the first ``count`` bits set, the rest of the last byte clear."""
    return np.packbits(np.ones(count, np.uint8)).tobytes()


def _bits(raw: bytes | None, count: int) -> npt.NDArray[np.bool_]:
    """A Redis bitmap, whose trailing zero bytes may be missing, as ``(count,)`` booleans."""
    whole = (raw or b"").ljust(-(-count // 8), b"\0")  # unpackbits pads an empty array with rubbish
    return np.unpackbits(np.frombuffer(whole, np.uint8), count=count).astype(bool)


def _seconds(value: bytes | None) -> float | None:
    return None if value is None else int(value) / 1000


def _tagged(tags: Mapping[bytes, bytes], ending: str) -> dict[str, int]:
    split = ((tag.decode().partition(":"), int(count)) for tag, count in tags.items())
    return {what: count for (kind, _, what), count in sorted(split) if kind == ending}


def _unknown(job: str) -> JobNotFound:
    return JobNotFound(f"the broker has no job {job}", hint="if its folder exists, resume it from there")
