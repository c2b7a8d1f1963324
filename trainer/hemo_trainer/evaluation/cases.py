"""The worst misses and false alarms: at most one slice a patient, so that no patient fills the gallery."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

from hemo_trainer.evaluation.scored import ScoredSlice

Kind = Literal["miss", "false_alarm"]


@dataclass(frozen=True, slots=True)
class Case:
    """One slice that the model got wrong.

    Attributes:
        name: of its picture, and of its place on the page.
        kind: a positive slice below the threshold, or a negative one at or above it.
    """

    name: str
    kind: Kind
    item: ScoredSlice

    def to_json(self) -> dict[str, Any]:
        """JSON-ready: which slice, how it is labelled, what the model said."""
        record = self.item.record
        return {
            "name": self.name,
            "kind": self.kind,
            "source": record.source,
            "patient": record.patient,
            "slice": record.order,
            "place": [self.item.index + 1, len(self.item.series.records)],
            "label": record.label,
            "subtypes": [name for name in record.labels if name != record.finding and record.label_of(name)],
            "boxes": len(record.boxes),
            "probability": round(self.item.chance, 4),
        }


def worst_cases(slices: Sequence[ScoredSlice], threshold: float, count: int) -> tuple[Case, ...]:
    """The ``count`` patients with the surest misses, then the ``count`` with the surest false alarms."""
    misses = [item for item in slices if item.record.label and item.chance < threshold]
    alarms = [item for item in slices if not item.record.label and item.chance >= threshold]
    misses.sort(key=lambda item: (item.chance, str(item.record.path)))
    alarms.sort(key=lambda item: (-item.chance, str(item.record.path)))
    return (
        *(Case(f"miss-{rank:02}", "miss", item) for rank, item in enumerate(_one_a_patient(misses)[:count], 1)),
        *(Case(f"alarm-{rank:02}", "false_alarm", item) for rank, item in enumerate(_one_a_patient(alarms)[:count], 1)),
    )


def _one_a_patient(ranked: Sequence[ScoredSlice]) -> list[ScoredSlice]:
    """The first slice of each patient."""
    first: dict[str, ScoredSlice] = {}
    for item in ranked:
        first.setdefault(item.record.patient_key, item)
    return list(first.values())
