"""The calibration temperature and the operating threshold, both locked on validation data."""

from __future__ import annotations

import numpy as np

from hemo_core.contract import ScoringContract
from hemo_core.inference.scoring import calibrated
from hemo_trainer.metrics import Scored


def lock_scoring(
    slices: Scored, exams: Scored, labels: tuple[str, ...], beta: float, target_sensitivity: float
) -> ScoringContract:
    """Fit the temperature on slices, and lock the threshold where exams reach the target sensitivity.

    The threshold is the largest at which the sensitivity is at least the target, half-way to the next lower score. It
    is taken from exams, the thing that gets a label; where there are too few of them (fewer than five positive, or no
    negative) from slices.
    """
    temperature = fit_temperature(slices)
    positive = int(exams.labels.sum())
    basis = exams if positive >= 5 and positive < len(exams.labels) else slices  # noqa: PLR2004
    threshold = threshold_at(calibrated(basis.logits, temperature), basis, target_sensitivity)
    return ScoringContract(labels=labels, beta=beta, temperature=temperature, threshold=threshold)


def fit_temperature(scored: Scored) -> float:
    """The temperature in [0.25, 8] with the least negative log likelihood (Guo et al. 2017, arXiv:1706.04599)."""
    from scipy.optimize import minimize_scalar

    signs = np.where(scored.labels == 1, 1.0, -1.0)

    def loss(log_temperature: float) -> float:
        return float(np.logaddexp(0, -signs * scored.logits / np.exp(log_temperature)).mean())

    found = minimize_scalar(loss, bounds=(np.log(0.25), np.log(8.0)), method="bounded")
    return round(float(np.exp(found.x)), 6)


def threshold_at(scores: np.ndarray[tuple[int], np.dtype[np.float64]], scored: Scored, sensitivity: float) -> float:
    """The largest threshold with at least that sensitivity, half-way to the next lower score; 0.5 without positives."""
    positives = np.sort(scores[scored.labels == 1])[::-1]
    if not len(positives):
        return 0.5
    last_caught = positives[int(np.ceil(sensitivity * len(positives))) - 1]
    lower = scores[scores < last_caught]
    return round(float((last_caught + (lower.max() if len(lower) else 0.0)) / 2), 6)
