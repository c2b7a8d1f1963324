"""What a positive and a negative call are worth at a prevalence that the data do not have."""

from __future__ import annotations

from typing import Any

from hemo_trainer.figures.intervals import Interval

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
