"""What a cross-validation found: figures of each source out of fold, and what the recurrence and the flip are worth."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from hemo_core.errors import TrainingError
from hemo_core.records import encode, load
from hemo_trainer.config import load_config
from hemo_trainer.data.prepared import load_data
from hemo_trainer.evaluation.compare import paired_differences
from hemo_trainer.figures.intervals import Resampling, to_json
from hemo_trainer.figures.metrics import Scored, auc, exam_scores, slice_scores
from hemo_trainer.network.ablation import ABLATIONS
from hemo_trainer.network.predict import SeriesPrediction
from hemo_trainer.runs.fold_predictions import COST, FoldCost, read_crossval, read_predictions

BASELINE = "cnn"


def summarise(config_path: Path, out: Path, *, cache: Path) -> dict[str, Any]:
    """Measure the out-of-fold predictions of a cross-validation and write ``out/figures.json``.

    Args:
        config_path, cache: as the cross-validation was given them.
        out: its folder.

    Returns:
        JSON-ready. ``figures``: AUC by source, unit and kind (``plain``, ``averaged`` over a left-right flip, the
        network before its weights were averaged with the first phase's, these alone, and the ablated models, where
        they were fitted). ``differences``: ΔAUC with paired intervals by patient; of ``averaged`` against ``plain``, of
        ``plain`` against what it was averaged from, and of each ablated model against the CNN alone. ``cost``: of each
        fold.

    Raises:
        TrainingError: a fold is missing, or configuration or data are not those of the cross-validation.
    """
    config = load_config(config_path)
    data = load_data(config, config.input, cache)
    described = read_crossval(out)
    stages = ("tuned", "first_phase") if described.first_phase else ()
    ablated = ABLATIONS if described.ablate else ()
    kinds = ["plain", "averaged", *stages, *ablated]
    predictions = {kind: read_predictions(out, config, data, kind) for kind in kinds}
    pairs = [("plain", "averaged"), *((stage, "plain") for stage in stages)]
    pairs += [(BASELINE, kind) for kind in ablated[1:]]
    units = {kind: _units(found, config.fit.beta) for kind, found in predictions.items()}
    found = {
        "folds": len(described.folds),
        "sides": list(described.sides),
        "figures": {
            where: {kind: to_json(auc(units[kind][where], Resampling())) for kind in kinds} for where in units["plain"]
        },
        "differences": {
            where: {
                f"{other} − {one}": to_json(
                    paired_differences(units[one][where], units[other][where], Resampling()).auc
                )
                for one, other in pairs
            }
            for where in units["plain"]
        },
        "cost": [encode(_cost(out / f"fold-{number}" / COST)) for number in range(len(described.folds))],
    }
    (out / "figures.json").write_text(json.dumps(found, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
    return found


def _cost(path: Path) -> FoldCost:
    return load(FoldCost, path.read_bytes(), error=TrainingError, path=path)


def _units(predictions: Sequence[SeriesPrediction], beta: float) -> dict[str, Scored]:
    """Scores by ``source slices`` and ``source exams``."""
    found = {}
    for source in sorted({one.records[0].source for one in predictions}):
        of_source = [one for one in predictions if one.records[0].source == source]
        found[f"{source} slices"] = slice_scores(of_source)
        found[f"{source} exams"] = exam_scores(of_source, beta)
    return found
