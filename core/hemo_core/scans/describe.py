"""Everything that reading finds out about one scan, for people: what ``hemo-batch inspect`` prints."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from hemo_core.errors import ScanError
from hemo_core.scans.readers import read_scan
from hemo_core.scans.readers.safe_open import open_below
from hemo_core.scans.scan import Cause, Geometry, Scan, ScanRef, encode_row


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
class Description:
    """A scan as discovery and the reader see it; ``error`` where it cannot be read or does not look like a head CT."""

    ref: ScanRef
    files: tuple[FileDescription, ...]
    slices: int | None = None
    units: str | None = None
    geometry: Geometry | None = None
    quality: tuple[str, ...] = ()
    notes: Mapping[str, str] = field(default_factory=dict)
    error: Cause | None = None

    def to_json(self) -> dict[str, Any]:
        """JSON-ready form."""
        return {
            "scan": encode_row(self.ref),
            "files": [asdict(one) for one in self.files],
            "slices": self.slices,
            "units": self.units,
            "geometry": None if self.geometry is None else asdict(self.geometry),
            "quality": list(self.quality),
            "notes": dict(self.notes),
            "error": None if self.error is None else asdict(self.error),
        }


def describe(ref: ScanRef, mount: Path) -> Description:
    """Read a scan and say what was found. Bad input gives a description with ``error``; nothing is scored.

    Raises:
        RootNotMounted: the mount is absent or empty.
    """
    try:
        scan = read_scan(ref, mount)
    except ScanError as error:
        problem = Cause(error.code, error.message)
        return Description(ref, describe_files(ref, mount, None), quality=ref.quality, error=problem)
    return Description(
        ref,
        describe_files(ref, mount, scan),
        len(scan.slices),
        scan.units,
        scan.geometry,
        tuple(dict.fromkeys((*ref.quality, *scan.quality))),
        scan.notes,
    )


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
    told = FileDescription(
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
        return replace(told, error=Cause(error.code, error.message))
    return replace(told, quality=tuple(code.value for code in pixel_quality(alone)))


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
