"""One row per slice: what every data set adapter yields."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import groupby
from pathlib import Path
from typing import Any, Literal

from hemo_core.bundle.findings import default_name

Split = Literal["train", "val", "test"]
Box = tuple[float, float, float, float]
Reference = tuple[Path, int | None]
Labels = Mapping[str, int | None]


@dataclass(frozen=True, slots=True)
class SliceRecord:
    """A labelled slice, its pixels by reference.

    Attributes:
        source: name of the data set.
        patient: identifier within the source; for single slices of unknown patients the picture's own name.
        order: place of the slice within its series.
        path: the picture, DICOM or NIfTI file.
        labels: by finding, 1 where the slice shows it, 0 where not; one that the source does not tell of is None or not
            there.
        finding: the one that ``label`` and ``exam_label`` tell of: what is trained, or measured.
        doubtful: the source's reading of the slice is in doubt: no label of it counts.
        split: the published split, or None where the source has none.
        single: the slice has no series; it is a sequence of length one.
        boxes: lesions as ``(x0, y0, x1, y1)`` in pixels of the picture file; empty where none are drawn.
        frame: place in a file that holds several slices, from 0, foot to head; None where the file is the slice.
        study: the exam, where a patient has several; slices of one patient and study form a series.
        exam_labels: what was read of the exam as a whole, by finding; empty where slices were read. Such slices have no
            labels and count for exam figures only.
        spacing_mm: distance of the series' slices; None where the format does not tell.
        averaged: the slices of a thin series that this one is the mean of, itself among them; empty for none.
        mask: NIfTI volume with the finding as drawn by hand; see :func:`hemo_trainer.data.pictures.mask_of`.
    """

    source: str
    patient: str
    order: int
    path: Path
    labels: Labels
    finding: str = field(default_factory=default_name)
    doubtful: bool = False
    split: Split | None = None
    single: bool = False
    boxes: tuple[Box, ...] = ()
    frame: int | None = None
    study: str | None = None
    exam_labels: Labels = field(default_factory=dict)
    spacing_mm: float | None = None
    averaged: tuple[Reference, ...] = ()
    mask: Path | None = None

    def label_of(self, finding: str) -> int | None:
        """1 or 0; None where the source does not tell, or is in doubt."""
        return None if self.doubtful else self.labels.get(finding)

    @property
    def label(self) -> int | None:
        """Of the finding."""
        return self.label_of(self.finding)

    @property
    def exam_label(self) -> int | None:
        """Of the finding, as the exam was read as a whole; None where it was not."""
        return self.exam_labels.get(self.finding)

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
    def made_of(self) -> tuple[Reference, ...]:
        """All slices that the pixels are made of."""
        return self.averaged or (self.reference,)


def by_series(records: Iterable[SliceRecord]) -> list[tuple[SliceRecord, ...]]:
    """Records of one exam in slice order; a single slice is a series of its own."""
    ordered = sorted(records, key=lambda record: (record.series_key, record.order))
    return [tuple(group) for _, group in groupby(ordered, key=lambda record: record.series_key)]


def exam_label(records: Sequence[SliceRecord]) -> int:
    """1 if the exam of these slices shows the finding: as it was read as a whole, else if any slice does."""
    read = [record.exam_label for record in records if record.exam_label is not None]
    return max(read) if read else int(any(record.label for record in records))


def other_findings(records: Iterable[SliceRecord]) -> tuple[str, ...]:
    """What else the labels of some slices tell of, such as subtypes, in the order of the source."""
    names = dict.fromkeys(name for record in records for name in record.labels if name != record.finding)
    return tuple(names)


def fingerprint(records: Sequence[SliceRecord]) -> str:
    """sha256 over who, which slice, which label of the finding and the file's size: changes when the data does."""
    digest = hashlib.sha256()
    sizes = {path: path.stat().st_size for path in {record.path for record in records}}
    for record in sorted(records, key=lambda record: (record.patient_key, record.order, record.study or "")):
        read = record.labels.get(record.finding)
        row: tuple[Any, ...] = (
            record.patient_key,
            record.order,
            (record.exam_label or 0) if read is None else read,
            record.label is not None,
            sizes[record.path],
        )
        digest.update(repr(row + _beyond_plain_pictures(record)).encode())
    return digest.hexdigest()


def labels_key(records: Sequence[SliceRecord]) -> str:
    """sha256 over every label of every finding."""
    digest = hashlib.sha256()
    for record in sorted(records, key=lambda record: (record.series_key, record.order)):
        told = sorted((name, record.label_of(name)) for name in record.labels)
        digest.update(repr((record.series_key, record.order, record.finding, told)).encode())
    return digest.hexdigest()


def _beyond_plain_pictures(record: SliceRecord) -> tuple[Any, ...]:
    """What only some formats have; empty for a plain picture, whose fingerprint it must not change."""
    further = (record.study, record.frame, record.exam_label, tuple(frame for _, frame in record.averaged))
    return further if further != (None, None, None, ()) else ()
