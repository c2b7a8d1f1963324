"""Open a file below an input root, and nothing outside it.

A scan travels as *root name + relative path*. The path comes from a manifest that somebody else may have written, so
it is walked component by component and no symbolic link is followed: what is opened lies below the mount, whatever
happens to the tree meanwhile.
"""

from __future__ import annotations

import errno
import io
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from hemo_core.errors import (
    DeviceError,
    EmptyFile,
    FileMissing,
    FileUnreadable,
    HemoError,
    RootNotMounted,
    ScanError,
    TooLarge,
)
from hemo_core.scans.readers.zipped import read_member, split_at_zip

MAX_FILE_BYTES = 4 << 30
_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_FILE = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC

_NO_MORE_FILES = {errno.EMFILE, errno.ENFILE}


@contextmanager
def open_below(mount: Path, relative: str) -> Iterator[BinaryIO]:
    """Open ``mount/relative`` for reading.

    Args:
        mount: where the input root is mounted; may itself be a symbolic link.
        relative: path below it, POSIX style, without ``..``; may go on inside a ZIP file, as if that were a folder.

    Raises:
        RootNotMounted: the mount is absent, or empty as an unmounted mount point is.
        FileMissing, FileUnreadable, EmptyFile, TooLarge: what is wrong with the file.
        UnknownFormat, Truncated, DecodeFailed: what is wrong with the ZIP file that it lies in.
        DeviceError: this process may open no more files.
    """
    if (packed := _zip_member(mount, relative)) is not None:
        yield io.BytesIO(packed)
        return
    descriptor = _descend(mount, relative)
    try:
        _check_regular(descriptor, relative)
    except ScanError:
        os.close(descriptor)
        raise
    with os.fdopen(descriptor, "rb") as stream:
        try:
            yield stream
        except OSError as error:
            if error.errno is None:  # not from the operating system
                raise
            raise FileUnreadable(f"reading stopped: {error.strerror}", path=relative) from error


def read_below(mount: Path, relative: str) -> io.BytesIO:
    """The whole file in memory. Raises as :func:`open_below` does."""
    with open_below(mount, relative) as stream:
        return io.BytesIO(stream.read())


def _zip_member(mount: Path, relative: str) -> bytes | None:
    """Content of a file in a ZIP file; None where the path leads through folders alone."""
    split = split_at_zip(relative)
    if split is None:
        return None
    archive, member = split
    descriptor = _descend(mount, archive)
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        return None
    content = read_member(descriptor, member, relative)
    if not content:
        raise _empty(relative)
    return content


def _descend(mount: Path, relative: str) -> int:
    """File descriptor of the file, reached one component at a time."""
    parts = relative.split("/")
    if relative.startswith("/") or any(part in {"", ".", ".."} for part in parts) or "\0" in relative:
        raise FileUnreadable("not a plain path below the input root", path=relative)
    here = _open_mount(mount)
    try:
        for part in parts[:-1]:
            inner = _open(part, _FOLDER, here, relative, mount)
            os.close(here)
            here = inner
        return _open(parts[-1], _FILE, here, relative, mount)
    finally:
        os.close(here)


def _open_mount(mount: Path) -> int:
    try:
        return os.open(mount, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    except OSError as error:
        if error.errno in _NO_MORE_FILES:
            raise _unreadable(error, str(mount)) from error
        raise _not_mounted(mount, error.strerror or "cannot be opened") from error


def _open(part: str, flags: int, folder: int, relative: str, mount: Path) -> int:
    try:
        return os.open(part, flags, dir_fd=folder)
    except FileNotFoundError as error:
        if not any(mount.iterdir()):
            raise _not_mounted(mount, "the folder is empty") from error
        raise FileMissing(
            "the file is gone", path=relative, hint="was it moved after the job was submitted?"
        ) from error
    except OSError as error:
        raise _unreadable(error, relative) from error


def _not_mounted(mount: Path, why: str) -> RootNotMounted:
    hint = "mount the input store on this machine, then resume the job"
    return RootNotMounted(f"the input root is not mounted: {why}", path=str(mount), hint=hint)


def _unreadable(error: OSError, relative: str) -> HemoError:
    """Whose failure it is: the file's, or of a process that may open no file at all."""
    if error.errno in _NO_MORE_FILES:
        return DeviceError(
            f"no file can be opened any more: {error.strerror}", hint="raise ulimit -n; no scan was failed"
        )
    if error.errno in {errno.ELOOP, errno.ENOTDIR}:
        message = "a symbolic link or a file stands where a folder or file is expected; links are not followed"
        return FileUnreadable(message, path=relative, hint="put the files themselves below the input root")
    return FileUnreadable(f"cannot be opened: {error.strerror}", path=relative)


def _empty(relative: str) -> EmptyFile:
    return EmptyFile("the file has zero bytes", path=relative, hint="copy it again from its source")


def _check_regular(descriptor: int, relative: str) -> None:
    info = os.fstat(descriptor)
    if not stat.S_ISREG(info.st_mode):
        raise FileUnreadable("not a regular file", path=relative)
    if info.st_size == 0:
        raise _empty(relative)
    if info.st_size > MAX_FILE_BYTES:
        raise TooLarge(f"{info.st_size} bytes are more than any head CT has", path=relative)


MAX_SIDE = 4096
MAX_SLICES = 4000
MAX_VOXELS = 1 << 30


def check_size(rows: int, columns: int, slices: int, path: str) -> None:
    """Refuse what no head CT is.

    Raises:
        TooLarge: a side, the number of slices, or the number of pixels together is beyond the limits.
    """
    if max(rows, columns) > MAX_SIDE or slices > MAX_SLICES or rows * columns * slices > MAX_VOXELS:
        raise TooLarge(
            f"the header announces {slices} x {rows} x {columns} pixels",
            path=path,
            hint=f"at most {MAX_SLICES} slices of {MAX_SIDE} x {MAX_SIDE} and {MAX_VOXELS} pixels together are read",
        )
