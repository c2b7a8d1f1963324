"""Whether a probability of 0.3 means three in ten."""

from __future__ import annotations

from typing import Any

import numpy as np

from hemo_core.inference.scoring import calibrated
from hemo_trainer.figures.intervals import Draws, Float64, Resampling, percentile, to_json, wilson
from hemo_trainer.figures.metrics import Scored

BINS = 10


def calibration(scored: Scored, temperature: float, settings: Resampling) -> dict[str, Any]:
    """Calibration of ``sigmoid(logit / temperature)``.

    Returns:
        ``brier`` with a patient-clustered interval, ``ece``, ``intercept`` and ``slope`` of the logistic recalibration
        (Cox 1958; 0 and 1 if calibrated; None where the scores separate the classes), and the ``bins`` of the
        reliability plot.
    """
    from sklearn.metrics import brier_score_loss

    chances = calibrated(scored.logits, temperature)
    draws = Draws.of(scored.patients, settings)
    squares = draws.means((chances - scored.labels) ** 2, np.ones(len(chances), bool))

    intercept, slope = _recalibration(scored, temperature)
    return {
        "temperature": temperature,
        "brier": to_json(percentile(float(brier_score_loss(scored.labels, chances)), draws, squares)),
        "ece": round(expected_calibration_error(scored, chances), 4),
        "intercept": intercept,
        "slope": slope,
        "bins": reliability(scored, chances),
    }


def expected_calibration_error(scored: Scored, chances: Float64) -> float:
    """Mean distance of probability and observed share over ten bins of equal width, weighted by their size.

    The binary form of Naeini et al. 2015 (AAAI): the probability of the finding, not that of the likelier class.
    """
    return float(
        sum(inside.sum() * abs(chances[inside].mean() - scored.labels[inside].mean()) for inside in _bins(chances))
        / len(chances)
    )


def reliability(scored: Scored, chances: Float64) -> list[dict[str, Any]]:
    """Of each bin that holds anything: mean probability, observed share with Wilson's interval, and number of items."""
    return [
        {
            "mean": round(float(chances[inside].mean()), 4),
            "observed": wilson(int(scored.labels[inside].sum()), int(inside.sum())).to_json(),
            "count": int(inside.sum()),
        }
        for inside in _bins(chances)
    ]


def _bins(chances: Float64) -> list[Any]:
    """A mask for each bin of equal width that holds anything; 1.0 lies in the last."""
    place = np.minimum((chances * BINS).astype(int), BINS - 1)
    return [place == one for one in np.unique(place)]


def _recalibration(scored: Scored, temperature: float) -> tuple[float | None, float | None]:
    from sklearn.linear_model import LogisticRegression

    positive = scored.labels == 1
    if not positive.any() or positive.all():
        return None, None
    if scored.logits[positive].min() > scored.logits[~positive].max():
        return None, None
    model = LogisticRegression(C=np.inf, tol=1e-8, max_iter=1000)
    model.fit(scored.logits[:, None] / temperature, scored.labels)
    return round(float(model.intercept_[0]), 4), round(float(model.coef_[0, 0]), 4)
