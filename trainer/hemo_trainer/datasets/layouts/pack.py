"""Adapters for the public pack of JPEG slices: ``ct-ich``, ``phe-sich`` and ``rsna-slices``.

ct-ich: Hssayeni et al., Data 2020, 5(1):14. phe-sich: Ma et al., arXiv:2308.10521. rsna-slices: Flanders et al.,
Radiology: AI 2020, 2(3):e190211.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import cast

from hemo_trainer.datasets.hemorrhage import HEMORRHAGE, SUBTYPES, hemorrhage_labels
from hemo_trainer.datasets.layout import Layout
from hemo_trainer.datasets.reading import Reading
from hemo_trainer.datasets.record import Box, SliceRecord, Split
from hemo_trainer.datasets.tables import flag, table_rows, whole


def read_series_pack(folder: Path, source: str, published: str) -> list[SliceRecord]:
    """``{patient}/{slice}.jpg`` with ``labels.csv``, and the patients' splits in ``../splits.csv``.

    Args:
        folder: of the patients.
        source: name of the data set.
        published: what ``splits.csv`` calls it.

    Raises:
        DatasetError: a table is missing or malformed.
    """
    splits = _splits(folder.parent / "splits.csv", published)
    boxes = _boxes(folder / "boxes.csv")
    table = folder / "labels.csv"
    return [
        SliceRecord(
            source=source,
            patient=row["patient"],
            order=whole(row, "slice", table),
            path=folder / row["patient"] / f"{row['slice']}.jpg",
            labels=_labels(row, table),
            doubtful=bool(row.get("ambiguous")),
            split=splits.get(row["patient"]),
            boxes=boxes.get((row["patient"], row["slice"]), ()),
        )
        for row in table_rows(table, ("patient", "slice", "hemorrhage"))
    ]


def read_single_slices(folder: Path, source: str) -> list[SliceRecord]:
    """``{image}.jpg`` with ``labels.csv``; patients are unknown, so all of it is training data.

    Raises:
        DatasetError: the table is missing or malformed.
    """
    table = folder / "labels.csv"
    return [
        SliceRecord(
            source=source,
            patient=row["image"],
            order=0,
            path=folder / f"{row['image']}.jpg",
            labels=_labels(row, table),
            split="train",
            single=True,
        )
        for row in table_rows(table, ("image", "hemorrhage"))
    ]


def is_series_pack(folder: Path, *, doubts: bool) -> bool:
    """Whether a folder's ``labels.csv`` tells of patients, and whether of slices in doubt."""
    columns = _columns(folder)
    return bool(columns) and "image" not in columns and ("ambiguous" in columns) == doubts


def _columns(folder: Path) -> frozenset[str]:
    """Of ``labels.csv``; none where there is no such table."""
    table = folder / "labels.csv"
    return frozenset(next(iter(table_rows(table)), {"": ""})) if table.is_file() else frozenset()


def _labels(row: Mapping[str, str], table: Path) -> dict[str, int | None]:
    """Of one row of ``labels.csv``. A slice whose label is in doubt has subtypes only where the table names them."""
    named = {name: flag(row, name, table) for name in SUBTYPES if name in row}
    label = flag(row, HEMORRHAGE, table)
    if row.get("ambiguous") or len(named) == len(SUBTYPES):
        return {HEMORRHAGE: label, **dict.fromkeys(SUBTYPES), **named}
    return hemorrhage_labels(label, {})


def _boxes(table: Path) -> dict[tuple[str, str], tuple[Box, ...]]:
    """Boxes of each (patient, slice); none where the source draws none."""
    if not table.is_file():
        return {}
    found: dict[tuple[str, str], tuple[Box, ...]] = {}
    for row in table_rows(table, ("patient", "slice", "x0", "y0", "x1", "y1")):
        box = (float(row["x0"]), float(row["y0"]), float(row["x1"]), float(row["y1"]))
        key = (row["patient"], row["slice"])
        found[key] = (*found.get(key, ()), box)
    return found


def _splits(table: Path, published: str) -> dict[str, Split]:
    rows = table_rows(table, ("source", "patient", "split"))
    return {row["patient"]: cast("Split", row["split"]) for row in rows if row["source"] == published}


LAYOUTS = (
    Layout(
        "phe-sich",
        lambda source, _findings, _cache: Reading(
            tuple(read_series_pack(Path(source.path), source.name, source.layout))
        ),
        lambda folder: is_series_pack(folder, doubts=True),
    ),
    Layout(
        "rsna-slices",
        lambda source, _findings, _cache: Reading(tuple(read_single_slices(Path(source.path), source.name))),
        lambda folder: "image" in _columns(folder),
    ),
)
