"""Adapters for the public pack of JPEG slices: ``ct-ich``, ``phe-sich`` and ``rsna-slices``.

ct-ich: Hssayeni et al., Data 2020, 5(1):14. phe-sich: Ma et al., arXiv:2308.10521. rsna-slices: Flanders et al.,
Radiology: AI 2020, 2(3):e190211.
"""

from __future__ import annotations

import csv
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import cast

from hemo_core.errors import DatasetError
from hemo_trainer.datasets.record import SUBTYPES, UNKNOWN_SUBTYPES, Box, SliceRecord, Split


def read_series_pack(folder: Path, source: str) -> list[SliceRecord]:
    """``{patient}/{slice}.jpg`` with ``labels.csv``, and the patients' splits in ``../splits.csv``.

    Raises:
        DatasetError: a table is missing, or a labelled picture is.
    """
    splits = _splits(folder.parent / "splits.csv", source)
    boxes = _boxes(folder / "boxes.csv")
    records = []
    for row in _rows(folder / "labels.csv"):
        path = _existing(folder / row["patient"] / f"{row['slice']}.jpg")
        records.append(
            SliceRecord(
                source=source,
                patient=row["patient"],
                order=int(row["slice"]),
                path=path,
                label=int(row["hemorrhage"]),
                certain=not row.get("ambiguous"),
                split=splits.get(row["patient"]),
                subtypes=_subtypes(row),
                boxes=boxes.get((row["patient"], row["slice"]), ()),
            )
        )
    return records


def read_single_slices(folder: Path, source: str) -> list[SliceRecord]:
    """``{image}.jpg`` with ``labels.csv``; patients are unknown, so all of it is training data.

    Raises:
        DatasetError: the table is missing, or a labelled picture is.
    """
    return [
        SliceRecord(
            source=source,
            patient=row["image"],
            order=0,
            path=_existing(folder / f"{row['image']}.jpg"),
            label=int(row["hemorrhage"]),
            split="train",
            single=True,
            subtypes=_subtypes(row),
        )
        for row in _rows(folder / "labels.csv")
    ]


def _subtypes(row: Mapping[str, str]) -> tuple[int | None, ...]:
    """Of one row of ``labels.csv``. A slice that surely has no hemorrhage has none of them, named or not."""
    if all(name in row for name in SUBTYPES):
        return tuple(int(row[name]) for name in SUBTYPES)
    is_sure_negative = row["hemorrhage"] == "0" and not row.get("ambiguous")
    return (0,) * len(SUBTYPES) if is_sure_negative else UNKNOWN_SUBTYPES


def _boxes(table: Path) -> dict[tuple[str, str], tuple[Box, ...]]:
    """Boxes of each (patient, slice); none where the source draws none."""
    if not table.is_file():
        return {}
    found: dict[tuple[str, str], tuple[Box, ...]] = {}
    for row in _rows(table):
        box = (float(row["x0"]), float(row["y0"]), float(row["x1"]), float(row["y1"]))
        key = (row["patient"], row["slice"])
        found[key] = (*found.get(key, ()), box)
    return found


def _splits(table: Path, source: str) -> dict[str, Split]:
    return {row["patient"]: cast("Split", row["split"]) for row in _rows(table) if row["source"] == source}


def _rows(table: Path) -> Iterator[dict[str, str]]:
    if not table.is_file():
        raise DatasetError("table is missing", path=str(table), hint="see the data set's README")
    with table.open(newline="", encoding="utf-8") as lines:
        yield from csv.DictReader(lines)


def _existing(path: Path) -> Path:
    if not path.is_file():
        raise DatasetError("labelled picture is missing", path=str(path))
    return path
