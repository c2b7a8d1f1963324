"""Records → pixels, through the readers and the preprocessing that a worker uses, each volume opened once."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import numpy.typing as npt

from hemo_core.bundle.contract import InputContract
from hemo_core.errors import BadGeometry, FileUnreadable, HemoError, UnknownFormat
from hemo_core.scans.preprocess import Prepared, prepare
from hemo_core.scans.scan import Geometry, Scan, ScanRef, Slice
from hemo_trainer.datasets.reading import UnusableFile
from hemo_trainer.datasets.record import SliceRecord

Grey = npt.NDArray[np.uint8]
Mask = npt.NDArray[np.bool_]


def read_pictures(
    records: Sequence[SliceRecord], contract: InputContract
) -> Iterator[list[tuple[int, Grey | UnusableFile]]]:
    """Model input of all records, a list of (row, pixels) for each file, in no particular order of rows.

    Pixels are uint8 ``(H, W, C)``; a problem stands for those that cannot be read.
    """
    with ThreadPoolExecutor(os.cpu_count(), thread_name_prefix="decode") as pool:
        yield from pool.map(lambda rows: _file_rows(rows, records, contract), _by_file(records))


def prepare_record(record: SliceRecord, contract: InputContract, scans: dict[Path, Scan] | None = None) -> Prepared:
    """One record as the worker would prepare it.

    Args:
        record: one slice, or the mean of several.
        contract: the model's input contract.
        scans: files that are decoded already; what is decoded here is added.

    Raises:
        ScanError: subclasses, one for each way in which a file can be bad.
    """
    scans = {} if scans is None else scans
    for path, _ in record.made_of:
        if path not in scans:
            scans[path] = read_file(path)
    slices = tuple(_slice(scans[path], frame) for path, frame in record.made_of)
    if len({one.pixels.shape for one in slices}) > 1:
        raise BadGeometry("neighbouring slices have different sizes", path=str(record.path))
    first = scans[record.path]
    scan = Scan(first.ref, slices, first.units, Geometry("single"))
    return prepare(scan, contract, groups=(tuple(range(len(slices))),))


def read_file(path: Path) -> Scan:
    """All slices of a picture, DICOM or NIfTI file, whatever its name says. Links are followed: the data is the user's.

    Raises:
        ScanError: subclasses, one for each way in which a file can be bad.
    """
    from hemo_core.scans.readers.dicom import read_dicom
    from hemo_core.scans.readers.image import read_image
    from hemo_core.scans.readers.nifti import read_nifti
    from hemo_core.scans.readers.sniff import PICTURES, SNIFF_BYTES, Format, sniff

    place = path.resolve()
    try:
        with place.open("rb") as stream:
            found = sniff(stream.read(SNIFF_BYTES))
    except OSError as error:
        raise FileUnreadable(f"cannot be read: {error.strerror}", path=str(path)) from error
    ref = ScanRef("", "", place.name, (place.name,), "image")
    if found is Format.DICOM:
        return read_dicom(ref, place.parent)
    if found is Format.NIFTI:
        return read_nifti(ref, place.parent)
    if found not in PICTURES:
        raise UnknownFormat("is no picture, DICOM or NIfTI file", path=str(path))
    return read_image(ref, place.parent, allow_implausible=True)


def mask_of(record: SliceRecord) -> Mask | None:
    """Where a record's finding was drawn by hand, bool ``(rows, columns)`` of its picture; None without a mask.

    Raises:
        ScanError: the mask cannot be read, or has no such slice.
    """
    if record.mask is None:
        return None
    scan = read_file(record.mask)
    drawn = [np.asarray(_slice(scan, frame).pixels, np.float32) > 0 for _, frame in record.made_of]
    return np.asarray(np.any(drawn, axis=0), np.bool_)


def _slice(scan: Scan, frame: int | None) -> Slice:
    place = frame or 0
    if not 0 <= place < len(scan.slices):
        raise BadGeometry(f"has {len(scan.slices)} slices, none at {place}", path=scan.ref.path)
    if frame is None and len(scan.slices) > 1:
        raise BadGeometry(f"holds {len(scan.slices)} slices, and none is named", path=scan.ref.path)
    return scan.slices[place]


def _by_file(records: Sequence[SliceRecord]) -> list[list[int]]:
    """Rows that are decoded together: those of one volume, else one row each."""
    groups: dict[Path | int, list[int]] = {}
    for row, record in enumerate(records):
        groups.setdefault(row if record.frame is None else record.path, []).append(row)
    return list(groups.values())


def _file_rows(
    rows: Sequence[int], records: Sequence[SliceRecord], contract: InputContract
) -> list[tuple[int, Grey | UnusableFile]]:
    scans: dict[Path, Scan] = {}
    return [(row, _pixels_or_problem(records[row], contract, scans)) for row in rows]


def _pixels_or_problem(record: SliceRecord, contract: InputContract, scans: dict[Path, Scan]) -> Grey | UnusableFile:
    try:
        return np.asarray(prepare_record(record, contract, scans).pixels[0], np.uint8)
    except HemoError as error:
        return UnusableFile.of(error, str(record.path))
