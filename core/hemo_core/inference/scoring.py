"""Slice logits → scan logit → calibrated probability → label."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, TypeAlias, TypeVar

import numpy as np
import numpy.typing as npt

from hemo_core.bundle.contract import ScoringContract
from hemo_core.bundle.findings import NO_FINDING, REVIEW, Finding
from hemo_core.errors import ScoringFailed

Doubles: TypeAlias = npt.NDArray[np.float64]
Numbers = TypeVar("Numbers", bound=npt.NDArray[Any])


@dataclass(frozen=True, slots=True, eq=False)
class FindingScore:
    """The score of one scan for one finding.

    Attributes:
        logit: the scan logit, before calibration.
        probability: calibrated, in [0, 1].
        slice_logits: ``(slices,)``, before calibration.
        slice_probabilities: ``(slices,)``, calibrated with the same temperature.
    """

    finding: Finding
    logit: float
    probability: float
    slice_logits: Doubles
    slice_probabilities: Doubles


@dataclass(frozen=True, slots=True, eq=False)
class ScanScore:
    """The score of one scan.

    Attributes:
        findings: in the order of the model's output channels.
        label: the primary finding's name at or above its threshold; ``review`` for a scan below it that holds a slice
            at or above it; else ``no_finding``.
    """

    findings: tuple[FindingScore, ...]
    label: str

    @property
    def primary(self) -> FindingScore:
        """The score that decided the label."""
        return next(score for score in self.findings if score.finding.role == "primary")

    @property
    def probability(self) -> float:
        """Of the primary finding."""
        return self.primary.probability

    @property
    def slice_probabilities(self) -> Doubles:
        """``(slices,)``, of the primary finding."""
        return self.primary.slice_probabilities


def score_scan(logits: npt.ArrayLike, scoring: ScoringContract) -> ScanScore:
    """Score one scan.

    Args:
        logits: ``(slices, L)`` in anatomical order, at least one slice.
        scoring: the bundle's scoring contract, of L findings.

    Raises:
        ScoringFailed: a logit is NaN or infinite, there is no slice, or there are other than L logits a slice.
    """
    values: Doubles = require_finite(np.asarray(logits, np.float64))
    if values.shape[1:] != (len(scoring.findings),):
        raise ScoringFailed(f"logits {values.shape} for {len(scoring.findings)} findings")
    scores = tuple(
        _score(values[:, channel], finding, scoring.beta) for channel, finding in enumerate(scoring.findings)
    )
    return ScanScore(scores, label_of(scores[scoring.channel]))


def label_of(score: FindingScore) -> str:
    """The scan's label; a single suspicious slice is never lost in the mean.

    Args:
        score: of the primary finding.
    """
    threshold = score.finding.threshold
    if score.probability >= threshold:
        return score.finding.name
    return REVIEW if bool(np.any(score.slice_probabilities >= threshold)) else NO_FINDING


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


def _score(logits: Doubles, finding: Finding, beta: float) -> FindingScore:
    logit = scan_logit(logits, beta)
    probability = float(calibrated(np.asarray(logit), finding.temperature))
    return FindingScore(finding, logit, probability, logits, calibrated(logits, finding.temperature))
