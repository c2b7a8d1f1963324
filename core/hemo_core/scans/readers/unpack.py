"""A single file inside gzip → its bytes, in memory and within limits; nothing is written to disk."""

from __future__ import annotations

import gzip
import io
import zlib
from pathlib import Path
from typing import BinaryIO

from hemo_core.errors import DecodeFailed, TooLarge, Truncated
from hemo_core.scans.readers.safe_open import read_below

GZIP = b"\x1f\x8b"
MAX_UNPACKED = 1 << 30
_BLOCK = 1 << 20
_COPY_AGAIN = "copy the file again from its source"


def read_plain(mount: Path, path: str) -> io.BytesIO:
    """A file below the mount in memory, unpacked if it is gzip. Raises as ``read_below`` and :func:`plain` do."""
    return plain(read_below(mount, path), path)


def plain(stream: io.BytesIO, path: str) -> io.BytesIO:
    """The stream itself, or what a gzip file (RFC 1952) holds.

    Raises:
        TooLarge: it unpacks to more than :data:`MAX_UNPACKED` bytes.
        Truncated, DecodeFailed: the gzip file is cut or damaged.
    """
    packed = stream.read(len(GZIP)) == GZIP
    stream.seek(0)
    return io.BytesIO(unpacked(stream, path)) if packed else stream


def unpacked(stream: BinaryIO, path: str) -> bytes:
    """What a gzip file holds, all its members one after the other. Raises as :func:`plain` does."""
    out = bytearray()
    try:
        with gzip.GzipFile(fileobj=stream) as source:
            while block := source.read(_BLOCK):
                out += block
                if len(out) > MAX_UNPACKED:
                    raise TooLarge(f"unpacks to more than {MAX_UNPACKED} bytes", path=path)
    except EOFError as error:
        raise Truncated("the gzip file ends early", path=path, hint=_COPY_AGAIN) from error
    except (gzip.BadGzipFile, zlib.error) as error:
        raise DecodeFailed(f"the gzip file is damaged: {error}", path=path, hint=_COPY_AGAIN) from error
    return bytes(out)
