"""Decision curves: is acting on the model better than acting on all or on none? (Vickers and Elkin 2006)."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from hemo_trainer.figures.intervals import Float64, Interval

THRESHOLDS = tuple(round(float(one), 2) for one in np.arange(0.01, 0.81, 0.01))


def net_benefit(labels: npt.NDArray[np.int64], called: npt.NDArray[np.bool_], threshold: float) -> float:
    """True positives less weighted false positives, an item (doi:10.1177/0272989X06295361).

    Args:
        labels: ``(n,)``, 1 or 0.
        called: ``(n,)``, acted upon.
        threshold: below 1, where acting and not acting are worth the same; a false alarm weighs its odds.
    """
    right = np.count_nonzero(called & (labels == 1))
    wrong = np.count_nonzero(called & (labels == 0))
    return (right - wrong * threshold / (1 - threshold)) / len(labels)


def decision_curve(labels: npt.NDArray[np.int64], chances: Float64) -> dict[str, Any]:
    """Net benefit of the model and of acting on all, at each of :data:`THRESHOLDS`; acting on none has none."""
    everyone = np.ones(len(labels), bool)
    return {
        "prevalence": round(float(labels.mean()), 4),
        "thresholds": list(THRESHOLDS),
        "model": [round(net_benefit(labels, chances >= one, one), 5) for one in THRESHOLDS],
        "all": [round(net_benefit(labels, everyone, one), 5) for one in THRESHOLDS],
    }


PREVALENCES = (0.05, 0.10, 0.15)


def ppv(sensitivity: float, specificity: float, prevalence: float) -> float | None:
    """Share of positive calls that are right (Bayes); None where nothing is called positive."""
    right, wrong = sensitivity * prevalence, (1 - specificity) * (1 - prevalence)
    return right / (right + wrong) if right + wrong else None


def npv(sensitivity: float, specificity: float, prevalence: float) -> float | None:
    """Share of negative calls that are right (Bayes); None where nothing is called negative."""
    return ppv(specificity, sensitivity, 1 - prevalence)


def predictive_values(sensitivity: Interval, specificity: Interval) -> list[dict[str, Any]]:
    """PPV and NPV at each of :data:`PREVALENCES`.

    Both grow with sensitivity and with specificity, so their range is taken from both lower and from both upper limits.
    It is wider than a 95 % interval.
    """
    return [
        {
            "prevalence": prevalence,
            **{
                name: {
                    limit: _rounded(value(getattr(sensitivity, limit), getattr(specificity, limit), prevalence))
                    for limit in ("value", "low", "high")
                }
                for name, value in (("ppv", ppv), ("npv", npv))
            },
        }
        for prevalence in PREVALENCES
    ]


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 4)
