"""Adapters for the public pack of JPEG slices: ``ct-ich``, ``phe-sich`` and ``rsna-slices``.

ct-ich: Hssayeni et al., Data 2020, 5(1):14. phe-sich: Ma et al., arXiv:2308.10521. rsna-slices: Flanders et al.,
Radiology: AI 2020, 2(3):e190211.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import cast

from hemo_trainer.datasets.record import SUBTYPES, UNKNOWN_SUBTYPES, Box, SliceRecord, Split
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
            label=flag(row, "hemorrhage", table),
            certain=not row.get("ambiguous"),
            split=splits.get(row["patient"]),
            subtypes=_subtypes(row, table),
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
            label=flag(row, "hemorrhage", table),
            split="train",
            single=True,
            subtypes=_subtypes(row, table),
        )
        for row in table_rows(table, ("image", "hemorrhage"))
    ]


def _subtypes(row: Mapping[str, str], table: Path) -> tuple[int | None, ...]:
    """Of one row of ``labels.csv``. A slice without hemorrhage has none of them, even where the table names none."""
    if all(name in row for name in SUBTYPES):
        return tuple(flag(row, name, table) for name in SUBTYPES)
    is_sure_negative = row["hemorrhage"] == "0" and not row.get("ambiguous")
    return (0,) * len(SUBTYPES) if is_sure_negative else UNKNOWN_SUBTYPES


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
