"""Adapter for the RSNA 2019 intracranial hemorrhage challenge: one table and a folder of DICOM files.

Flanders et al., Radiology: AI 2020, 2(3):e190211. ``stage_2_train.csv`` has six rows an image, ``ID_…_epidural`` to
``ID_…_any``; patient, study and position are in the headers.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from pathlib import Path

from hemo_core.errors import DatasetError, FileMissing
from hemo_trainer.datasets.hemorrhage import SUBTYPES, hemorrhage_labels
from hemo_trainer.datasets.index import Place, in_order, index_dicom, spacing_of
from hemo_trainer.datasets.layout import Layout
from hemo_trainer.datasets.reading import Reading, UnusableFile
from hemo_trainer.datasets.record import SliceRecord
from hemo_trainer.datasets.tables import flag, table_rows

TABLE = "stage_2_train.csv"
_ANY = "any"
_KINDS = (*SUBTYPES, _ANY)
Labels = dict[str, int]


def read_rsna(folder: Path, source: str, cache: Path | None = None) -> Reading:
    """One record for each image of the table. A patient has one or more studies; each is a series.

    Args:
        folder: holds the table, and the DICOM files anywhere below it; files that the table does not name are left
            alone (the challenge's test images have no labels).
        source: name of the data set.
        cache: folder in which the headers' index is kept.

    Raises:
        DatasetError: the table is missing, malformed or contradicts itself.
    """
    labels = _labels(folder / TABLE)
    files = {path.stem: path for path in sorted(folder.rglob("*.dcm")) if path.stem in labels}
    missing = [
        UnusableFile(f"{image}.dcm", FileMissing.code, f"{TABLE} names it, but it is not below {folder}")
        for image in sorted(set(labels) - set(files))
    ]
    places, unreadable = index_dicom(list(files.values()), cache)
    records = [
        record for series in _series(places).values() for record in _series_records(series, places, labels, source)
    ]
    return Reading(tuple(records), (*missing, *unreadable))


def _labels(table: Path) -> dict[str, Labels]:
    """The six labels of each image. The published table repeats a few rows; they agree."""
    found: defaultdict[str, Labels] = defaultdict(dict)
    for row in table_rows(table, ("ID", "Label")):
        image, _, kind = row["ID"].rpartition("_")
        if kind not in _KINDS or not image:
            raise DatasetError(f"ID {row['ID']!r} does not end in one of {', '.join(_KINDS)}", path=str(table))
        value = flag(row, "Label", table)
        if found[image].setdefault(kind, value) != value:
            raise DatasetError(f"labels {row['ID']} both 0 and 1", path=str(table))
    for image, labels in found.items():
        absent = [kind for kind in _KINDS if kind not in labels]
        if absent:
            raise DatasetError(f"has no row {image}_{absent[0]}", path=str(table))
    return found


def _series(places: Mapping[Path, Place]) -> dict[tuple[str, str, str], list[Path]]:
    """Files by patient, study and series; a file without a Patient ID belongs to its study alone."""
    found: defaultdict[tuple[str, str, str], list[Path]] = defaultdict(list)
    for path, place in places.items():
        found[place.patient or place.study or path.stem, place.study, place.series].append(path)
    return found


def _series_records(
    files: list[Path], places: dict[Path, Place], labels: Mapping[str, Labels], source: str
) -> list[SliceRecord]:
    ordered = in_order(files, places)
    spacing = spacing_of([places[path] for path in ordered])
    return [
        SliceRecord(
            source=source,
            patient=places[path].patient or places[path].study or path.stem,
            order=order,
            path=path,
            labels=hemorrhage_labels(max(labels[path.stem].values()), labels[path.stem]),
            study=f"{places[path].study}/{places[path].series}".strip("/") or None,
            spacing_mm=spacing,
        )
        for order, path in enumerate(ordered)
    ]


LAYOUTS = (
    Layout(
        "rsna-2019",
        lambda source, _findings, cache: read_rsna(Path(source.path), source.name, cache),
        lambda folder: (folder / TABLE).is_file(),
    ),
)
