"""``manifest.jsonl``: a row per scan, and ``manifest.idx``: where each row begins, for random access.

The index holds ``rows + 1`` little-endian unsigned 64-bit offsets; the last one is the length of the manifest.
"""

from __future__ import annotations

import csv
import json
import os
import struct
from collections.abc import Iterable, Iterator
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Self

from hemo_core import records
from hemo_core.errors import JobError, JobNotFound
from hemo_core.files import replacing, replacing_text
from hemo_core.jobs import layout
from hemo_core.scans.scan import ScanRef, decode_row, encode_row

_OFFSET = struct.Struct("<Q")


def write_rows(job_dir: Path, refs: Iterable[ScanRef]) -> tuple[int, frozenset[str]]:
    """Stream the scans to disk, both files whole or absent.

    Returns:
        The number of rows and the names of the input roots seen.

    Raises:
        SinkError: the disk refuses.
    """
    rows, roots, offset, staging = 0, set[str](), 0, job_dir / layout.STAGING
    with (
        replacing(job_dir / layout.ROWS, staging) as manifest,
        replacing(job_dir / layout.ROW_OFFSETS, staging) as index,
    ):
        index.write(_OFFSET.pack(0))
        for ref in refs:
            line = (json.dumps(encode_row(ref), sort_keys=True, separators=(",", ":")) + "\n").encode("ascii")
            manifest.write(line)
            offset += len(line)
            index.write(_OFFSET.pack(offset))
            roots.add(ref.root)
            rows += 1
    return rows, frozenset(roots)


def write_ignored(job_dir: Path, ignored: Iterable[tuple[str, str]]) -> None:
    """Write ``ignored.csv``: path, reason. Raises SinkError."""
    path = job_dir / layout.IGNORED
    with replacing_text(path, job_dir / layout.STAGING, errors="backslashreplace") as stream:
        writer = csv.writer(stream, lineterminator="\n")
        writer.writerow(("path", "reason"))
        writer.writerows(ignored)


class JobRows:
    """The scans of a job by row number, without reading the whole file. A context manager; safe in threads.

    Raises:
        JobNotFound: the folder has no manifest.
        JobError: when a row is asked for that is not there or is damaged.
    """

    def __init__(self, job_dir: Path) -> None:
        self.path = job_dir / layout.ROWS
        with ExitStack() as undo:
            self._rows = _opened(self.path, undo)
            self._offsets = _opened(job_dir / layout.ROW_OFFSETS, undo)
            self._cleanup = undo.pop_all()
        self._length = max(0, os.fstat(self._offsets).st_size // _OFFSET.size - 1)

    def __len__(self) -> int:
        return self._length

    def __getitem__(self, row: int) -> ScanRef:
        what = f"row {row} of the manifest"
        line = records.loads(self._line(row), error=JobError, what=what, path=self.path)
        ref = decode_row(line, error=JobError, what=what, path=self.path)
        if not layout.is_scan_id(ref.scan_id):
            raise JobError(f"malformed {what}: {ref.scan_id!r} is no scan id", path=str(self.path))
        return ref

    def __iter__(self) -> Iterator[ScanRef]:
        return (self[row] for row in range(self._length))

    def _line(self, row: int) -> bytes:
        if 0 <= row < self._length:
            pair = os.pread(self._offsets, 2 * _OFFSET.size, row * _OFFSET.size)
            first, last = (offset for (offset,) in _OFFSET.iter_unpack(pair))
            if first <= last <= os.fstat(self._rows).st_size:
                return os.pread(self._rows, last - first, first)
        raise JobError(f"row {row} is not in the manifest", path=str(self.path), hint="submit the scans as another job")

    def close(self) -> None:
        """Give the file descriptors back."""
        self._cleanup.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def _opened(path: Path, cleanup: ExitStack) -> int:
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except OSError as problem:
        raise JobNotFound(f"the job has no manifest: {problem.strerror}", path=str(path)) from problem
    cleanup.callback(os.close, descriptor)
    return descriptor
