"""The released model: fitted to every patient that is not kept back, measured by the cross-validation that chose it."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

from hemo_core.errors import TrainingError
from hemo_trainer.config import load_config
from hemo_trainer.crossval import fit_fixed, read_predictions, training_rows
from hemo_trainer.data import load_data
from hemo_trainer.finish import Predictions, write_run
from hemo_trainer.plots import plot_distribution, redraw_curves
from hemo_trainer.pretrain import pretrained_weights


def refit(config_path: Path, out: Path, *, crossval: Path, cache: Path, pretrained: Path | None = None) -> Path:
    """Fit to all patients but the test side's, for as long as each fold was; write the run folder.

    Calibration, threshold and figures come from the out-of-fold predictions of ``crossval``, since the model itself
    has seen those patients; test patients are scored once.

    Args:
        config_path: TOML file, the one that was cross-validated.
        out: the run folder; must not hold anything yet.
        crossval: folder of :func:`hemo_trainer.crossval.cross_validate` over the train and val sides.
        cache: folder of preprocessed slices.
        pretrained: weights of the first phase; default those of ``crossval``.

    Returns:
        ``out``.

    Raises:
        SettingsError, DatasetError, PatientLeak: as their sources say.
        TrainingError: ``out`` is not empty, or the folds hold test patients, or are not finished.
    """
    if out.exists() and any(out.iterdir()):
        raise TrainingError("run folder is not empty", path=str(out), hint="name another")
    sides = json.loads((crossval / "crossval.json").read_text(encoding="utf-8"))["sides"]
    if "test" in sides:
        raise TrainingError(
            "its folds trained on test patients", path=str(crossval), hint="cross-validate the sides train and val"
        )
    config = load_config(config_path)
    data = load_data(config, config.input, cache)
    predictions: Predictions = {}
    for prediction in read_predictions(crossval, data):
        predictions.setdefault(prediction.records[0].source, []).append(prediction)
    out.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(config_path, out / "config.toml")
    plot_distribution(data, out / "data_distribution.png")
    start = pretrained or pretrained_weights(config, data, crossval / "pretrained.weights.h5")
    kept_back = frozenset(record.patient_key for record in data.sides["test"])
    rows = training_rows(data, kept_back)
    network, _ = fit_fixed(config, data, rows, start, history=out / "history.csv")
    redraw_curves(out / "history.csv")
    epochs = {"trained": config.fit.epochs, "kept": config.fit.epochs}
    write_run(config, data, network, out, chosen_on=("out_of_fold", predictions), epochs=epochs)
    return out
