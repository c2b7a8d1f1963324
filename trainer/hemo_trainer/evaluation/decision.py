"""Decision curves: is acting on the model better than acting on all or on none? (Vickers and Elkin 2006)."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from hemo_trainer.figures.intervals import Float64

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
