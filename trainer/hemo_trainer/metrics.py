"""Figures of merit with patient-clustered bootstrap intervals (slices of one patient are not independent)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from hemo_core.contract import ScoringContract
from hemo_core.inference.scoring import calibrated, scan_logit
from hemo_trainer.predict import SeriesPrediction

Float64 = npt.NDArray[np.float64]
_RESAMPLES = 2000
_SEED = 7


@dataclass(frozen=True, slots=True)
class Interval:
    """A figure with its 95 % interval."""

    value: float
    low: float
    high: float

    def to_json(self) -> dict[str, float]:
        """JSON-ready, four decimals."""
        return {name: round(getattr(self, name), 4) for name in ("value", "low", "high")}

    def __str__(self) -> str:
        return f"{self.value:.3f} [{self.low:.3f}–{self.high:.3f}]"


@dataclass(frozen=True, slots=True, eq=False)
class Scored:
    """Labels, logits and the patient of each item (a slice or an exam)."""

    labels: npt.NDArray[np.int64]
    logits: Float64
    patients: npt.NDArray[np.str_]


def slice_scores(predictions: Sequence[SeriesPrediction]) -> Scored:
    """All slices whose label is certain."""
    rows = [
        (record.label, logit, record.patient_key)
        for prediction in predictions
        for record, logit in zip(prediction.records, prediction.logits, strict=True)
        if record.certain
    ]
    return _scored(rows)


def exam_scores(predictions: Sequence[SeriesPrediction], beta: float) -> Scored:
    """One scan logit a series; a series is positive if any certain slice is."""
    rows = []
    for prediction in predictions:
        label = int(any(record.label and record.certain for record in prediction.records))
        logit = scan_logit(np.asarray(prediction.logits, np.float64), beta)
        rows.append((label, logit, prediction.records[0].patient_key))
    return _scored(rows)


def auc_value(scored: Scored) -> float | None:
    """ROC AUC; None where only one class is present."""
    from sklearn.metrics import roc_auc_score

    if not 0 < scored.labels.sum() < len(scored.labels):
        return None
    return float(roc_auc_score(scored.labels, scored.logits))


def auc(scored: Scored) -> Interval | None:
    """ROC AUC with a percentile bootstrap over patients; None where only one class is present."""
    from sklearn.metrics import roc_auc_score

    value = auc_value(scored)
    if value is None:
        return None
    members = [np.flatnonzero(scored.patients == patient) for patient in np.unique(scored.patients)]
    rng = np.random.default_rng(_SEED)
    resampled = []
    for _ in range(_RESAMPLES):
        rows = np.concatenate([members[pick] for pick in rng.integers(len(members), size=len(members))])
        if 0 < scored.labels[rows].sum() < len(rows):
            resampled.append(float(roc_auc_score(scored.labels[rows], scored.logits[rows])))
    low, high = np.percentile(resampled, [2.5, 97.5])
    return Interval(value, float(low), float(high))


def at_threshold(scored: Scored, scoring: ScoringContract) -> dict[str, Any]:
    """Confusion matrix, sensitivity and specificity (Wilson intervals) and scikit-learn's classification report."""
    from sklearn.metrics import classification_report, confusion_matrix

    called = (calibrated(scored.logits, scoring.temperature) >= scoring.threshold).astype(int)
    matrix = confusion_matrix(scored.labels, called, labels=[0, 1])
    (true_negative, false_positive), (false_negative, true_positive) = matrix.tolist()
    return {
        "confusion_matrix": matrix.tolist(),
        "sensitivity": _rate(true_positive, true_positive + false_negative),
        "specificity": _rate(true_negative, true_negative + false_positive),
        "classification_report": classification_report(
            scored.labels, called, labels=[0, 1], target_names=["no hemorrhage", "hemorrhage"], zero_division=0
        ),
    }


def wilson(hits: int, count: int) -> Interval:
    """Wilson score interval of a proportion (Wilson 1927, doi:10.1080/01621459.1927.10502953)."""
    z = 1.959964
    share = hits / count
    centre = (share + z * z / (2 * count)) / (1 + z * z / count)
    half = z / (1 + z * z / count) * float(np.sqrt(share * (1 - share) / count + z * z / (4 * count * count)))
    return Interval(share, max(0.0, centre - half), min(1.0, centre + half))


def _rate(hits: int, count: int) -> dict[str, float] | None:
    return wilson(hits, count).to_json() if count else None


def _scored(rows: Sequence[tuple[int, float, str]]) -> Scored:
    labels, logits, patients = zip(*rows, strict=True) if rows else ((), (), ())
    return Scored(np.array(labels, np.int64), np.array(logits, np.float64), np.array(patients, np.str_))
