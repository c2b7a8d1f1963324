"""The size that a compressed frame itself announces, read before it is decoded.

A frame whose codestream is larger than the DICOM header says would make the decoder allocate what the limits forbid.
"""

from __future__ import annotations

import struct

_J2K_START = b"\xff\x4f\xff\x51"
_JP2_BOX = b"jP  "
_JPEG_START = b"\xff\xd8"
# Start-of-frame markers of ISO/IEC 10918-1 (C0-CF without C4, C8, CC) and of JPEG-LS (F7, ISO/IEC 14495-1).
_FRAME_MARKERS = frozenset({*range(0xC0, 0xD0), 0xF7}) - {0xC4, 0xC8, 0xCC}
_NO_LENGTH = frozenset({0x01, *range(0xD0, 0xD9)})


def codestream_size(frame: bytes) -> tuple[int, int] | None:
    """(rows, columns) from a JPEG, JPEG-LS or JPEG 2000 frame; None if it announces none (RLE, damaged)."""
    if frame[4:8] == _JP2_BOX:
        frame = frame[max(frame.find(_J2K_START), 0) :]
    if frame.startswith(_J2K_START):
        return _j2k_size(frame)
    at = _frame_header(frame)
    if at is None:
        return None
    rows, columns = struct.unpack(">HH", frame[at + 5 : at + 9])
    return rows, columns


def jpeg_precision(frame: bytes) -> int | None:
    """Bits a sample of a JPEG or JPEG-LS frame (ISO/IEC 10918-1 B.2.2); None if it announces none."""
    at = _frame_header(frame)
    return None if at is None else frame[at + 4]


def _j2k_size(frame: bytes) -> tuple[int, int] | None:
    """SIZ marker segment, ISO/IEC 15444-1 A.5.1: Xsiz, Ysiz, XOsiz, YOsiz."""
    if len(frame) < 24:  # noqa: PLR2004 - up to YOsiz
        return None
    x_end, y_end, x_start, y_start = struct.unpack(">4I", frame[8:24])
    return y_end - y_start, x_end - x_start


def _frame_header(frame: bytes) -> int | None:
    """Where a JPEG's start-of-frame marker is; the marker segments before it are walked."""
    if not frame.startswith(_JPEG_START):
        return None
    at = 2
    while at + 9 <= len(frame):
        if frame[at] != 0xFF:  # noqa: PLR2004 - not a marker: damaged
            return None
        marker = frame[at + 1]
        if marker in _FRAME_MARKERS:
            return at
        at += 1 if marker == 0xFF else 2 if marker in _NO_LENGTH else 2 + struct.unpack(">H", frame[at + 2 : at + 4])[0]  # noqa: PLR2004 - fill byte
    return None
