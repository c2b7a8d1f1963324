"""Figures of merit with patient-clustered bootstrap intervals (slices of one patient are not independent)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from hemo_core.bundle.findings import Finding
from hemo_core.inference.scoring import calibrated, scan_logit
from hemo_trainer.datasets.record import exam_label
from hemo_trainer.figures.intervals import Draws, Float64, Interval, Resampling, percentile, wilson
from hemo_trainer.figures.ranking import rankings
from hemo_trainer.network.predict import SeriesPrediction

_SETTINGS = Resampling()


@dataclass(frozen=True, slots=True, eq=False)
class Scored:
    """Labels, logits and the patient of each item (a slice or an exam)."""

    labels: npt.NDArray[np.int64]
    logits: Float64
    patients: npt.NDArray[np.str_]


def slice_scores(predictions: Sequence[SeriesPrediction]) -> Scored:
    """All slices with a label."""
    rows = [
        (record.label, logit, record.patient_key)
        for prediction in predictions
        for record, logit in zip(prediction.records, prediction.logits, strict=True)
        if record.label is not None
    ]
    return _scored(rows)


def exam_scores(predictions: Sequence[SeriesPrediction], beta: float) -> Scored:
    """One scan logit a series; a series is positive as it was read as a whole, else if any slice is."""
    rows = []
    for prediction in predictions:
        logit = scan_logit(np.asarray(prediction.logits, np.float64), beta)
        rows.append((exam_label(prediction.records), logit, prediction.records[0].patient_key))
    return _scored(rows)


def auc_value(scored: Scored) -> float | None:
    """ROC AUC; None where only one class is present."""
    from sklearn.metrics import roc_auc_score

    if not 0 < scored.labels.sum() < len(scored.labels):
        return None
    return float(roc_auc_score(scored.labels, scored.logits))


def precision_value(scored: Scored) -> float | None:
    """Average precision, the area under the precision-recall curve; None where only one class is present."""
    from sklearn.metrics import average_precision_score

    if not 0 < scored.labels.sum() < len(scored.labels):
        return None
    return float(average_precision_score(scored.labels, scored.logits))


def auc(scored: Scored, settings: Resampling = _SETTINGS) -> Interval | None:
    """ROC AUC with a bootstrap over patients; None where only one class is present."""
    value = auc_value(scored)
    if value is None:
        return None
    draws = Draws.of(scored.patients, settings)
    return percentile(value, draws, rankings(scored.labels, scored.logits, draws).auc)


def average_precision(scored: Scored, settings: Resampling = _SETTINGS) -> Interval | None:
    """Average precision with a bootstrap over patients; None where only one class is present."""
    value = precision_value(scored)
    if value is None:
        return None
    draws = Draws.of(scored.patients, settings)
    return percentile(value, draws, rankings(scored.labels, scored.logits, draws).average_precision)


def at_threshold(scored: Scored, finding: Finding) -> dict[str, Any]:
    """Confusion matrix, sensitivity and specificity (Wilson intervals) and scikit-learn's classification report."""
    from sklearn.metrics import classification_report, confusion_matrix

    called = (calibrated(scored.logits, finding.temperature) >= finding.threshold).astype(int)
    matrix = confusion_matrix(scored.labels, called, labels=[0, 1])
    (true_negative, false_positive), (false_negative, true_positive) = matrix.tolist()
    return {
        "confusion_matrix": matrix.tolist(),
        "sensitivity": _rate(true_positive, true_positive + false_negative),
        "specificity": _rate(true_negative, true_negative + false_positive),
        "classification_report": classification_report(
            scored.labels, called, labels=[0, 1], target_names=[f"no {finding.text}", finding.text], zero_division=0
        ),
    }


def _rate(hits: int, count: int) -> dict[str, float] | None:
    return wilson(hits, count).to_json() if count else None


def _scored(rows: Sequence[tuple[int, float, str]]) -> Scored:
    labels, logits, patients = zip(*rows, strict=True) if rows else ((), (), ())
    return Scored(np.array(labels, np.int64), np.array(logits, np.float64), np.array(patients, np.str_))
