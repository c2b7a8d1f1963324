"""One file → what it is: a DICOM header, a volume, a picture, a failure with its code, or plainly no scan."""

from __future__ import annotations

import io
import re
from dataclasses import dataclass, replace
from pathlib import Path
from typing import BinaryIO, Literal, TypeAlias

from hemo_core.errors import FileUnreadable, RootNotMounted, ScanError, UnknownFormat
from hemo_core.scans.ids import digest_of, fingerprint_of, id_of_path
from hemo_core.scans.readers.dicom_header import Header, read_dicom_header
from hemo_core.scans.readers.safe_open import open_below
from hemo_core.scans.readers.sniff import PICTURES, SNIFF_BYTES, Format, sniff, sniff_packed
from hemo_core.scans.readers.unpack import GZIP, unpacked
from hemo_core.scans.scan import Cause, SourceKind
from hemo_core.scans.walk import Entry, EntryKind

_NO_IMAGES = {  # PS3.4 B.5 and PS3.6 A
    "1.2.840.10008.1.3.10": "a DICOMDIR, an index; the files that it lists are found without it",
    "1.2.840.10008.5.1.4.1.1.66": "raw data",
    "1.2.840.10008.5.1.4.1.1.66.1": "a spatial registration",
    "1.2.840.10008.5.1.4.1.1.66.2": "spatial fiducials",
    "1.2.840.10008.5.1.4.1.1.66.4": "a segmentation",
    "1.2.840.10008.5.1.4.1.1.66.5": "a surface segmentation",
    "1.2.840.10008.5.1.4.1.1.88.59": "key objects",
    "1.2.840.10008.5.1.4.1.1.104.1": "an encapsulated PDF",
    "1.2.840.10008.5.1.4.1.1.104.2": "an encapsulated CDA",
    "1.2.840.10008.5.1.4.1.1.481.2": "a radiotherapy dose",
    "1.2.840.10008.5.1.4.1.1.481.3": "a structure set",
    "1.2.840.10008.5.1.4.1.1.481.5": "a radiotherapy plan",
}
_NO_IMAGE_ROOTS = (
    ("1.2.840.10008.5.1.4.1.1.11.", "a presentation state"),
    ("1.2.840.10008.5.1.4.1.1.88.", "a structured report"),
    ("1.2.840.10008.5.1.4.1.1.9.", "a waveform"),
)
_SCAN_NAME = re.compile(r"\.(dcm|dicom|ima|nii|nii\.gz|png|jpe?g|tiff?)$", re.IGNORECASE)
_NO_SCAN_NAME = re.compile(
    r"\.(csv|tsv|txt|json|jsonl|xml|html?|md|rst|pdf|rtf|docx?|xlsx?|ods|odt|pptx?|npz|jar|whl|epub|log|ini|cfg|toml|ya?ml|py|ipynb|m|r|sh|bat"
    r"|sha\d*|md5|bval|bvec|gif|svg|bmp|db|lock|sqlite|exe|dll)$",
    re.IGNORECASE,
)


@dataclass(frozen=True, slots=True)
class FoundDicom:
    """A DICOM file. ``sop_uid`` is made from the bytes where the header has none."""

    header: Header
    sop_uid: str
    fingerprint: str


@dataclass(frozen=True, slots=True)
class FoundFile:
    """A volume or a picture, with the SHA-256 of its bytes."""

    path: str
    kind: Literal["nifti", "image"]
    digest: str
    fingerprint: str


@dataclass(frozen=True, slots=True)
class Failed:
    """A file that claims to be a scan, or could be one, and cannot be read."""

    path: str
    kind: SourceKind
    failure: Cause
    scan_id: str


@dataclass(frozen=True, slots=True)
class Ignored:
    """A file that is plainly no scan."""

    path: str
    reason: str


Found: TypeAlias = FoundDicom | FoundFile | Failed | Ignored


def recognise(root: Path, entry: Entry) -> Found:
    """Look at one path. Content decides; the name only says whether something unreadable was meant to be a scan."""
    early = _by_name(entry)
    if early is not None:
        return early
    if entry.kind is EntryKind.UNREADABLE:
        return _failed(entry, FileUnreadable(f"the folder cannot be listed: {entry.problem}", path=entry.path))
    if entry.kind is EntryKind.ARCHIVE:
        hint = "unpack it and submit its files"
        return _failed(
            entry, UnknownFormat(f"a ZIP file that is not read: {entry.problem}", path=entry.path, hint=hint)
        )
    if entry.kind in _NO_FILE:
        return _failed(entry, FileUnreadable(_NO_FILE[entry.kind], path=entry.path))
    try:
        with open_below(root, entry.path) as stream:
            return _by_content(stream, entry)
    except RootNotMounted:
        raise
    except ScanError as error:
        return _plainly_none(entry) or _failed(entry, error)


