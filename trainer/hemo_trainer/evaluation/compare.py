"""The same series scored twice, as by fp32 and int8 graphs: what changes, with intervals of the differences."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from hemo_core.bundle.contract import ScoringContract
from hemo_core.errors import DatasetError
from hemo_core.inference.scoring import calibrated
from hemo_trainer.evaluation.scored import gather_exams, gather_slices, score_exams, score_slices
from hemo_trainer.figures.intervals import Draws, Interval, Resampling, percentile, to_json
from hemo_trainer.figures.metrics import Scored, auc, auc_value, average_precision, precision_value
from hemo_trainer.figures.ranking import rankings
from hemo_trainer.network.predict import SeriesPrediction


def compared(
    first: Sequence[SeriesPrediction],
    name: str,
    second: Sequence[SeriesPrediction],
    first_name: str,
    scoring: ScoringContract,
    settings: Resampling,
) -> dict[str, Any]:
    """``second`` less ``first``, by source and unit.

    Args:
        first, second: of the same series in the same order.
        name, first_name: of the second's and of the first's graphs.
        scoring: the same for both.
        settings: each resample draws the same patients for both (a paired bootstrap).

    Raises:
        DatasetError: the predictions are not of the same series.
    """
    if [one.records for one in first] != [one.records for one in second]:
        raise DatasetError("two sets of predictions are of different series and cannot be compared")
    rows = []
    for source in sorted({one.records[0].source for one in first}):
        one, other = ([p for p in side if p.records[0].source == source] for side in (first, second))
        slices = gather_slices(score_slices(one, scoring)), gather_slices(score_slices(other, scoring))
        exams = gather_exams(score_exams(one, scoring)), gather_exams(score_exams(other, scoring))
        for unit, (before, after) in (("slice", slices), ("exam", exams)):
            rows.append({"source": source, "unit": unit, **_change(before, after, scoring, settings)})
    return {"first": first_name, "second": name, "rows": rows}


def _change(one: Scored, other: Scored, scoring: ScoringContract, settings: Resampling) -> dict[str, Any]:
    chances, others = (calibrated(scored.logits, scoring.temperature) for scored in (one, other))
    moved = np.abs(chances - others)
    flips = (chances >= scoring.threshold) != (others >= scoring.threshold)
    differences = paired_differences(one, other, settings)
    return {
        "count": len(moved),
        "auc": [to_json(auc(scored, settings)) for scored in (one, other)],
        "auc_difference": to_json(differences.auc),
        "average_precision": [to_json(average_precision(scored, settings)) for scored in (one, other)],
        "average_precision_difference": to_json(differences.average_precision),
        "flips_at_threshold": int(np.count_nonzero(flips)),
        "flips_up": int(np.count_nonzero(flips & (others > chances))),
        "probability_change": {
            "mean": round(float(moved.mean()), 6),
            "p99": round(float(np.quantile(moved, 0.99)), 6),
            "max": round(float(moved.max()), 6),
        },
    }


@dataclass(frozen=True, slots=True)
class Differences:
    """What the second is better by; None where only one class is present."""

    auc: Interval | None
    average_precision: Interval | None


def paired_differences(one: Scored, other: Scored, settings: Resampling) -> Differences:
    """Areas of ``other`` less those of ``one``; each resample draws the same patients for both.

    Args:
        one, other: the same items, scored twice.
        settings: of the bootstrap.
    """
    draws = Draws.of(one.patients, settings)
    before, after = (rankings(scored.labels, scored.logits, draws) for scored in (one, other))
    values = [_less(value(other), value(one)) for value in (auc_value, precision_value)]
    return Differences(
        percentile(values[0], draws, after.auc - before.auc),
        percentile(values[1], draws, after.average_precision - before.average_precision),
    )


def _less(after: float | None, before: float | None) -> float | None:
    return None if after is None or before is None else after - before
