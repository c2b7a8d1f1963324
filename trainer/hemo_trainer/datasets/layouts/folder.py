"""The plain layout: ``Hemorrhage/…`` and ``Normal/…``; sub-folders are patients where there are any.

Another finding has class folders of its own: those that the source names, else one called after the finding.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from hemo_core.errors import DatasetError
from hemo_core.text import natural_key
from hemo_trainer.datasets.hemorrhage import HEMORRHAGE
from hemo_trainer.datasets.layout import Layout
from hemo_trainer.datasets.reading import Reading
from hemo_trainer.datasets.record import SliceRecord
from hemo_trainer.datasets.source import DataSource

_POSITIVE = {HEMORRHAGE: ("hemorrhage", "hemorrhagic")}
_NEGATIVE = ("normal",)
_PICTURES = {".png", ".jpg", ".jpeg", ".tif", ".tiff"}


def read_folder(source: DataSource, finding: str = HEMORRHAGE) -> list[SliceRecord]:
    """Read the plain layout. A picture directly in a class folder is a patient of its own.

    Patients are named by their folder, over both classes: ``Hemorrhage/p1`` and ``Normal/p1`` are one patient, whose
    slices are ordered by name as scoring orders the pictures of a folder.

    Raises:
        DatasetError: no class folder, or no picture in them.
    """
    folder, wanted = Path(source.path), _classes(source, finding)
    classes = {child: label for child in _sub_folders(folder) if (label := wanted.get(_plain(child.name))) is not None}
    if not classes:
        raise DatasetError(f"has no folder {' or '.join(wanted)}", path=str(folder), hint="or name them in the source")
    pictures = sorted(
        ((path.relative_to(child), child) for child in classes for path in child.rglob("*") if _is_picture(path)),
        key=lambda found: natural_key(found[0].as_posix()),
    )
    if not pictures:
        raise DatasetError("holds no PNG, JPEG or TIFF picture", path=str(folder))
    return [
        SliceRecord(
            source.name,
            inside.parts[0] if len(inside.parts) > 1 else f"{child.name}/{inside.name}",
            order,
            child / inside,
            {finding: classes[child]},
            finding,
            single=len(inside.parts) == 1,
        )
        for order, (inside, child) in enumerate(pictures)
    ]


def _classes(source: DataSource, finding: str) -> Mapping[str, int]:
    """The label of each class folder, by its name as :func:`_plain` writes it."""
    positive = source.positive or _POSITIVE.get(finding, (finding,))
    labels = {**dict.fromkeys(source.negative or _NEGATIVE, 0), **dict.fromkeys(positive, 1)}
    return {_plain(name): label for name, label in labels.items()}


def _plain(name: str) -> str:
    return name.lower().replace(" ", "_")


def _sub_folders(folder: Path) -> list[Path]:
    return [child for child in sorted(folder.iterdir()) if child.is_dir()]


def _is_picture(path: Path) -> bool:
    return path.suffix.lower() in _PICTURES


def _fits(folder: Path) -> bool:
    known = _classes(DataSource("folder", str(folder)), HEMORRHAGE)
    return any(_plain(child.name) in known for child in _sub_folders(folder))


LAYOUTS = (
    Layout(
        "folder",
        lambda source, findings, _cache: Reading(tuple(read_folder(source, findings[0]))),
        _fits,
        is_general=True,
    ),
)
