"""Files that are whole or absent, whatever is killed and whatever loses power."""

from __future__ import annotations

import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from hemo_core.errors import SinkError

STAGING = ".staging"


@contextmanager
def replacing(path: Path, staging: Path) -> Iterator[BinaryIO]:
    """Open a file that takes the place of ``path`` when the block ends well, and leaves no trace when it does not.

    The bytes go to a temporary file in ``staging`` (same file system), are fsynced and renamed over ``path``: POSIX
    ``rename`` is atomic, so a reader sees the old file or the new one. A process killed in the block leaves its
    temporary file in ``staging``, never beside the reports. Call :func:`sync_folder` for the name to survive a power
    cut.

    Raises:
        SinkError: the disk is full, read-only or gone.
    """
    temporary = staging / f"{path.name}-{secrets.token_hex(8)}"
    try:
        with as_sink_error(path):
            staging.mkdir(parents=True, exist_ok=True)
            with temporary.open("xb") as file:
                yield file
                file.flush()
                os.fsync(file.fileno())
            temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def write_durably(path: Path, data: bytes, staging: Path) -> None:
    """Write ``data`` to ``path``, see :func:`replacing`. A file that holds it already is left alone."""
    if _holds(path, data):
        return
    with replacing(path, staging) as file:
        file.write(data)


def make_folder(path: Path) -> None:
    """Make ``path`` so that its name survives a power cut. Raises SinkError."""
    if path.is_dir():
        return
    with as_sink_error(path):
        path.mkdir(parents=True, exist_ok=True)
    sync_folder(path.parent)


def sync_folder(path: Path) -> None:
    """Flush the names in a folder to the disk. Raises SinkError."""
    with as_sink_error(path):
        folder = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)


@contextmanager
def as_sink_error(path: Path) -> Iterator[None]:
    """Turn what the operating system refuses into a SinkError about ``path``."""
    try:
        yield
    except OSError as problem:
        hint = "free space or repair the output disk, then resume the job; no scan is lost"
        reason = problem.strerror or str(problem)
        raise SinkError(f"cannot write: {reason}", path=str(path), hint=hint) from problem


def _holds(path: Path, data: bytes) -> bool:
    try:
        return path.stat().st_size == len(data) and path.read_bytes() == data
    except OSError:
        return False
