"""All figures of one set of items: slices, or exams."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from hemo_core.bundle.contract import ScoringContract
from hemo_core.inference.scoring import calibrated
from hemo_trainer.evaluation.calibration import calibration
from hemo_trainer.evaluation.decision import decision_curve, predictive_values
from hemo_trainer.figures.calibrate import threshold_at
from hemo_trainer.figures.delong import delong
from hemo_trainer.figures.intervals import Draws, Interval, Resampling, percentile, to_json, wilson
from hemo_trainer.figures.metrics import Scored, auc, average_precision

SENSITIVITIES = (0.90, 0.95)
_CURVE_POINTS = 400

Called = npt.NDArray[np.bool_]


def unit_figures(
    scored: Scored, scoring: ScoringContract, settings: Resampling, *, suspicious: Called | None = None
) -> dict[str, Any]:
    """Everything that is measured on one set of items.

    Args:
        scored: at least one item.
        scoring: gives temperature and threshold.
        settings: of the bootstrap.
        suspicious: for exams, ``(n,)``, whether any slice lies at or above the threshold; such an exam is labelled
            with the finding, or review.

    Returns:
        JSON-ready; None for what needs two classes where there is one. Described in ``docs/evidence.md``.
    """
    both = 0 < scored.labels.sum() < len(scored.labels)
    chances = calibrated(scored.logits, scoring.temperature)
    exams = suspicious is not None
    return {
        "count": len(scored.labels),
        "positive": int(scored.labels.sum()),
        "patients": len(np.unique(scored.patients)),
        "auc": to_json(auc(scored, settings)),
        "auc_delong": to_json(delong(scored.labels, scored.logits)) if exams else None,
        "average_precision": to_json(average_precision(scored, settings)),
        "curves": _curves(scored) if both else None,
        "operating_points": _operating_points(scored, chances, scoring, settings, suspicious),
        "classification_report": _report(scored, chances >= scoring.threshold, class_names(scoring.primary.text)),
        "calibration": {
            "before": calibration(scored, 1.0, settings),
            "after": calibration(scored, scoring.temperature, settings),
        },
        "decision": decision_curve(scored.labels, chances) if both else None,
    }


def class_names(finding: str) -> tuple[str, str]:
    """What people call the two classes."""
    return f"no {finding}", finding


def rate(called: Called, rows: Called, patients: npt.NDArray[np.str_], settings: Resampling) -> dict[str, Any] | None:
    """The share of called items among those chosen by ``rows``, with Wilson's and a patient-clustered interval.

    Args:
        called, rows: ``(n,)``.
        patients: ``(n,)``, the patient of each item.

    Returns:
        None where nothing is chosen; ``clustered`` is None with a single patient.
    """
    hits, count = int(np.count_nonzero(called & rows)), int(np.count_nonzero(rows))
    if not count:
        return None
    draws = Draws.of(patients, settings)
    by_patient = percentile(hits / count, draws, draws.means(called, rows))
    return {
        **wilson(hits, count).to_json(),
        "hits": hits,
        "count": count,
        "clustered": None if by_patient is None else [round(by_patient.low, 4), round(by_patient.high, 4)],
    }


def _operating_points(
    scored: Scored,
    chances: npt.NDArray[np.float64],
    scoring: ScoringContract,
    settings: Resampling,
    suspicious: Called | None,
) -> list[dict[str, Any]]:
    """At the locked threshold, with and without exams for review, and where these data reach each sensitivity."""
    locked = chances >= scoring.threshold
    points = [_point("locked", scoring.threshold, locked, scored, settings)]
    if suspicious is not None:
        points.append(_point("locked_or_review", scoring.threshold, locked | suspicious, scored, settings))
    if scored.labels.any():
        for wanted in SENSITIVITIES:
            threshold = threshold_at(chances, scored, wanted)
            points.append(_point(f"sensitivity_{wanted:.2f}", threshold, chances >= threshold, scored, settings))
    return points


def _point(name: str, threshold: float, called: Called, scored: Scored, settings: Resampling) -> dict[str, Any]:
    from sklearn.metrics import confusion_matrix

    positive = scored.labels == 1
    sensitivity = rate(called, positive, scored.patients, settings)
    specificity = rate(~called, ~positive, scored.patients, settings)
    return {
        "name": name,
        "threshold": round(threshold, 6),
        "confusion_matrix": confusion_matrix(scored.labels, called.astype(int), labels=[0, 1]).tolist(),
        "sensitivity": sensitivity,
        "specificity": specificity,
        "predictive_values": _predictive(sensitivity, specificity),
    }


def _predictive(
    sensitivity: Mapping[str, Any] | None, specificity: Mapping[str, Any] | None
) -> list[dict[str, Any]] | None:
    if sensitivity is None or specificity is None:
        return None
    first, second = (Interval(one["value"], one["low"], one["high"]) for one in (sensitivity, specificity))
    return predictive_values(first, second)


def _curves(scored: Scored) -> dict[str, list[list[float]]]:
    """Points of the ROC curve (1 − specificity, sensitivity) and of the precision-recall curve (recall, precision)."""
    from sklearn.metrics import precision_recall_curve, roc_curve

    false_positive, true_positive, _ = roc_curve(scored.labels, scored.logits)
    precision, recall, _ = precision_recall_curve(scored.labels, scored.logits, drop_intermediate=True)
    return {"roc": _points(false_positive, true_positive), "pr": _points(recall[::-1], precision[::-1])}


def _points(x: npt.NDArray[np.float64], y: npt.NDArray[np.float64]) -> list[list[float]]:
    """At most so many points of a curve, its ends among them."""
    kept = np.unique(np.linspace(0, len(x) - 1, min(len(x), _CURVE_POINTS)).astype(int))
    return [[round(float(a), 4), round(float(b), 4)] for a, b in zip(x[kept], y[kept], strict=True)]


def _report(scored: Scored, called: Called, names: tuple[str, str]) -> dict[str, Any]:
    from sklearn.metrics import classification_report

    found: dict[str, Any] = classification_report(
        scored.labels, called.astype(int), labels=[0, 1], target_names=list(names), output_dict=True, zero_division=0
    )
    return {
        row: {name: round(float(value), 4) for name, value in cells.items()} if isinstance(cells, dict) else cells
        for row, cells in found.items()
    }
