"""Thin series, averaged to about the model's slice distance: what a worker scores is what training sees."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace

from hemo_core.scans.preprocess import slice_groups
from hemo_trainer.datasets.record import SliceRecord, by_series


def average_thin(records: Sequence[SliceRecord], target_mm: float) -> list[SliceRecord]:
    """One record for each slice that the model will see; records of series that are not thin stay as they are.

    The order of the records is kept. A mean slice shows what any slice of it certainly shows.
    """
    if not any(record.spacing_mm for record in records):
        return list(records)
    groups = (group for series in by_series(records) for group in _groups(series, target_mm))
    merged = {group[0].reference: _merged(group) for group in groups}
    return [merged[record.reference] for record in records if record.reference in merged]


def _groups(series: Sequence[SliceRecord], target_mm: float) -> Iterable[Sequence[SliceRecord]]:
    for group in slice_groups(len(series), series[0].spacing_mm, target_mm):
        yield [series[place] for place in group]


def _merged(group: Sequence[SliceRecord]) -> SliceRecord:
    first = group[0]
    if len(group) == 1:
        return first
    return replace(
        first,
        labels={name: _label(name, group) for name in dict.fromkeys(name for one in group for name in one.labels)},
        doubtful=False,
        boxes=tuple(dict.fromkeys(box for record in group for box in record.boxes)),
        averaged=tuple(record.reference for record in group),
    )


def _label(finding: str, group: Sequence[SliceRecord]) -> int | None:
    """1 where any slice shows it, 0 where none does, None where that is not known."""
    labels = {record.label_of(finding) for record in group}
    return 1 if 1 in labels else None if None in labels else 0
