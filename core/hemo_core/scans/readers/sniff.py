"""What a file is, from its first bytes; its name says nothing."""

from __future__ import annotations

import struct
import zlib
from enum import Enum

SNIFF_BYTES = 1024
_NIFTI1_HEADER = 348
_NIFTI2_HEADER = 540
_FIRST_GROUPS = (0x0002, 0x0008)


class Format(Enum):
    """The formats that discovery tells apart."""

    DICOM = "dicom"
    NIFTI = "nifti"
    NIFTI_PAIR = "nifti_pair"
    PNG = "png"
    JPEG = "jpeg"
    TIFF = "tiff"
    ARCHIVE = "archive"
    TEXT = "text"
    UNKNOWN = "unknown"


PICTURES = frozenset({Format.PNG, Format.JPEG, Format.TIFF})


def sniff(head: bytes) -> Format:
    """Recognise a format.

    Args:
        head: the first :data:`SNIFF_BYTES` bytes of the file (fewer if it is shorter).
    """
    if head[128:132] == b"DICM":  # PS3.10 7.1: 128 bytes of anything, then DICM
        return Format.DICOM
    if head[:2] == b"\x1f\x8b":
        return _sniff_gzip(head)
    for at, magic, found in _MAGIC:
        if head.startswith(magic, at):
            return found
    nifti = _sniff_nifti(head)
    if nifti is not Format.UNKNOWN:
        return nifti
    if _bare_dicom(head):
        return Format.DICOM
    return Format.TEXT if _is_text(head) else Format.UNKNOWN


_MAGIC = (
    (0, b"\x89PNG\r\n\x1a\n", Format.PNG),
    (0, b"\xff\xd8\xff", Format.JPEG),
    (0, b"II*\0", Format.TIFF),
    (0, b"MM\0*", Format.TIFF),
    (0, b"II+\0", Format.TIFF),
    (0, b"MM\0+", Format.TIFF),
    (0, b"PK\x03\x04", Format.ARCHIVE),
    (0, b"7z\xbc\xaf\x27\x1c", Format.ARCHIVE),
    (0, b"Rar!", Format.ARCHIVE),
    (0, b"BZh", Format.ARCHIVE),
    (0, b"\xfd7zXZ\0", Format.ARCHIVE),
    (0, b"\x28\xb5\x2f\xfd", Format.ARCHIVE),  # zstd
    (0, b"\x04\x22\x4d\x18", Format.ARCHIVE),  # lz4
    (0, b"\x1f\x9d", Format.ARCHIVE),  # compress
    (0, b"MSCF", Format.ARCHIVE),
    (0, b"LZIP", Format.ARCHIVE),
    (257, b"ustar", Format.ARCHIVE),  # tar, POSIX.1-1988
)


def sniff_packed(head: bytes) -> Format:
    """What a gzip file holds, as far as its first :data:`SNIFF_BYTES` bytes tell; an archive if it is damaged."""
    try:
        inner = zlib.decompressobj(31).decompress(head, SNIFF_BYTES)
    except zlib.error:
        return Format.ARCHIVE
    return sniff(inner)


def _sniff_gzip(head: bytes) -> Format:
    """NIfTI inside gzip, or some other archive."""
    return Format.NIFTI if sniff_packed(head) is Format.NIFTI else Format.ARCHIVE


def _sniff_nifti(head: bytes) -> Format:
    """NIfTI-1 or -2 by header length and magic (nifti1.h, nifti2.h)."""
    if len(head) < _NIFTI1_HEADER:
        return Format.UNKNOWN
    sizes = {struct.unpack("<i", head[:4])[0], struct.unpack(">i", head[:4])[0]}
    if _NIFTI2_HEADER in sizes:
        return Format.NIFTI if head[4:8] == b"n+2\0" else Format.NIFTI_PAIR
    if _NIFTI1_HEADER in sizes:
        return Format.NIFTI if head[344:348] == b"n+1\0" else Format.NIFTI_PAIR
    return Format.UNKNOWN


def _bare_dicom(head: bytes) -> bool:
    """A DICOM data set without preamble: it opens with an element of group 0002 or 0008, in either byte order."""
    if len(head) < 8:  # noqa: PLR2004 - tag, and length or VR
        return False
    for order in ("<", ">"):
        group, element = struct.unpack(f"{order}HH", head[:4])
        if group in _FIRST_GROUPS and element < 0x0100:  # noqa: PLR2004 - the group's first elements
            length = struct.unpack(f"{order}I", head[4:8])[0]
            explicit = head[4:6].isalpha() and head[4:6].isupper()
            if explicit or length <= SNIFF_BYTES:
                return True
    return False


def _is_text(head: bytes) -> bool:
    if not head or b"\0" in head:
        return False
    try:
        head[: len(head) - 4].decode("utf-8")  # the last character may be cut
    except UnicodeDecodeError:
        return False
    return all(byte >= 32 or byte in b"\t\n\r\f\x1b" for byte in head)  # noqa: PLR2004 - control characters