def _by_name(entry: Entry) -> Ignored | None:
    """What is no file: its name alone says whether it was meant to be a scan."""
    if entry.kind is EntryKind.JOB:
        return Ignored(entry.path, "the reports of a job")
    if entry.kind in {EntryKind.SPECIAL, EntryKind.EMPTY, EntryKind.LINK} and _is_hidden(entry):
        return Ignored(entry.path, "hidden")
    if entry.kind in {EntryKind.SPECIAL, EntryKind.EMPTY} and not _SCAN_NAME.search(entry.name):
        return Ignored(entry.path, _NO_FILE[entry.kind])
    return None


def _is_hidden(entry: Entry) -> bool:
    return any(part.startswith(".") for part in entry.path.split("/")) and entry.path != "."


def _plainly_none(entry: Entry, found: Format | None = None) -> Ignored | None:
    """Why a file of no known format is plainly no scan, by its name; None where it may have been meant to be one."""
    if _is_hidden(entry):
        return Ignored(entry.path, "hidden")
    if _NO_SCAN_NAME.search(entry.name):
        return Ignored(entry.path, f"no scan format: {entry.name.rpartition('.')[2].lower()}")
    if found in _NO_SCANS and not _SCAN_NAME.search(entry.name):
        return Ignored(entry.path, _NO_SCANS[found])
    return None


_NO_SCANS = {Format.TEXT: "a text file"}
_NO_FILE = {
    EntryKind.LINK: "a symbolic link; links are not followed, so that nothing outside the input folder is read",
    EntryKind.SPECIAL: "neither a file nor a folder (device, socket or pipe)",
    EntryKind.EMPTY: "an empty folder",
}


def _by_content(stream: BinaryIO, entry: Entry) -> Found:
    head = stream.read(SNIFF_BYTES)
    stream.seek(0)
    found = sniff(head)
    if found is Format.DICOM:
        return _dicom(stream, entry)
    if found is Format.NIFTI:
        return FoundFile(entry.path, "nifti", digest_of(stream), fingerprint_of(stream))
    if found is Format.ARCHIVE and head.startswith(GZIP):
        return _by_packed_content(stream, entry)
    if found in PICTURES:
        return FoundFile(entry.path, "image", digest_of(stream), fingerprint_of(stream))
    if (none := _plainly_none(entry, found)) is not None:
        return none
    message = _UNKNOWN.get(found, "neither DICOM nor NIfTI, PNG, JPEG or TIFF")
    return _failed(entry, UnknownFormat(message, path=entry.path), digest_of(stream))


def _by_packed_content(stream: BinaryIO, entry: Entry) -> Found:
    """A gzip file that is no volume: a DICOM file or a picture inside is read as if it lay there plainly."""
    inner = sniff_packed(stream.read(SNIFF_BYTES))
    stream.seek(0)
    if inner is Format.DICOM:
        found = _dicom(io.BytesIO(unpacked(stream, entry.path)), entry)
        return replace(found, fingerprint=fingerprint_of(stream)) if isinstance(found, FoundDicom) else found
    if inner in PICTURES:
        return FoundFile(entry.path, "image", digest_of(stream), fingerprint_of(stream))
    if (none := _plainly_none(replace(entry, path=entry.path.removesuffix(".gz")), inner)) is not None:
        return replace(none, path=entry.path)
    return _failed(entry, UnknownFormat(_UNKNOWN[Format.ARCHIVE], path=entry.path), digest_of(stream))


_UNKNOWN = {
    Format.TEXT: "a text file, whatever its name says",
    Format.ARCHIVE: "an archive; unpack it and submit its files: only .zip, and .gz of single files, are read",
    Format.NIFTI_PAIR: "a NIfTI header or Analyze file that keeps its data elsewhere; convert it to one .nii file",
}


def _dicom(stream: BinaryIO, entry: Entry) -> Found:
    try:
        header = read_dicom_header(stream, entry.path)
    except ScanError as error:
        return _failed(entry, error, digest_of(stream))
    what = _NO_IMAGES.get(header.sop_class) or next(
        (text for root, text in _NO_IMAGE_ROOTS if header.sop_class.startswith(root)), None
    )
    if what is not None:
        return Ignored(entry.path, f"a DICOM object that is no image: {what}")
    if not header.has_pixels and not (header.rows and header.columns):
        return Ignored(entry.path, "a DICOM object that is no image")
    return FoundDicom(header, header.sop_uid or f"sha256:{digest_of(stream)}", fingerprint_of(stream))


def _failed(entry: Entry, error: ScanError, digest: str | None = None) -> Failed:
    scan_id = digest[:16] if digest else id_of_path(entry.path)
    reason = error.message if error.hint is None else f"{error.message} ({error.hint})"
    return Failed(entry.path, _kind_by_name(entry.name), Cause(error.code, reason), scan_id)


def _kind_by_name(name: str) -> SourceKind:
    lower = name.lower()
    if lower.endswith((".nii", ".nii.gz")):
        return "nifti"
    return "image" if lower.endswith((".png", ".jpg", ".jpeg", ".tif", ".tiff")) else "dicom"
