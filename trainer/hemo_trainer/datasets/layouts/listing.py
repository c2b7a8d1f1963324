"""Adapter for any data that a table can list: one row a slice."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import cast

from hemo_core.errors import DatasetError
from hemo_trainer.datasets.hemorrhage import HEMORRHAGE, SUBTYPES, hemorrhage_labels
from hemo_trainer.datasets.layout import Layout
from hemo_trainer.datasets.reading import Reading
from hemo_trainer.datasets.record import Box, SliceRecord, Split
from hemo_trainer.datasets.tables import flag, table_rows, whole

_COLUMNS = ("path", "patient", "study", "slice", "label")
_SPLITS = ("train", "val", "test")


def read_listing(table: Path, source: str, findings: Sequence[str] = (HEMORRHAGE,)) -> list[SliceRecord]:
    """Rows of ``path,patient,study,slice,label`` and, where the table has them, further columns.

    ``path`` is relative to the table: a picture, a DICOM file, or a NIfTI volume with ``frame`` (from 0, foot to head).
    An empty ``patient`` is an unknown one: a single slice, for training only. An empty ``study`` is the patient's only
    one; an empty ``slice`` is the row's place in the table. ``label`` tells of the first of ``findings``; where it is
    empty, the slice is shown to the model but neither trained on nor scored. Further columns: one for each further
    finding, and the subtypes of a hemorrhage (0, 1 or empty), ``split``, ``exam_label``, ``spacing_mm``, ``frame``, and
    ``boxes`` as ``x0 y0 x1 y1; x0 y0 …`` in pixels of the picture.

    Raises:
        DatasetError: the table is missing or malformed, or lists a slice twice.
    """
    rows = list(table_rows(table, _COLUMNS))
    records = [_record(row, number, table, source, findings) for number, row in enumerate(rows)]
    twice = [reference for reference, count in Counter(record.reference for record in records).items() if count > 1]
    if twice:
        path, frame = twice[0]
        where = f"{path}" if frame is None else f"{path} frame {frame}"
        raise DatasetError(f"lists {len(twice)} slices more than once, {where} among them", path=str(table))
    return records


def _record(row: Mapping[str, str], number: int, table: Path, source: str, findings: Sequence[str]) -> SliceRecord:
    exam = _optional(row, "exam_label", table)
    split = row.get("split") or None
    if split not in (None, *_SPLITS):
        raise DatasetError(f"split is {split!r}, not train, val or test, in {dict(row)}", path=str(table))
    if not row["path"]:
        raise DatasetError(f"row {number + 1} has no path", path=str(table))
    return SliceRecord(
        source=source,
        patient=row["patient"] or row["path"],
        order=whole(row, "slice", table) if row["slice"] else number,
        path=table.parent / row["path"],
        labels=_labels(row, table, findings),
        finding=findings[0],
        split=cast("Split | None", split),
        single=not row["patient"],
        boxes=_boxes(row, table),
        frame=whole(row, "frame", table) if row.get("frame") else None,
        study=row["study"] or None,
        exam_labels={} if exam is None else {findings[0]: exam},
        spacing_mm=_number(row, "spacing_mm", table) if row.get("spacing_mm") else None,
    )


def _optional(row: Mapping[str, str], name: str, table: Path) -> int | None:
    return flag(row, name, table) if row.get(name) else None


def _labels(row: Mapping[str, str], table: Path, findings: Sequence[str]) -> dict[str, int | None]:
    """By finding. Subtypes of a hemorrhage whose label is not known are not known either."""
    primary, *further = findings
    label = _optional(row, "label", table)
    labels = {primary: label, **{name: _optional(row, name, table) for name in further}}
    if primary == HEMORRHAGE:
        listed = {name: _optional(row, name, table) for name in SUBTYPES} if label else {}
        labels |= hemorrhage_labels(label, listed)
    return labels


def _boxes(row: Mapping[str, str], table: Path) -> tuple[Box, ...]:
    listed = [part.split() for part in row.get("boxes", "").split(";") if part.strip()]
    try:
        return tuple((float(x0), float(y0), float(x1), float(y1)) for x0, y0, x1, y1 in listed)
    except ValueError as error:
        raise DatasetError(f"boxes are not x0 y0 x1 y1; … in {dict(row)}", path=str(table)) from error


def _number(row: Mapping[str, str], name: str, table: Path) -> float:
    try:
        return float(row[name])
    except ValueError as error:
        raise DatasetError(f"{name} is {row[name]!r}, not a number, in {dict(row)}", path=str(table)) from error


LAYOUTS = (
    Layout(
        "csv",
        lambda source, findings, _cache: Reading(tuple(read_listing(Path(source.path), source.name, findings))),
        lambda table: table.suffix.lower() == ".csv",
        is_general=True,
        is_table=True,
    ),
)
