"""Figures by what else the labels tell of, such as subtypes, by size, and by how many slices show it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from hemo_core.bundle.contract import ScoringContract
from hemo_trainer.datasets.record import Reference, other_findings
from hemo_trainer.evaluation.figures import rate
from hemo_trainer.evaluation.scored import ScoredExam, ScoredSlice, gather_slices
from hemo_trainer.figures.intervals import Resampling, to_json
from hemo_trainer.figures.metrics import auc

EXTENTS = ((1, 2), (3, 5), (6, None))
_TERTILES = ("small", "middle", "large")


def by_subtype(
    slices: Sequence[ScoredSlice], exams: Sequence[ScoredExam], scoring: ScoringContract, settings: Resampling
) -> list[dict[str, Any]]:
    """A row for each source and subtype that it names: slices with it against the source's negative ones."""
    rows = []
    for source in sorted({item.record.source for item in slices}):
        of_source = [item for item in slices if item.record.source == source]
        for subtype in other_findings(item.record for item in slices):
            if not any(item.record.label and item.record.label_of(subtype) is not None for item in of_source):
                continue
            shown = [item for item in of_source if item.record.label_of(subtype) == 1]
            with_it = [exam for exam in exams if exam.first.source == source and exam.has(subtype)]
            rows.append(
                {
                    "source": source,
                    "subtype": subtype,
                    **_against_negatives(shown, of_source, scoring, settings),
                    "exams": _exam_rates(with_it, scoring, settings),
                }
            )
    return rows


def by_size(
    slices: Sequence[ScoredSlice], sizes: Mapping[Reference, float], scoring: ScoringContract, settings: Resampling
) -> list[dict[str, Any]]:
    """A row for each source and third of its measured slices, by share of the head's square that they take.

    Args:
        slices: certain ones.
        sizes: that share, by the reference of each positive slice where it was measured.
        scoring, settings: threshold and bootstrap.
    """
    rows = []
    for source in sorted({item.record.source for item in slices if item.record.reference in sizes}):
        of_source = [item for item in slices if item.record.source == source]
        measured = [item for item in of_source if item.record.label and item.record.reference in sizes]
        shares = np.array([sizes[item.record.reference] for item in measured])
        edges = np.quantile(shares, [1 / 3, 2 / 3])
        place = np.searchsorted(edges, shares, side="left")
        for third, name in enumerate(_TERTILES):
            inside = [item for item, one in zip(measured, place, strict=True) if one == third]
            if inside:
                found = shares[place == third]
                rows.append(
                    {
                        "source": source,
                        "size": name,
                        "from": round(float(found.min()), 4),
                        "to": round(float(found.max()), 4),
                        **_against_negatives(inside, of_source, scoring, settings),
                    }
                )
    return rows


def by_extent(exams: Sequence[ScoredExam], scoring: ScoringContract, settings: Resampling) -> list[dict[str, Any]]:
    """A row for each source and number of positive slices."""
    rows = []
    for source in sorted({exam.first.source for exam in exams}):
        for low, high in EXTENTS:
            inside = [
                exam
                for exam in exams
                if exam.first.source == source and exam.positives >= low and (high is None or exam.positives <= high)
            ]
            if inside:
                rates = _exam_rates(inside, scoring, settings)
                rows.append({"source": source, "from": low, "to": high, "exams": rates})
    return rows


def _against_negatives(
    shown: Sequence[ScoredSlice], of_source: Sequence[ScoredSlice], scoring: ScoringContract, settings: Resampling
) -> dict[str, Any]:
    """Some positive slices against the negatives of their source: counts, AUC, sensitivity at the locked threshold."""
    chosen = [*shown, *(item for item in of_source if not item.record.label)]
    scored = gather_slices(chosen)
    called = np.array([item.chance >= scoring.threshold for item in chosen], bool)
    return {
        "slices": len(shown),
        "patients": len({item.record.patient_key for item in shown}),
        "auc": to_json(auc(scored, settings)) if shown else None,
        "sensitivity": rate(called, scored.labels == 1, scored.patients, settings),
    }


def _exam_rates(exams: Sequence[ScoredExam], scoring: ScoringContract, settings: Resampling) -> dict[str, Any]:
    """How many of these exams are labelled with the finding, and how many with it or review."""
    patients = np.array([exam.first.patient_key for exam in exams], np.str_)
    everyone = np.ones(len(exams), bool)
    labelled = np.array([exam.chance >= scoring.threshold for exam in exams], bool)
    suspicious = np.array([exam.suspicious for exam in exams], bool)
    return {
        "count": len(exams),
        "labelled": rate(labelled, everyone, patients, settings),
        "labelled_or_review": rate(labelled | suspicious, everyone, patients, settings),
    }
