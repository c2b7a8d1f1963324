"""Scan ids: 16 hex digits that are the same on every machine, and unique within a job. And what a scan's files were."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from typing import BinaryIO

_HEX_DIGITS = 16
_BLOCK = 1 << 20
_SAMPLE = 4096
_SAMPLES = 5


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


def fingerprint_of(stream: BinaryIO) -> str:
    """What tells a file from whatever may lie at its path later: 16 hex digits, of its length and bytes all through it.

    Its first 4096 bytes, where a header names the patient and the instance, its last, and three runs between.
    """
    size = stream.seek(0, 2)
    digest = hashlib.sha256(str(size).encode())
    for sample in range(_SAMPLES):
        stream.seek(max(0, size - _SAMPLE) * sample // (_SAMPLES - 1))
        digest.update(stream.read(_SAMPLE))
    stream.seek(0)
    return digest.hexdigest()[:_HEX_DIGITS]


def fingerprint_of_all(fingerprints: Iterable[str]) -> str:
    """One fingerprint of several files in their order."""
    return hashlib.sha256("\n".join(fingerprints).encode()).hexdigest()[:_HEX_DIGITS]


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
