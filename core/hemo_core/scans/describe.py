"""What would become of each scan, and what reading finds out about it: what ``hemo-batch inspect`` prints."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from hemo_core.errors import ScanError
from hemo_core.scans.readers import read_scan
from hemo_core.scans.readers.safe_open import open_below
from hemo_core.scans.scan import Cause, Scan, ScanRef

if TYPE_CHECKING:
    from hemo_core.scans.discover import Discovery

Would = Literal["score", "reject", "fail"]


@dataclass(frozen=True, slots=True)
class FileDescription:
    """One file of a scan.

    Attributes:
        transfer_syntax: UID of a DICOM file's pixel encoding, None for other formats.
        pixels_sha256: SHA-256 of the decoded pixels before any rescale, as little-endian int16 (DICOM), else of the
            slices as read: uint8 grey, or Hounsfield units rounded to int16.
        quality: what the pixels of this DICOM file say about it alone; a scan's codes can come from other files.
        error: why this file cannot be decoded.
    """

    path: str
    bytes: int | None = None
    transfer_syntax: str | None = None
    rows: int | None = None
    columns: int | None = None
    frames: int | None = None
    pixels_sha256: str | None = None
    quality: tuple[str, ...] = ()
    error: Cause | None = None


@dataclass(frozen=True, slots=True)
class ScanOutlook:
    """What a job would do with one scan, and what the scan is.

    Attributes:
        would: be scored, rejected (readable, but not a series for the model) or failed (cannot be read).
        slices: number of source slices.
        order_from: what the order of the slices was derived from.
        slice_spacing_mm, tilt_deg: geometry; None where the format has none.
        code, reason: why it would not be scored.
        files: each file by itself, with the digest of its decoded pixels; None unless asked for.
        why: the rules that fired on its series, as ``code: field: rule``; None unless asked for.
    """

    scan_id: str
    path: str
    kind: str
    would: Would
    slices: int
    order_from: str | None = None
    slice_spacing_mm: float | None = None
    tilt_deg: float | None = None
    quality: tuple[str, ...] = ()
    code: str | None = None
    reason: str | None = None
    duplicate_of: str | None = None
    files: tuple[FileDescription, ...] | None = None
    why: tuple[str, ...] | None = None


def outlooks(
    discovery: Discovery, *, allow_implausible: bool = False, with_files: bool = False, with_why: bool = False
) -> Iterator[ScanOutlook]:
    """Read every scan that was discovered and say what would become of it; nothing is scored.

    Raises:
        RootNotMounted: the mount is absent or empty.
    """
    for ref in discovery:
        why = tuple(f"{rule.code or 'for it'}: {rule.in_words()}" for rule in discovery.why)
        outlook, scan = _outlook(ref, discovery.mount, allow_implausible=allow_implausible)
        files = describe_files(ref, discovery.mount, scan) if with_files else None
        yield replace(outlook, files=files, why=why if with_why else None)


def describe_files(ref: ScanRef, mount: Path, scan: Scan | None) -> tuple[FileDescription, ...]:
    """Describe each file of a scan by itself, one that reading the scan leaves out, too.

    Args:
        scan: as read; None if it was not, then volumes and pictures have no digest.

    Raises:
        RootNotMounted: the mount is absent or empty.
    """
    return tuple(_describe_file(ref, mount, path, scan) for path in ref.files)


def decoded_pixels_sha256(mount: Path, path: str) -> str:
    """SHA-256 of a DICOM file's decoded stored values, all frames, as little-endian int16. Raises ScanError."""
    from hemo_core.scans.readers.dicom import load_file

    file = load_file(mount, path)
    return _stored_digest(file)


def _outlook(ref: ScanRef, mount: Path, *, allow_implausible: bool) -> tuple[ScanOutlook, Scan | None]:
    bare = ScanOutlook(
        ref.scan_id, ref.path, ref.kind, "fail", len(ref.files), quality=ref.quality, duplicate_of=ref.duplicate_of
    )
    if ref.failure is not None:
        return replace(bare, code=ref.failure.code, reason=ref.failure.reason), None
    if ref.rejection is not None:
        return replace(bare, would="reject", code=ref.rejection.code, reason=ref.rejection.reason), None
    try:
        scan = read_scan(ref, mount, allow_implausible=allow_implausible)
    except ScanError as error:
        return replace(bare, code=error.code, reason=error.message), None
    readable = replace(
        bare,
        would="score",
        slices=len(scan.slices),
        quality=scan.quality,
        order_from=scan.geometry.order_from,
        slice_spacing_mm=_rounded(scan.geometry.slice_spacing_mm),
        tilt_deg=_rounded(scan.geometry.tilt_deg),
    )
    return readable, scan


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 2)


def _describe_file(ref: ScanRef, mount: Path, path: str, scan: Scan | None) -> FileDescription:
    size: int | None = None
    try:
        with open_below(mount, path) as stream:
            size = stream.seek(0, 2)
        if ref.kind == "dicom":
            return _describe_dicom(ref, mount, path, size)
    except ScanError as error:
        return FileDescription(path, size, error=Cause(error.code, error.message))
    return _describe_other(path, size, scan)


def _describe_dicom(ref: ScanRef, mount: Path, path: str, size: int) -> FileDescription:
    from hemo_core.scans.quality import pixel_quality
    from hemo_core.scans.readers.dicom import load_file, read_dicom

    file = load_file(mount, path)
    header = file.header
    readable = FileDescription(
        path,
        size,
        header.transfer_syntax or None,
        header.rows,
        header.columns,
        header.frames,
        _stored_digest(file),
    )
    try:
        alone = read_dicom(replace(ref, path=path, files=(path,)), mount)
    except ScanError as error:
        return replace(readable, error=Cause(error.code, error.message))
    return replace(readable, quality=tuple(code.value for code in pixel_quality(alone)))


def _describe_other(path: str, size: int, scan: Scan | None) -> FileDescription:
    """A volume or picture, from the slices that came from it."""
    planes = [one.pixels for one in scan.slices if one.source == path] if scan else []
    if not planes:
        return FileDescription(path, size)
    digest = hashlib.sha256()
    for plane in planes:
        whole = plane if plane.dtype == np.uint8 else np.rint(plane).astype("<i2")
        digest.update(np.ascontiguousarray(whole).tobytes())
    rows, columns = planes[0].shape
    return FileDescription(path, size, None, rows, columns, len(planes), digest.hexdigest())


def _stored_digest(file: Any) -> str:
    from hemo_core.scans.readers.dicom_pixels import stored_frame

    digest = hashlib.sha256()
    for frame in range(file.header.frames):
        digest.update(np.ascontiguousarray(stored_frame(file.dataset, file.header, frame).astype("<i2")).tobytes())
    return digest.hexdigest()
