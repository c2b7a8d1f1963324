"""Slices and exams to be scored, each with what it is: the rows that figures are taken over."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from hemo_core.bundle.contract import ScoringContract
from hemo_core.inference.scoring import calibrated, scan_logit
from hemo_trainer.datasets.record import SUBTYPES, SliceRecord, exam_label
from hemo_trainer.figures.metrics import Scored
from hemo_trainer.network.predict import SeriesPrediction

Mask = npt.NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class SliceItem:
    """A slice whose label is certain.

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
class ExamItem:
    """A series.

    Attributes:
        label: 1 if it was read as bleeding as a whole, else if any certain slice is positive.
        suspicious: a slice lies at or above the threshold.
        positives: number of certain positive slices.
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
        place = SUBTYPES.index(subtype)
        return any(record.certain and record.subtypes[place] == 1 for record in self.series.records)


def slice_items(predictions: Sequence[SeriesPrediction], scoring: ScoringContract) -> list[SliceItem]:
    """All slices whose label is certain, in order."""
    items: list[SliceItem] = []
    for series in predictions:
        logits = np.asarray(series.logits, np.float64)
        chances = calibrated(logits, scoring.temperature)
        items.extend(
            SliceItem(record, float(logit), float(chance), index, series)
            for index, (record, logit, chance) in enumerate(zip(series.records, logits, chances, strict=True))
            if record.certain
        )
    return items


def exam_items(predictions: Sequence[SeriesPrediction], scoring: ScoringContract) -> list[ExamItem]:
    """All series, in order. The slices of a series that are not certain are still read by the model."""
    return [_exam(series, scoring) for series in predictions]


def scored_slices(items: Sequence[SliceItem], label: Callable[[SliceItem], int] | None = None) -> Scored:
    """Labels, logits and patients of slices; ``label`` replaces the record's own."""
    return Scored(
        np.array([item.record.label if label is None else label(item) for item in items], np.int64),
        np.array([item.logit for item in items], np.float64),
        np.array([item.record.patient_key for item in items], np.str_),
    )


def scored_exams(items: Sequence[ExamItem]) -> Scored:
    """Labels, logits and patients of exams."""
    return Scored(
        np.array([item.label for item in items], np.int64),
        np.array([item.logit for item in items], np.float64),
        np.array([item.first.patient_key for item in items], np.str_),
    )


def _exam(series: SeriesPrediction, scoring: ScoringContract) -> ExamItem:
    logits = np.asarray(series.logits, np.float64)
    logit = scan_logit(logits, scoring.beta)
    positives = sum(record.label for record in series.records if record.certain)
    return ExamItem(
        series,
        exam_label(series.records),
        logit,
        float(calibrated(np.asarray(logit), scoring.temperature)),
        bool(np.any(calibrated(logits, scoring.temperature) >= scoring.threshold)),
        positives,
    )
