"""Predictions in, evidence out: every figure of the report as one JSON-ready value. No file is read or written."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from hemo_core.bundle.contract import ScoringContract
from hemo_core.errors import DatasetError
from hemo_core.records import encode
from hemo_core.wording import STATEMENT
from hemo_trainer.datasets.record import Reference
from hemo_trainer.evaluation.about import About
from hemo_trainer.evaluation.cases import worst_cases
from hemo_trainer.evaluation.claim import claim_checklist
from hemo_trainer.evaluation.compare import compared
from hemo_trainer.evaluation.figures import unit_figures
from hemo_trainer.evaluation.scored import (
    ScoredExam,
    ScoredSlice,
    gather_exams,
    gather_slices,
    score_exams,
    score_slices,
)
from hemo_trainer.evaluation.strata import by_extent, by_size, by_subtype
from hemo_trainer.evaluation.unknown import not_known
from hemo_trainer.figures.intervals import Resampling
from hemo_trainer.network.predict import SeriesPrediction

SCHEMA = "hemo-batch/evidence"
SCHEMA_VERSION = 2
ALL = "all sources"
CASES = 12

_PICTURES = {".png", ".jpg", ".jpeg", ".tif", ".tiff"}


def evidence_from_predictions(
    predictions: Sequence[SeriesPrediction],
    scoring: ScoringContract,
    *,
    about: About,
    resampling: Resampling | None = None,
    sizes: Mapping[Reference, float] | None = None,
    other: tuple[str, Sequence[SeriesPrediction]] | None = None,
    heatmaps: Mapping[str, Any] | None = None,
    cases: int = CASES,
) -> dict[str, Any]:
    """Measure predictions that exist already, by one model or, out of fold, by several.

    Args:
        predictions: of labelled series, of any number of sources.
        scoring: β, temperature and threshold to apply.
        about: model, data and protocol.
        resampling: of the bootstrap; default 2000 resamples with a fixed seed.
        sizes: of what is marked (:func:`hemo_trainer.evaluation.sizes.marked_sizes`).
        other: name and predictions of the same series by another precision, to be compared with.
        heatmaps: quality of the heat maps, as in ``bundle.json``.
        cases: patients in each half of the gallery.

    Returns:
        What ``evidence.json`` holds; its fields are described in ``docs/evidence.md``.

    Raises:
        DatasetError: nothing has a certain label.
    """
    settings = resampling or Resampling()
    slices, exams = score_slices(predictions, scoring), score_exams(predictions, scoring)
    evidence: dict[str, Any] = {
        "schema": SCHEMA,
        "schema_version": SCHEMA_VERSION,
        "statement": STATEMENT,
        "about": about.to_json(),
        "scoring": {**encode(scoring), "temperature": scoring.temperature, "threshold": scoring.threshold},
        "bootstrap": {"resamples": settings.resamples, "seed": settings.seed, "unit": "patient", "level": 0.95},
        "groups": [_group(*part, scoring, settings) for part in _groups(slices, exams)],
        "strata": {
            "subtype": by_subtype(slices, exams, scoring, settings),
            "size": by_size(slices, sizes or {}, scoring, settings),
            "extent": by_extent(exams, scoring, settings),
        },
        "cases": [case.to_json() for case in worst_cases(slices, scoring.threshold, cases)],
        "comparison": None if other is None else compared(predictions, *other, about.precision, scoring, settings),
        "heatmaps": None if heatmaps is None else dict(heatmaps),
    }
    evidence["not_known"] = not_known(evidence)
    evidence["claim"] = claim_checklist(evidence, about.manifest)
    return evidence


def _groups(
    slices: Sequence[ScoredSlice], exams: Sequence[ScoredExam]
) -> list[tuple[str, Sequence[ScoredSlice], Sequence[ScoredExam]]]:
    """Each source, and where there are several all of them together."""
    sources = sorted({exam.first.source for exam in exams})
    if not slices and not any(exam.first.exam_label is not None for exam in exams):
        raise DatasetError("there is nothing to measure: no slice and no exam has a certain label")
    groups: list[tuple[str, Sequence[ScoredSlice], Sequence[ScoredExam]]] = [
        (
            source,
            [item for item in slices if item.record.source == source],
            [exam for exam in exams if exam.first.source == source],
        )
        for source in sources
    ]
    return groups if len(sources) == 1 else [*groups, (ALL, slices, exams)]


def _group(
    name: str,
    slices: Sequence[ScoredSlice],
    exams: Sequence[ScoredExam],
    scoring: ScoringContract,
    settings: Resampling,
) -> dict[str, Any]:
    """Counts and both units of one source, or of all."""
    patients = {exam.first.patient_key for exam in exams}
    records = [record for exam in exams for record in exam.series.records]
    suspicious = np.array([exam.suspicious for exam in exams], bool)
    return {
        "name": name,
        "patients": len(patients),
        "patients_positive": len({exam.first.patient_key for exam in exams if exam.label}),
        "exams": len(exams),
        "slices": len(records),
        "slices_uncertain": sum(record.label is None for record in records),
        "exams_read": sum(exam.first.exam_label is not None for exam in exams),
        "slices_single": sum(record.single for record in records),
        "slices_boxed": sum(bool(record.boxes) for record in records),
        "slices_grey": sum(record.path.suffix.lower() in _PICTURES for record in records),
        "pooled": name == ALL,
        "slice": unit_figures(gather_slices(slices), scoring, settings) if slices else None,
        "exam": unit_figures(gather_exams(exams), scoring, settings, suspicious=suspicious)
        if _comparable(exams)
        else None,
    }


def _comparable(exams: Sequence[ScoredExam]) -> bool:
    """Exams of several sources are pooled only if each has both labels: else the AUC would tell sources apart."""
    labels: dict[str, set[int]] = {}
    for exam in exams:
        labels.setdefault(exam.first.source, set()).add(exam.label)
    return len(labels) == 1 or all(len(found) > 1 for found in labels.values())
