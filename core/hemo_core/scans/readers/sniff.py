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
    for magic, found in _MAGIC:
        if head.startswith(magic):
            return found
    nifti = _sniff_nifti(head)
    if nifti is not Format.UNKNOWN:
        return nifti
    if _bare_dicom(head):
        return Format.DICOM
    return Format.TEXT if _is_text(head) else Format.UNKNOWN


_MAGIC = (
    (b"\x89PNG\r\n\x1a\n", Format.PNG),
    (b"\xff\xd8\xff", Format.JPEG),
    (b"II*\0", Format.TIFF),
    (b"MM\0*", Format.TIFF),
    (b"II+\0", Format.TIFF),
    (b"MM\0+", Format.TIFF),
    (b"PK\x03\x04", Format.ARCHIVE),
    (b"7z\xbc\xaf\x27\x1c", Format.ARCHIVE),
    (b"Rar!", Format.ARCHIVE),
    (b"BZh", Format.ARCHIVE),
    (b"\xfd7zXZ\0", Format.ARCHIVE),
)


def _sniff_gzip(head: bytes) -> Format:
    """NIfTI inside gzip, or some other archive."""
    try:
        inner = zlib.decompressobj(31).decompress(head, _NIFTI2_HEADER)
    except zlib.error:
        return Format.ARCHIVE
    return Format.NIFTI if _sniff_nifti(inner) is Format.NIFTI else Format.ARCHIVE


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
