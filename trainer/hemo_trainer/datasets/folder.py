"""The plain layout: ``Hemorrhage/…`` and ``Normal/…``; sub-folders are patients where there are any."""

from __future__ import annotations

from pathlib import Path

from hemo_core.errors import DatasetError
from hemo_core.text import natural_key
from hemo_trainer.datasets.record import SliceRecord

_LABELS = {"hemorrhage": 1, "hemorrhagic": 1, "normal": 0}
_PICTURES = {".png", ".jpg", ".jpeg", ".tif", ".tiff"}


def read_folder(folder: Path, source: str) -> list[SliceRecord]:
    """Read the plain layout. A picture directly in a class folder is a patient of its own.

    Patients are named by their folder, over both classes: ``Hemorrhage/p1`` and ``Normal/p1`` are one patient, whose
    slices are ordered by name as scoring orders the pictures of a folder.

    Raises:
        DatasetError: no class folder, or no picture in them.
    """
    classes = class_folders(folder)
    if not classes:
        raise DatasetError("has no Hemorrhage or Normal folder", path=str(folder))
    pictures = sorted(
        ((path.relative_to(child), child) for child in classes for path in child.rglob("*") if _is_picture(path)),
        key=lambda found: natural_key(found[0].as_posix()),
    )
    if not pictures:
        raise DatasetError("holds no PNG, JPEG or TIFF picture", path=str(folder))
    return [_record(inside, child, order, source) for order, (inside, child) in enumerate(pictures)]


def class_folders(folder: Path) -> list[Path]:
    """The sub-folders that name a class."""
    return [child for child in sorted(folder.iterdir()) if child.is_dir() and child.name.lower() in _LABELS]


def _record(inside: Path, class_folder: Path, order: int, source: str) -> SliceRecord:
    single = len(inside.parts) == 1
    patient = f"{class_folder.name}/{inside.name}" if single else inside.parts[0]
    label = _LABELS[class_folder.name.lower()]
    return SliceRecord(source, patient, order, class_folder / inside, label, single=single)


def _is_picture(path: Path) -> bool:
    return path.suffix.lower() in _PICTURES
