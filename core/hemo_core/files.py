"""Files that are whole or absent, whatever is killed and whatever loses power. Nothing else writes a file's place."""

from __future__ import annotations

import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO, TextIO

from hemo_core.errors import SinkError


@contextmanager
def replacing_path(path: Path, staging: Path | None = None) -> Iterator[Path]:
    """A path to write to; when the block ends well the file there takes the place of ``path``, else it is removed.

    The file lies in ``staging`` (same file system, made if absent; None: beside ``path``) under a name with the same
    endings, is fsynced and renamed over ``path``: POSIX ``rename`` is atomic, so a reader sees the old file or the new
    one. A process killed in the block leaves its file in ``staging``. Call :func:`sync_folder` for the name to
    survive a power cut.

    Raises:
        SinkError: the disk is full, read-only or gone.
    """
    folder = path.parent if staging is None else staging
    temporary = folder / f".{secrets.token_hex(8)}-{path.name}"
    try:
        with as_sink_error(path):
            folder.mkdir(parents=True, exist_ok=True)
            yield temporary
            _sync(temporary, os.O_RDONLY)
            temporary.replace(path)
    finally:
        with suppress(OSError):
            temporary.unlink()


@contextmanager
def replacing(path: Path, staging: Path | None = None) -> Iterator[BinaryIO]:
    """A binary file to write to, see :func:`replacing_path`."""
    with replacing_path(path, staging) as temporary, temporary.open("xb") as file:
        yield file


@contextmanager
def replacing_text(path: Path, staging: Path | None = None, *, errors: str = "strict") -> Iterator[TextIO]:
    """A UTF-8 file to write to, line ends as they are, see :func:`replacing_path`.

    Args:
        errors: what becomes of lone surrogates, see :func:`codecs.register_error`.
    """
    with (
        replacing_path(path, staging) as temporary,
        temporary.open("x", encoding="utf-8", errors=errors, newline="") as file,
    ):
        yield file


def write_durably(path: Path, data: bytes | str, staging: Path | None = None) -> None:
    """Write ``data``, text as UTF-8, see :func:`replacing_path`. A file that holds it already is left alone."""
    content = data.encode() if isinstance(data, str) else data
    if _holds(path, content):
        return
    with replacing(path, staging) as file:
        file.write(content)


def make_folder(path: Path) -> None:
    """Make ``path`` so that its name survives a power cut. Raises SinkError."""
    if path.is_dir():
        return
    with as_sink_error(path):
        path.mkdir(parents=True, exist_ok=True)
    sync_folder(path.parent)


def check_writable(folder: Path) -> Path:
    """The nearest folder that exists, ``folder`` itself or above it. Raises SinkError if it takes no files."""
    place = folder.absolute()
    while not os.path.lexists(place):
        place = place.parent
    if not place.is_dir():
        raise SinkError("nothing can be written there: a file, or a link to nothing, is in the way", path=str(place))
    if not os.access(place, os.W_OK | os.X_OK):
        raise SinkError("nothing can be written there: no permission, or a read-only disk", path=str(place))
    return place


def sync_folder(path: Path) -> None:
    """Flush the names in a folder to the disk. Raises SinkError."""
    with as_sink_error(path):
        _sync(path, os.O_RDONLY | os.O_DIRECTORY)


@contextmanager
def as_sink_error(path: Path) -> Iterator[None]:
    """Turn what the operating system refuses into a SinkError about ``path``."""
    try:
        yield
    except OSError as problem:
        hint = "free space or repair the output disk, then run or resume it again; what was there is whole"
        reason = problem.strerror or str(problem)
        raise SinkError(f"cannot write: {reason}", path=str(path), hint=hint) from problem


def _sync(path: Path, flags: int) -> None:
    descriptor = os.open(path, flags)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _holds(path: Path, data: bytes) -> bool:
    try:
        return path.stat().st_size == len(data) and path.read_bytes() == data
    except OSError:
        return False
