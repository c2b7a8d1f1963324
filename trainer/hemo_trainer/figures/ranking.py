"""AUC and average precision of many resamples at once.

scikit-learn gives the same numbers for one resample a call (a test holds both side by side), but a report needs some
hundred thousand of them: minutes there, seconds here.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from hemo_trainer.figures.intervals import Draws, Float64

_VALUES_AT_ONCE = 2_000_000


@dataclass(frozen=True, slots=True, eq=False)
class Ranking:
    """Both areas of each resample, ``(resamples,)``, NaN where it holds one class only."""

    auc: Float64
    average_precision: Float64


def rankings(labels: npt.NDArray[np.int64], scores: Float64, draws: Draws) -> Ranking:
    """Areas under the ROC and the precision-recall curve in each resample; ties count half, as in scikit-learn.

    Args:
        labels: ``(n,)``, 1 or 0.
        scores: ``(n,)``, greater means more likely 1.
        draws: over the same items.
    """
    order = np.argsort(-scores, kind="stable")
    last_of_tie = np.flatnonzero(np.append(np.diff(scores[order]) != 0, True))
    positive, owner = labels[order] == 1, draws.owner[order]
    step = max(1, _VALUES_AT_ONCE // len(labels))
    parts = [
        _areas(draws.times[first : first + step][:, owner], positive, last_of_tie)
        for first in range(0, len(draws.times), step)
    ]
    return Ranking(np.concatenate([auc for auc, _ in parts]), np.concatenate([area for _, area in parts]))


def _areas(
    weights: Float64, positive: npt.NDArray[np.bool_], last_of_tie: npt.NDArray[np.intp]
) -> tuple[Float64, Float64]:
    """Of ``weights`` ``(resamples, n)``, items in falling order of their score."""
    hits = np.cumsum(weights * positive, axis=1)[:, last_of_tie]
    alarms = np.cumsum(weights * ~positive, axis=1)[:, last_of_tie]
    new_hits, new_alarms = np.diff(hits, prepend=0.0), np.diff(alarms, prepend=0.0)
    with np.errstate(invalid="ignore", divide="ignore"):
        auc = np.sum(new_alarms * (hits - new_hits / 2), axis=1) / (hits[:, -1] * alarms[:, -1])
        precision = np.nan_to_num(hits / (hits + alarms))
        area = np.sum(new_hits * precision, axis=1) / hits[:, -1]
    area[np.isnan(auc)] = np.nan
    return np.asarray(auc, np.float64), np.asarray(area, np.float64)
