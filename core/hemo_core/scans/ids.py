"""Scan ids: 16 hex digits that are the same on every machine, and unique within a job."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from typing import BinaryIO

_HEX_DIGITS = 16
_BLOCK = 1 << 20


def id_of_uids(uids: Iterable[str]) -> str:
    """Id of a series: a hash of its sorted SOP Instance UIDs, each counted once."""
    digest = hashlib.sha256()
    for uid in sorted(set(uids)):
        digest.update(uid.encode("utf-8", "surrogateescape") + b"\n")
    return digest.hexdigest()[:_HEX_DIGITS]


def digest_of(stream: BinaryIO) -> str:
    """SHA-256 of a file's bytes, 64 hex digits; the stream is read from its start in blocks."""
    digest = hashlib.sha256()
    stream.seek(0)
    while block := stream.read(_BLOCK):
        digest.update(block)
    return digest.hexdigest()


def id_of_digests(digests: Iterable[str]) -> str:
    """Id of one file, or of a folder of pictures in their order, from the digests of the bytes."""
    listed = list(digests)
    if len(listed) == 1:
        return listed[0][:_HEX_DIGITS]
    return hashlib.sha256("\n".join(listed).encode()).hexdigest()[:_HEX_DIGITS]


def id_of_path(path: str) -> str:
    """Id of a row about a file without readable content."""
    return hashlib.sha256(b"path\n" + path.encode("utf-8", "surrogateescape")).hexdigest()[:_HEX_DIGITS]


class IdRegister:
    """Makes ids unique: a scan found again becomes ``<id>-2``. A million ids take about 100 MB."""

    def __init__(self) -> None:
        self._seen: set[int] = set()
        self._copies: dict[int, int] = {}

    def __contains__(self, scan_id: str) -> bool:
        return int(scan_id, 16) in self._seen

    def unique(self, scan_id: str) -> tuple[str, str | None]:
        """The id to use, and the id of the scan that it duplicates."""
        number = int(scan_id, 16)
        if number not in self._seen:
            self._seen.add(number)
            return scan_id, None
        copies = self._copies.get(number, 1) + 1
        self._copies[number] = copies
        return f"{scan_id}-{copies}", scan_id
