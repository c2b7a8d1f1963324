"""The calibration temperature and the operating threshold, both locked on validation data."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from hemo_core.bundle.findings import Finding, Measured, Role, named
from hemo_core.inference.scoring import calibrated
from hemo_trainer.figures.metrics import Scored

_FEWEST_POSITIVE_EXAMS = 5


@dataclass(frozen=True, slots=True, eq=False)
class Validated:
    """One source's validation scores."""

    slices: Scored
    exams: Scored


def lock_finding(
    sources: Sequence[Validated], name: str, role: Role, target_sensitivity: float, measured: Measured | None
) -> Finding:
    """Fit the temperature on all slices, and lock the threshold at which *every* source reaches the target sensitivity.

    Pooled, a source with plain findings would hide that another's subtle ones are missed. A source's threshold is taken
    from its exams, the thing that gets a label; from its slices where fewer than five exams are positive or none is
    negative. A source that does not tell of the finding has no say; where none does, nothing is calibrated.

    Args:
        sources: validation scores of the finding.
        name, role: of the finding.
        target_sensitivity: to be reached.
        measured: its AUC.
    """
    known = [source for source in sources if len(source.slices.labels)]
    temperature = fit_temperature(pooled([source.slices for source in known])) if known else 1.0
    thresholds = [_threshold(source, temperature, target_sensitivity) for source in known]
    return replace(named(name, role, temperature=temperature, threshold=min(thresholds, default=0.5)), auc=measured)


def pooled(sources: Sequence[Scored]) -> Scored:
    """All items of all sources."""
    labels, logits, patients = (
        np.concatenate([getattr(source, name) for source in sources]) for name in ("labels", "logits", "patients")
    )
    return Scored(labels, logits, patients)


def _threshold(source: Validated, temperature: float, target: float) -> float:
    positive = int(source.exams.labels.sum())
    few = positive < _FEWEST_POSITIVE_EXAMS or positive == len(source.exams.labels)
    basis = source.slices if few else source.exams
    return threshold_at(calibrated(basis.logits, temperature), basis, target)


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
