"""Adapter for ``ct-ich`` as PhysioNet publishes it: NIfTI volumes in Hounsfield units and one table.

Hssayeni et al., Data 2020, 5(1):14; https://physionet.org/content/ct-ich/. Layout of version 1.3.1:
``ct_scans/049.nii``, ``masks/049.nii``, ``hemorrhage_diagnosis_raw_ct.csv``.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from hemo_core.errors import BadGeometry, DecodeFailed, FileMissing, HemoError
from hemo_trainer.datasets.hemorrhage import SUBTYPES, hemorrhage_labels
from hemo_trainer.datasets.layout import Layout
from hemo_trainer.datasets.layouts.pack import is_series_pack, read_series_pack
from hemo_trainer.datasets.reading import Reading, UnusableFile
from hemo_trainer.datasets.record import SliceRecord
from hemo_trainer.datasets.source import DataSource
from hemo_trainer.datasets.tables import flag, table_rows, whole

TABLE = "hemorrhage_diagnosis_raw_ct.csv"
_PATIENT, _SLICE, _NONE = "PatientNumber", "SliceNumber", "No_Hemorrhage"
_COLUMNS = {name: name.capitalize() for name in SUBTYPES}
_SUFFIXES = (".nii", ".nii.gz")


def read_physionet(folder: Path, source: str) -> Reading:
    """One record for each row of the table; the volumes' headers are read, their pixels are not.

    Patients without a volume (the table lists some) and slice numbers beyond a volume's end are problems.

    Raises:
        DatasetError: the table is missing or malformed.
    """
    table = folder / TABLE
    volumes: dict[int, _Volume | UnusableFile] = {}
    records, problems = [], []
    for row in table_rows(table, (_PATIENT, _SLICE, _NONE, *_COLUMNS.values())):
        patient, number = whole(row, _PATIENT, table), whole(row, _SLICE, table)
        if patient not in volumes:
            volumes[patient] = _volume(folder, patient)
        volume = volumes[patient]
        if isinstance(volume, UnusableFile):
            continue
        if not 1 <= number <= len(volume.frames):
            reason = f"{TABLE} names slice {number}, the volume has {len(volume.frames)}"
            problems.append(UnusableFile(str(volume.path), BadGeometry.code, reason))
            continue
        records.append(_record(row, table, source, volume, number))
    problems += [volume for volume in volumes.values() if isinstance(volume, UnusableFile)]
    return Reading(tuple(records), tuple(problems))


def _read(source: DataSource, _findings: Sequence[str], _cache: Path | None) -> Reading:
    """PhysioNet's volumes, or the pack's pictures of the same data."""
    folder = Path(source.path)
    if (folder / TABLE).is_file():
        return read_physionet(folder, source.name)
    return Reading(tuple(read_series_pack(folder, source.name, source.layout)))


class _Volume:
    """A NIfTI file.

    Attributes:
        patient: as the picture pack of the same data writes it, so that both name a patient alike.
        frames: for each stored slice its place from the foot up.
    """

    def __init__(self, patient: int, path: Path, mask: Path | None) -> None:
        self.patient = f"{patient:03d}"
        self.path, self.mask = path, mask
        self.frames, self.spacing_mm = stored_order(path)


def _volume(folder: Path, patient: int) -> _Volume | UnusableFile:
    path = _existing(folder / "ct_scans", patient)
    if path is None:
        missing = folder / "ct_scans" / f"{patient:03d}.nii"
        return UnusableFile(str(missing), FileMissing.code, f"{TABLE} names it, but it is not there")
    try:
        return _Volume(patient, path, _existing(folder / "masks", patient))
    except HemoError as error:
        return UnusableFile.of(error, str(path))


def _existing(folder: Path, patient: int) -> Path | None:
    names = [folder / f"{patient:03d}{suffix}" for suffix in _SUFFIXES]
    return next((path for path in names if path.is_file()), None)


def _record(row: Mapping[str, str], table: Path, source: str, volume: _Volume, number: int) -> SliceRecord:
    subtypes = {name: flag(row, column, table) for name, column in _COLUMNS.items()}
    frame = volume.frames[number - 1]
    return SliceRecord(
        source=source,
        patient=volume.patient,
        order=frame,
        path=volume.path,
        labels=hemorrhage_labels(int(any(subtypes.values()) or not flag(row, _NONE, table)), subtypes),
        frame=frame,
        spacing_mm=volume.spacing_mm,
        mask=volume.mask,
    )


def stored_order(path: Path) -> tuple[tuple[int, ...], float | None]:
    """Where each slice of a volume comes in the order of :mod:`hemo_core.scans.readers.nifti`, foot to head.

    Args:
        path: NIfTI file; only its header is read.

    Returns:
        For each slice along the third stored axis its place, and the distance of the slices in mm.

    Raises:
        DecodeFailed: the header is damaged.
        BadGeometry: the third stored axis is not the one from foot to head.
    """
    import nibabel
    from nibabel.filebasedimages import ImageFileError
    from nibabel.spatialimages import HeaderDataError

    try:
        image = nibabel.load(path)
        shape, affine = image.shape, np.asarray(image.affine, np.float64)
        axes = nibabel.io_orientation(affine)
    except (ImageFileError, HeaderDataError, OSError, EOFError, ValueError, ArithmeticError) as error:
        raise DecodeFailed(f"the NIfTI header is damaged: {error}", path=str(path)) from error
    if len(shape) < 3 or int(axes[2, 0]) != 2:  # noqa: PLR2004 - x, y, z
        raise BadGeometry("slices are not stored along the axis from foot to head", path=str(path))
    count = int(shape[2])
    spacing = float(np.linalg.norm(affine[:3, 2])) if count > 1 else None
    return tuple(range(count) if axes[2, 1] > 0 else reversed(range(count))), spacing


LAYOUTS = (Layout("ct-ich", _read, lambda folder: (folder / TABLE).is_file() or is_series_pack(folder, doubts=False)),)
