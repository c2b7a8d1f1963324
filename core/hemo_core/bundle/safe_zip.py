"""What must hold of a zip archive from outside before a byte of it is unpacked (``.hemo``, ``.keras``)."""

from __future__ import annotations

import stat
import zipfile
from collections import Counter
from pathlib import Path

from hemo_core.bundle.manifest import stays_inside
from hemo_core.errors import BundleBomb, BundleDamaged, BundleDuplicate, BundleLink, BundlePath, BundleUnsafe

LARGEST = 2 * 1024**3
LARGEST_RATIO = 100
"""Deflate reaches 1032; weights hardly shrink at all."""
_HARMLESS = 16 * 1024 * 1024
_METHODS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)
_ENCRYPTED = 0x1
_FILE_TYPES = (0, stat.S_IFREG, stat.S_IFDIR)


def check_archive(archive: zipfile.ZipFile, path: Path) -> None:
    """Refuse an archive that a bundle or a model has no reason to be.

    Only its directory is read. :mod:`zipfile` never gives more bytes of a member than the directory announces.

    Args:
        archive: opened.
        path: its file.

    Raises:
        BundleDamaged: a member begins before or behind the file.
        BundlePath: a member's name leads out of the folder.
        BundleDuplicate: two members have one name.
        BundleLink: a member is a link or a device.
        BundleBomb: it would unpack to more than 2 GiB, or to more than a hundred times its size.
        BundleUnsafe: a member is encrypted, or packed in a way that is neither stored nor deflated.
    """
    where, members, packed = str(path), archive.infolist(), path.stat().st_size
    for member in members:
        if not 0 <= member.header_offset < packed:
            raise BundleDamaged(f"says that {member.filename} begins outside of it", path=where)
        if not stays_inside(member.orig_filename.removesuffix("/")):
            raise BundlePath(f"names a file outside of it: {member.orig_filename!r}", path=where)
        if stat.S_IFMT(member.external_attr >> 16) not in _FILE_TYPES:
            raise BundleLink(f"{member.filename} is a link or no plain file", path=where)
        if member.flag_bits & _ENCRYPTED or member.compress_type not in _METHODS:
            raise BundleUnsafe(f"{member.filename} is encrypted, or neither stored nor deflated", path=where)
    twice = sorted(name for name, count in Counter(member.filename for member in members).items() if count > 1)
    if twice:
        raise BundleDuplicate(f"holds more than one {', '.join(twice)}", path=where)
    _check_size(sum(member.file_size for member in members), packed, where)


def _check_size(unpacked: int, packed: int, where: str) -> None:
    if unpacked > LARGEST:
        raise BundleBomb("would unpack to more than 2 GiB", path=where)
    if unpacked > max(_HARMLESS, LARGEST_RATIO * packed):
        said = f"{packed:,} bytes would unpack to {unpacked:,}, more than {LARGEST_RATIO} times as many"
        raise BundleBomb(said, path=where)
