"""How a phantom is recognised, format by format, so that no report of one passes for a patient's.

Every writer of this package sets its mark; every reader of :mod:`hemo_core.scans.readers` looks for it.
"""

from __future__ import annotations

from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pydicom import Dataset

WORD = "phantom"
PNG_KEYWORD = b"Comment"
PATIENT_PREFIX = "PHANTOM"

_DICOM_TEXTS = ("ImageComments", "SeriesDescription")


def dicom_is_phantom(dataset: Dataset) -> bool:
    """Whether a DICOM header says phantom.

    It does by Quality Control Image (0028,0300), "a quality control or phantom image" (PS3.3 C.7.6.1), or by the word
    in Image Comments (0020,4000) or Series Description (0008,103E). What names the patient is not looked at.
    """
    if dataset.get("QualityControlImage", "") == "YES":
        return True
    return any(WORD in str(dataset.get(name, "") or "").lower() for name in _DICOM_TEXTS)


def nifti_is_phantom(header: Mapping[str, Any]) -> bool:
    """Whether a NIfTI-1 header says phantom in its free text, ``descrip``."""
    text = header["descrip"]
    raw = text.item() if hasattr(text, "item") else text
    decoded = raw.decode("latin-1") if isinstance(raw, bytes) else str(raw)
    return WORD in decoded.lower()


def picture_is_phantom(name: str, head: bytes = b"") -> bool:
    """Whether a picture says phantom.

    Args:
        name: its file name or path; the last part is looked at.
        head: the file's first bytes (a few kilobytes are enough); a PNG tEXt chunk there is looked at as well.
    """
    if PurePosixPath(name).name.lower().startswith(WORD):
        return True
    return _png_comment(head).lower().find(WORD.encode()) >= 0


def _png_comment(head: bytes) -> bytes:
    """Text of the tEXt chunks (PNG specification 11.3.3.2) that come before the pixels."""
    if not head.startswith(b"\x89PNG\r\n\x1a\n"):
        return b""
    texts, place = [], 8
    while place + 8 <= len(head):
        length, kind = int.from_bytes(head[place : place + 4], "big"), head[place + 4 : place + 8]
        if kind == b"IDAT":
            break
        if kind == b"tEXt":
            texts.append(head[place + 8 : place + 8 + length])
        place += length + 12
    return b"\n".join(texts)
