"""The plain layout: ``Hemorrhage/…`` and ``Normal/…``; sub-folders are patients where there are any."""

from __future__ import annotations

import re
from pathlib import Path

from hemo_core.errors import DatasetError
from hemo_trainer.datasets.record import SliceRecord

_LABELS = {"hemorrhage": 1, "hemorrhagic": 1, "normal": 0}
_PICTURES = {".png", ".jpg", ".jpeg", ".tif", ".tiff"}


def read_folder(folder: Path, source: str) -> list[SliceRecord]:
    """Read the plain layout. A picture directly in a class folder is a patient of its own.

    Patients are named by their folder, over both classes: ``Hemorrhage/p1`` and ``Normal/p1`` are one patient.

    Raises:
        DatasetError: no class folder, or no picture in them.
    """
    classes = class_folders(folder)
    if not classes:
        raise DatasetError("has no Hemorrhage or Normal folder", path=str(folder))
    records = [record for child in classes for record in _class_records(child, source)]
    if not records:
        raise DatasetError("holds no PNG, JPEG or TIFF picture", path=str(folder))
    return records


def class_folders(folder: Path) -> list[Path]:
    """The sub-folders that name a class."""
    return [child for child in sorted(folder.iterdir()) if child.is_dir() and child.name.lower() in _LABELS]


def _class_records(folder: Path, source: str) -> list[SliceRecord]:
    label = _LABELS[folder.name.lower()]
    pictures = [path for path in folder.rglob("*") if path.suffix.lower() in _PICTURES]
    records = []
    for order, path in enumerate(sorted(pictures, key=_natural)):
        inside = path.relative_to(folder)
        single = len(inside.parts) == 1
        patient = f"{folder.name}/{inside.name}" if single else inside.parts[0]
        records.append(SliceRecord(source, patient, order, path, label, single=single))
    return records


def _natural(path: Path) -> list[tuple[int, str]]:
    """Sort key under which slice 2 comes before slice 10."""
    return [(int(part), "") if part.isdigit() else (-1, part) for part in re.split(r"(\d+)", str(path))]
