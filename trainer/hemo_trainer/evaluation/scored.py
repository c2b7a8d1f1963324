"""Slices and exams to be scored, each with what it is: the rows that figures are taken over."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from hemo_core.bundle.contract import ScoringContract
from hemo_core.inference.scoring import calibrated, scan_logit
from hemo_trainer.datasets.record import SliceRecord, exam_label
from hemo_trainer.figures.metrics import Scored
from hemo_trainer.network.predict import SeriesPrediction

Mask = npt.NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class ScoredSlice:
    """A slice with a label.

    Attributes:
        record: of the slice.
        logit, chance: before and after calibration.
        index: its place in the series.
        series: the whole series.
    """

    record: SliceRecord
    logit: float
    chance: float
    index: int
    series: SeriesPrediction


@dataclass(frozen=True, slots=True)
class ScoredExam:
    """A series.

    Attributes:
        label: 1 if it was read as positive as a whole, else if any slice is.
        suspicious: a slice lies at or above the threshold.
        positives: number of positive slices.
    """

    series: SeriesPrediction
    label: int
    logit: float
    chance: float
    suspicious: bool
    positives: int

    @property
    def first(self) -> SliceRecord:
        """Any slice of it: they share source and patient."""
        return self.series.records[0]

    def has(self, subtype: str) -> bool:
        """Whether a certain slice shows this subtype."""
        return any(record.label_of(subtype) == 1 for record in self.series.records)


def score_slices(predictions: Sequence[SeriesPrediction], scoring: ScoringContract) -> list[ScoredSlice]:
    """All slices with a label, in order."""
    items: list[ScoredSlice] = []
    for series in predictions:
        logits = np.asarray(series.logits, np.float64)
        chances = calibrated(logits, scoring.temperature)
        items.extend(
            ScoredSlice(record, float(logit), float(chance), index, series)
            for index, (record, logit, chance) in enumerate(zip(series.records, logits, chances, strict=True))
            if record.label is not None
        )
    return items


def score_exams(predictions: Sequence[SeriesPrediction], scoring: ScoringContract) -> list[ScoredExam]:
    """All series, in order. The slices of a series that are not certain are still read by the model."""
    return [_exam(series, scoring) for series in predictions]


def gather_slices(items: Sequence[ScoredSlice], label: Callable[[ScoredSlice], int] | None = None) -> Scored:
    """Labels, logits and patients of slices; ``label`` replaces the record's own."""
    return Scored(
        np.array([item.record.label if label is None else label(item) for item in items], np.int64),
        np.array([item.logit for item in items], np.float64),
        np.array([item.record.patient_key for item in items], np.str_),
    )


def gather_exams(items: Sequence[ScoredExam]) -> Scored:
    """Labels, logits and patients of exams."""
    return Scored(
        np.array([item.label for item in items], np.int64),
        np.array([item.logit for item in items], np.float64),
        np.array([item.first.patient_key for item in items], np.str_),
    )


def _exam(series: SeriesPrediction, scoring: ScoringContract) -> ScoredExam:
    logits = np.asarray(series.logits, np.float64)
    logit = scan_logit(logits, scoring.beta)
    positives = sum(record.label == 1 for record in series.records)
    return ScoredExam(
        series,
        exam_label(series.records),
        logit,
        float(calibrated(np.asarray(logit), scoring.temperature)),
        bool(np.any(calibrated(logits, scoring.temperature) >= scoring.threshold)),
        positives,
    )
