"""Members of a ZIP file as if it were a folder: ``patient.zip/CT/IM0001``. In memory, nothing is written to disk."""

from __future__ import annotations

import lzma
import os
import stat
import struct
import threading
import zipfile
import zlib
from collections import OrderedDict
from typing import BinaryIO

from hemo_core.errors import DecodeFailed, FileMissing, FileUnreadable, TooLarge, Truncated, UnknownFormat

SUFFIX = ".zip"
MAX_MEMBERS = 200_000
MAX_MEMBER = 1 << 30
_LEAST_LIMIT = 1 << 30
_MOST_RATIO = 100  # of the sizes unpacked and packed; that of CT slices is below 10
_KEPT_OPEN = 4
_ENCRYPTED = 0x1
_DAMAGED = (zipfile.BadZipFile, zlib.error, lzma.LZMAError, struct.error, OSError, ValueError, LookupError)
_COPY_AGAIN = "copy the file again from its source"
_UNPACK = "unpack it and submit its files"


def split_at_zip(relative: str) -> tuple[str, str] | None:
    """(path of the ZIP file, name inside) of a path that leads into one by its look; None for any other path."""
    parts = relative.split("/")
    for at, part in enumerate(parts[:-1], start=1):
        if part.lower().endswith(SUFFIX):
            return "/".join(parts[:at]), "/".join(parts[at:])
    return None


def member_names(stream: BinaryIO, path: str) -> list[str]:
    """Names of the files in a ZIP file, sorted.

    Raises:
        UnknownFormat, DecodeFailed: no ZIP file, or a damaged one; encrypted, or names that lead out of it.
        TooLarge: too many members, or they unpack to far more than any scan would.
    """
    size = stream.seek(0, 2)
    stream.seek(0)
    members = _opened(stream, path).infolist()
    files = [one for one in members if not one.is_dir() and not stat.S_ISLNK(one.external_attr >> 16)]
    if len(files) > MAX_MEMBERS or sum(one.file_size for one in files) > max(_LEAST_LIMIT, _MOST_RATIO * size):
        raise TooLarge("the archive unpacks to more than any scan would", path=path, hint=_UNPACK)
    names = sorted(one.filename for one in files)
    if any(one.flag_bits & _ENCRYPTED for one in files):
        raise UnknownFormat("the archive is encrypted", path=path, hint=_UNPACK)
    if len(set(names)) < len(names) or not all(map(_is_plain, names)):
        raise UnknownFormat("the archive holds names that lead out of it, or one name twice", path=path, hint=_UNPACK)
    return names


def read_member(descriptor: int, member: str, path: str) -> bytes:
    """One file of the ZIP file that is open as ``descriptor``, which is taken over.

    Raises:
        FileMissing, FileUnreadable, TooLarge, UnknownFormat, Truncated, DecodeFailed: what is wrong with it.
    """
    archive = _archives.of(descriptor, path)
    try:
        info = archive.getinfo(member)
        if info.file_size > MAX_MEMBER:
            raise TooLarge(f"{info.file_size} bytes are more than any head CT has", path=path)
        return archive.read(info)
    except KeyError as error:
        raise FileMissing("the file is gone from its archive", path=path) from error
    except NotImplementedError as error:
        raise UnknownFormat(f"the archive cannot be unpacked here: {error}", path=path, hint=_UNPACK) from error
    except RuntimeError as error:  # a password
        raise FileUnreadable("the archive is encrypted", path=path, hint=_UNPACK) from error
    except EOFError as error:
        raise Truncated("the archive ends early", path=path, hint=_COPY_AGAIN) from error
    except _DAMAGED as error:
        raise DecodeFailed(f"the archive is damaged: {error}", path=path, hint=_COPY_AGAIN) from error


class _Archives:
    """The ZIP files read last, kept open: a directory of thousands of members is parsed once, not for each of them."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._open: OrderedDict[tuple[int, ...], zipfile.ZipFile] = OrderedDict()

    def of(self, descriptor: int, path: str) -> zipfile.ZipFile:
        info = os.fstat(descriptor)
        key = info.st_dev, info.st_ino, info.st_size, info.st_mtime_ns
        stream = os.fdopen(descriptor, "rb")
        with self._lock:
            if key in self._open:
                stream.close()
                self._open.move_to_end(key)
                return self._open[key]
            self._open[key] = _opened(stream, path)
            while len(self._open) > _KEPT_OPEN:
                self._open.popitem(last=False)  # closed by whoever reads from it last
            return self._open[key]


_archives = _Archives()


def _opened(stream: BinaryIO, path: str) -> zipfile.ZipFile:
    try:
        return zipfile.ZipFile(stream)
    except (EOFError, RuntimeError, *_DAMAGED) as error:
        raise DecodeFailed(f"the archive is damaged: {error}", path=path, hint=_COPY_AGAIN) from error


def _is_plain(name: str) -> bool:
    return (
        not name.startswith("/") and not any(part in {"", ".", ".."} for part in name.split("/")) and "\0" not in name
    )
