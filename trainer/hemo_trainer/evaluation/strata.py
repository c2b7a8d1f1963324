"""Figures by kind of bleed, by its size, and by how many slices show it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from hemo_core.bundle.contract import ScoringContract
from hemo_trainer.datasets.record import SUBTYPES, SliceRecord
from hemo_trainer.evaluation.figures import rate
from hemo_trainer.evaluation.scored_items import ExamItem, SliceItem, scored_slices
from hemo_trainer.figures.intervals import Resampling, to_json
from hemo_trainer.figures.metrics import auc

EXTENTS = ((1, 2), (3, 5), (6, None))
_TERTILES = ("small", "middle", "large")


def by_subtype(
    slices: Sequence[SliceItem], exams: Sequence[ExamItem], scoring: ScoringContract, settings: Resampling
) -> list[dict[str, Any]]:
    """A row for each source and subtype that it names: slices with it against the source's slices without any bleed."""
    rows = []
    for source in sorted({item.record.source for item in slices}):
        of_source = [item for item in slices if item.record.source == source]
        for place, subtype in enumerate(SUBTYPES):
            if not any(item.record.label and item.record.subtypes[place] is not None for item in of_source):
                continue
            shown = [item for item in of_source if item.record.subtypes[place] == 1]
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
    slices: Sequence[SliceItem], sizes: Mapping[SliceRecord, float], scoring: ScoringContract, settings: Resampling
) -> list[dict[str, Any]]:
    """A row for each source and third of its measured bleeds, by share of the head's square that they take.

    Args:
        slices: certain ones.
        sizes: that share, for each positive slice where it was measured.
        scoring, settings: threshold and bootstrap.
    """
    rows = []
    for source in sorted({item.record.source for item in slices if item.record in sizes}):
        of_source = [item for item in slices if item.record.source == source]
        measured = [item for item in of_source if item.record.label and item.record in sizes]
        shares = np.array([sizes[item.record] for item in measured])
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


def by_extent(exams: Sequence[ExamItem], scoring: ScoringContract, settings: Resampling) -> list[dict[str, Any]]:
    """A row for each source and number of slices that show blood."""
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
    shown: Sequence[SliceItem], of_source: Sequence[SliceItem], scoring: ScoringContract, settings: Resampling
) -> dict[str, Any]:
    """Some positive slices against the negatives of their source: counts, AUC, sensitivity at the locked threshold."""
    chosen = [*shown, *(item for item in of_source if not item.record.label)]
    scored = scored_slices(chosen)
    called = np.array([item.chance >= scoring.threshold for item in chosen], bool)
    return {
        "slices": len(shown),
        "patients": len({item.record.patient_key for item in shown}),
        "auc": to_json(auc(scored, settings)) if shown else None,
        "sensitivity": rate(called, scored.labels == 1, scored.patients, settings),
    }


def _exam_rates(exams: Sequence[ExamItem], scoring: ScoringContract, settings: Resampling) -> dict[str, Any]:
    """How many of these exams are labelled hemorrhage, and how many hemorrhage or review."""
    patients = np.array([exam.first.patient_key for exam in exams], np.str_)
    everyone = np.ones(len(exams), bool)
    hemorrhage = np.array([exam.chance >= scoring.threshold for exam in exams], bool)
    suspicious = np.array([exam.suspicious for exam in exams], bool)
    return {
        "count": len(exams),
        "hemorrhage": rate(hemorrhage, everyone, patients, settings),
        "hemorrhage_or_review": rate(hemorrhage | suspicious, everyone, patients, settings),
    }
