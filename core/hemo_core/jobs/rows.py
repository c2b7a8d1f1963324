"""``manifest.jsonl``: a row per scan, and ``manifest.idx``: where each row begins, for random access.

The index holds ``rows + 1`` little-endian unsigned 64-bit offsets; the last one is the length of the manifest.
"""

from __future__ import annotations

import csv
import json
import os
import re
import struct
from collections.abc import Iterable, Iterator
from pathlib import Path
from types import TracebackType
from typing import Self

from hemo_core.errors import JobError, JobNotFound, SinkError
from hemo_core.scans.scan import ScanRef

MANIFEST_FILE = "manifest.jsonl"
INDEX_FILE = "manifest.idx"
IGNORED_FILE = "ignored.csv"
_OFFSET = struct.Struct("<Q")
_SCAN_ID = re.compile(r"[0-9A-Za-z][0-9A-Za-z_-]{0,99}")  # it names a folder


def write_rows(job_dir: Path, refs: Iterable[ScanRef]) -> tuple[int, frozenset[str]]:
    """Stream the scans to disk, both files whole or absent.

    Returns:
        The number of rows and the names of the input roots seen.

    Raises:
        SinkError: the disk refuses.
    """
    names = (MANIFEST_FILE, INDEX_FILE)
    rows, roots, offset = 0, set[str](), 0
    try:
        with (job_dir / f".{names[0]}.tmp").open("wb") as manifest, (job_dir / f".{names[1]}.tmp").open("wb") as index:
            index.write(_OFFSET.pack(0))
            for ref in refs:
                line = (json.dumps(ref.to_json(), sort_keys=True, separators=(",", ":")) + "\n").encode("ascii")
                manifest.write(line)
                offset += len(line)
                index.write(_OFFSET.pack(offset))
                roots.add(ref.root)
                rows += 1
            for stream in (manifest, index):
                stream.flush()
                os.fsync(stream.fileno())
        for name in names:
            (job_dir / f".{name}.tmp").replace(job_dir / name)
    except OSError as problem:
        raise SinkError(f"cannot write the manifest: {problem.strerror}", path=str(job_dir)) from problem
    return rows, frozenset(roots)


def write_ignored(job_dir: Path, ignored: Iterable[tuple[str, str]]) -> int:
    """Write ``ignored.csv``: path, reason. Returns the number of rows. Raises SinkError."""
    temporary = job_dir / f".{IGNORED_FILE}.tmp"
    rows = 0
    try:
        with temporary.open("w", newline="", encoding="utf-8", errors="backslashreplace") as stream:
            writer = csv.writer(stream, lineterminator="\n")
            writer.writerow(("path", "reason"))
            for path, reason in ignored:
                writer.writerow((path, reason))
                rows += 1
        temporary.replace(job_dir / IGNORED_FILE)
    except OSError as problem:
        raise SinkError(f"cannot write {IGNORED_FILE}: {problem.strerror}", path=str(job_dir)) from problem
    return rows


class JobRows:
    """The scans of a job by row number, without reading the whole file. A context manager; safe in threads."""

    def __init__(self, job_dir: Path) -> None:
        self.folder = job_dir
        try:
            self._rows = os.open(job_dir / MANIFEST_FILE, os.O_RDONLY | os.O_CLOEXEC)
        except OSError as problem:
            raise JobNotFound(f"no manifest: {problem.strerror}", path=str(job_dir)) from problem
        try:
            self._index = os.open(job_dir / INDEX_FILE, os.O_RDONLY | os.O_CLOEXEC)
        except OSError as problem:
            os.close(self._rows)
            raise JobNotFound(f"no manifest index: {problem.strerror}", path=str(job_dir)) from problem
        self._length = os.fstat(self._index).st_size // _OFFSET.size - 1

    def __len__(self) -> int:
        return self._length

    def __getitem__(self, row: int) -> ScanRef:
        if not 0 <= row < self._length:
            raise IndexError(row)
        bounds = os.pread(self._index, 2 * _OFFSET.size, row * _OFFSET.size)
        first, last = (value for (value,) in _OFFSET.iter_unpack(bounds))
        line = os.pread(self._rows, last - first, first)
        try:
            ref = ScanRef.from_json(json.loads(line))
        except (ValueError, KeyError, TypeError) as problem:
            raise JobError(f"row {row} of the manifest is damaged: {problem}", path=str(self.folder)) from problem
        if not _SCAN_ID.fullmatch(ref.scan_id):
            raise JobError(
                f"row {row} of the manifest is damaged: {ref.scan_id!r} is no scan id", path=str(self.folder)
            )
        return ref

    def __iter__(self) -> Iterator[ScanRef]:
        return (self[row] for row in range(self._length))

    def close(self) -> None:
        """Give the file descriptors back."""
        os.close(self._rows)
        os.close(self._index)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
