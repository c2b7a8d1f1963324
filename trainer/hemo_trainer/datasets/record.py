"""One row per slice: what every data set adapter yields."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import Literal

Split = Literal["train", "val", "test"]
Box = tuple[float, float, float, float]
SUBTYPES = ("epidural", "subdural", "subarachnoid", "intraparenchymal", "intraventricular")
UNKNOWN_SUBTYPES: tuple[int | None, ...] = (None,) * len(SUBTYPES)


@dataclass(frozen=True, slots=True)
class SliceRecord:
    """A labelled slice, its pixels by reference.

    Attributes:
        source: name of the data set.
        patient: identifier within the source; for single slices of unknown patients the picture's own name.
        order: place of the slice within its series.
        path: the picture file.
        label: 1 hemorrhage, 0 none.
        certain: False leaves the slice out of losses and scores (the source's reading of it is doubtful).
        split: the published split, or None where the source has none.
        single: the slice has no series; it is a sequence of length one.
        subtypes: 1 or 0 for each of ``SUBTYPES``, None where the source does not tell.
        boxes: lesions as ``(x0, y0, x1, y1)`` in pixels of the picture file; empty where none are drawn.
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

    @property
    def patient_key(self) -> str:
        """Identifier of the patient over all sources."""
        return f"{self.source}/{self.patient}"


def by_series(records: Iterable[SliceRecord]) -> list[tuple[SliceRecord, ...]]:
    """Records of one patient in slice order; a single slice is a series of its own."""
    ordered = sorted(records, key=lambda record: (record.patient_key, record.order))
    return [tuple(group) for _, group in groupby(ordered, key=lambda record: record.patient_key)]


def fingerprint(records: Sequence[SliceRecord]) -> str:
    """sha256 over who, which slice, which label and the file's size: changes when the data does."""
    digest = hashlib.sha256()
    for record in sorted(records, key=lambda record: (record.patient_key, record.order)):
        row = (record.patient_key, record.order, record.label, record.certain, record.path.stat().st_size)
        digest.update(repr(row).encode())
    return digest.hexdigest()
