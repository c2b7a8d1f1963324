"""AUC out of fold against the number of training patients: whether more patients would help, or something else."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from hemo_trainer.config import load_config
from hemo_trainer.data.prepared import load_data
from hemo_trainer.figures.plots import new_figure, save_figure
from hemo_trainer.runs.crossval import cross_validate
from hemo_trainer.runs.out_of_fold import summarise
from hemo_trainer.runs.pretrain import pretrained_weights
from hemo_trainer.runs.recipe import begin, recipe_of

SHARES = (0.25, 0.5, 1.0)


def learning_curve(
    config_path: Path,
    out: Path,
    *,
    cache: Path,
    folds: int = 3,
    jobs: int = 1,
    shares: Sequence[float] = SHARES,
    pretrained: Path | None = None,
) -> list[dict[str, Any]]:
    """Cross-validate on the train and val sides with a growing share of the patients that each fold may train on.

    Every point scores the same patients, after the same number of steps; where there is a first phase, which sees none
    of them, it alone is the point at 0 patients. Writes ``learning_curve.json`` and ``learning_curve.png``; a fold that
    is done is not done again.

    Args:
        config_path: TOML file, see :mod:`hemo_trainer.config`.
        out: folder; each share gets a cross-validation in a folder of its own.
        cache: folder of preprocessed slices.
        folds, jobs: as :func:`~hemo_trainer.runs.crossval.cross_validate` takes them.
        shares: of the patients, in (0, 1].
        pretrained: weights of a first phase made earlier with the same configuration.

    Returns:
        JSON-ready, a point for each share: ``share``, ``patients`` (mean over the folds) and ``figures``, AUC with
        intervals by source and unit.

    Raises:
        SettingsError, DatasetError, PatientLeak: as their sources say.
        TrainingError: ``out`` holds what was made otherwise, or the loss became NaN.
    """
    config = load_config(config_path)
    data = load_data(config, config.input, cache)
    begin(out, recipe_of(config, data))
    start = pretrained or pretrained_weights(config, data, out / "pretrained.weights.h5")
    points: list[dict[str, Any]] = []
    for share in sorted(shares):
        folder = out / f"share-{share:g}"
        cross_validate(config_path, folder, cache=cache, folds=folds, jobs=jobs, pretrained=start, share=share)
        found = summarise(config_path, folder, cache=cache)
        if start and not points:
            points.append({"share": 0.0, "patients": 0, "figures": _of_kind(found, "first_phase")})
        points.append({"share": share, "patients": _patients(found), "figures": _of_kind(found, "plain")})
    (out / "learning_curve.json").write_text(json.dumps(points, indent=2) + "\n", encoding="utf-8")
    plot_learning_curve(points, out / "learning_curve.png")
    return points


def _patients(found: dict[str, Any]) -> int:
    counts: list[int] = [cost["patients"] for cost in found["cost"]]
    return round(sum(counts) / len(counts))


def _of_kind(found: dict[str, Any], kind: str) -> dict[str, Any]:
    return {where: kinds[kind] for where, kinds in found["figures"].items()}


def plot_learning_curve(points: Sequence[dict[str, Any]], path: Path) -> None:
    """AUC with intervals against the number of training patients, a line for each source and unit."""
    figure, (axis,) = new_figure(1, 1, size=(6, 4.5))
    for where in points[0]["figures"]:
        known = [(point["patients"], one) for point in points if (one := point["figures"][where]) is not None]
        if not known:
            continue  # one class only, as in a source where every patient bleeds
        patients = [count for count, _ in known]
        values = [one["value"] for _, one in known]
        below = [one["value"] - one["low"] for _, one in known]
        above = [one["high"] - one["value"] for _, one in known]
        axis.errorbar(patients, values, yerr=(below, above), marker="o", capsize=3, label=where)
    axis.set(xlabel="training patients", ylabel="AUC out of fold, 95 % interval by patient")
    axis.legend(fontsize=8)
    save_figure(figure, path)
