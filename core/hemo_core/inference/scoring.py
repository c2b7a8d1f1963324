"""Slice logits → scan logit → calibrated probability → label."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal, TypeAlias, TypeVar

import numpy as np
import numpy.typing as npt

from hemo_core.bundle.contract import ScoringContract
from hemo_core.errors import ScoringFailed

Doubles: TypeAlias = npt.NDArray[np.float64]
Numbers = TypeVar("Numbers", bound=npt.NDArray[Any])
Label = Literal["hemorrhage", "review", "no_finding"]


@dataclass(frozen=True, slots=True, eq=False)
class ScanScore:
    """The score of one scan, for label 0.

    Attributes:
        logit: the scan logit, before calibration.
        probability: calibrated, in [0, 1].
        slice_logits: ``(slices,)``, before calibration.
        slice_probabilities: ``(slices,)``, calibrated with the same temperature.
        label: ``review`` for a scan below the threshold that holds a slice at or above it.
    """

    logit: float
    probability: float
    slice_logits: Doubles
    slice_probabilities: Doubles
    label: Label


def score_scan(logits: npt.ArrayLike, scoring: ScoringContract) -> ScanScore:
    """Score one scan.

    Args:
        logits: ``(slices, L)`` in anatomical order, at least one slice.
        scoring: the bundle's scoring contract.

    Raises:
        ScoringFailed: a logit is NaN or infinite, or there is no slice.
    """
    values: Doubles = require_finite(np.asarray(logits, np.float64))[:, 0]
    logit = scan_logit(values, scoring.beta)
    probability = float(calibrated(np.asarray(logit), scoring.temperature))
    slices = calibrated(values, scoring.temperature)
    return ScanScore(logit, probability, values, slices, label_of(probability, slices, scoring.threshold))


def scan_logit(slice_logits: Doubles, beta: float) -> float:
    """Σ zᵢ·softmax(β·zᵢ): between the mean (β = 0) and the greatest (β → ∞) of the slice logits ``(slices,)``.

    As a weighted mean it does not grow with the number of slices.
    """
    scaled = beta * slice_logits
    weights = np.exp(scaled - scaled.max())
    return float(np.sum(slice_logits * (weights / weights.sum())))


def calibrated(logits: Doubles, temperature: float) -> Doubles:
    """sigmoid(logit / temperature), same shape, without overflow (Guo et al. 2017, arXiv:1706.04599)."""
    scaled = np.asarray(logits, np.float64) / temperature
    small = np.exp(-np.abs(scaled))
    return np.where(scaled >= 0, 1.0, small) / (1.0 + small)


def label_of(probability: float, slice_probabilities: Doubles, threshold: float) -> Label:
    """The scan's label; a single suspicious slice is never lost in the mean."""
    if probability >= threshold:
        return "hemorrhage"
    return "review" if bool(np.any(slice_probabilities >= threshold)) else "no_finding"


def require_finite(logits: Numbers) -> Numbers:
    """The array ``logits`` as given.

    Raises:
        ScoringFailed: they are empty or hold NaN or infinity.
    """
    if logits.shape[0] == 0:
        raise ScoringFailed("the scan has no slice to score")
    bad = int(np.count_nonzero(~np.isfinite(logits)))
    if bad:
        raise ScoringFailed(f"the model gave {bad} logits that are no number", hint="score the scan on another device")
    return logits
