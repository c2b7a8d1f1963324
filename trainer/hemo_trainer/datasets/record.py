"""One row per slice: what every data set adapter yields."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import Any, Literal

Split = Literal["train", "val", "test"]
Box = tuple[float, float, float, float]
Reference = tuple[Path, int | None]
SUBTYPES = ("epidural", "subdural", "subarachnoid", "intraparenchymal", "intraventricular")
UNKNOWN_SUBTYPES: tuple[int | None, ...] = (None,) * len(SUBTYPES)


@dataclass(frozen=True, slots=True)
class SliceRecord:
    """A labelled slice, its pixels by reference.

    Attributes:
        source: name of the data set.
        patient: identifier within the source; for single slices of unknown patients the picture's own name.
        order: place of the slice within its series.
        path: the picture, DICOM or NIfTI file.
        label: 1 hemorrhage, 0 none; where only the exam was read, the exam's.
        certain: False leaves the slice out of losses and scores (the source's reading of it is doubtful or absent).
        split: the published split, or None where the source has none.
        single: the slice has no series; it is a sequence of length one.
        subtypes: 1 or 0 for each of ``SUBTYPES``, None where the source does not tell.
        boxes: lesions as ``(x0, y0, x1, y1)`` in pixels of the picture file; empty where none are drawn.
        frame: place in a file that holds several slices, from 0, foot to head; None where the file is the slice.
        study: the exam, where a patient has several; slices of one patient and study form a series.
        exam_label: what was read of the exam as a whole; None where slices were read. Such slices are not ``certain``
            and count for exam figures only.
        spacing_mm: distance of the series' slices; None where the format does not tell.
        averaged: the slices of a thin series that this one is the mean of, itself among them; empty for none.
        mask: NIfTI volume with the bleeds of ``path``, drawn by hand; see :func:`hemo_trainer.data.pictures.mask_of`.
    """

    source: str
    patient: str
    order: int
    path: Path
    label: int
    certain: bool = True
    split: Split | None = None
    single: bool = False
    subtypes: tuple[int | None, ...] = UNKNOWN_SUBTYPES
    boxes: tuple[Box, ...] = ()
    frame: int | None = None
    study: str | None = None
    exam_label: int | None = None
    spacing_mm: float | None = None
    averaged: tuple[Reference, ...] = ()
    mask: Path | None = None

    @property
    def patient_key(self) -> str:
        """Identifier of the patient over all sources."""
        return f"{self.source}/{self.patient}"

    @property
    def series_key(self) -> str:
        """Identifier of the series over all sources."""
        return self.patient_key if self.study is None else f"{self.patient_key}/{self.study}"

    @property
    def reference(self) -> Reference:
        """Where the pixels are: file and place in it. No two records of a data set share it."""
        return self.path, self.frame

    @property
    def parts(self) -> tuple[Reference, ...]:
        """All slices that the pixels are made of."""
        return self.averaged or (self.reference,)


def by_series(records: Iterable[SliceRecord]) -> list[tuple[SliceRecord, ...]]:
    """Records of one exam in slice order; a single slice is a series of its own."""
    ordered = sorted(records, key=lambda record: (record.series_key, record.order))
    return [tuple(group) for _, group in groupby(ordered, key=lambda record: record.series_key)]


def exam_label(records: Sequence[SliceRecord]) -> int:
    """1 if the exam of these slices bleeds: as it was read as a whole, else if any certain slice does."""
    read = [record.exam_label for record in records if record.exam_label is not None]
    return max(read) if read else int(any(record.label and record.certain for record in records))


def fingerprint(records: Sequence[SliceRecord]) -> str:
    """sha256 over who, which slice, which label and the file's size: changes when the data does."""
    digest = hashlib.sha256()
    sizes = {path: path.stat().st_size for path in {record.path for record in records}}
    for record in sorted(records, key=lambda record: (record.patient_key, record.order, record.study or "")):
        row: tuple[Any, ...] = (
            record.patient_key,
            record.order,
            record.label,
            record.certain,
            sizes[record.path],
        )
        digest.update(repr(row + _further(record)).encode())
    return digest.hexdigest()


def _further(record: SliceRecord) -> tuple[Any, ...]:
    """What only some formats have; empty for a plain picture, whose fingerprint it must not change."""
    further = (record.study, record.frame, record.exam_label, tuple(frame for _, frame in record.averaged))
    return further if further != (None, None, None, ()) else ()
