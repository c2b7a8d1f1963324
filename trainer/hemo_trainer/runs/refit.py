"""The released model: fitted to every patient that is not kept back, measured by the cross-validation that chose it."""

from __future__ import annotations

import shutil
from pathlib import Path

from hemo_core.errors import TrainingError
from hemo_core.files import replacing_path
from hemo_core.training_run import RUN, Epochs
from hemo_trainer.config import TrainConfig, load_config
from hemo_trainer.data.prepared import TrainingData, load_data, training_rows
from hemo_trainer.figures.plots import plot_distribution, redraw_curves
from hemo_trainer.network.model import Network, average_with_start, build_network
from hemo_trainer.runs.crossval import fit_fixed
from hemo_trainer.runs.finish import Predictions, write_run
from hemo_trainer.runs.fold_predictions import read_crossval, read_predictions
from hemo_trainer.runs.heatmaps import maps_out_of_fold
from hemo_trainer.runs.pretrain import pretrained_weights
from hemo_trainer.runs.recipe import begin, recipe_of


def refit(config_path: Path, out: Path, *, crossval: Path, cache: Path, pretrained: Path | None = None) -> Path:
    """Fit to all patients but the test side's, for as long as each fold was; write the run folder.

    Calibration, threshold and figures come from the out-of-fold predictions of ``crossval``, since the model itself
    has seen those patients; predictions of test patients are left out of them, and the model scores these once. A refit
    that was stopped after fitting goes on from its weights.

    Args:
        config_path: TOML file, the one that was cross-validated.
        out: the run folder; must not hold anything yet.
        crossval: folder of :func:`hemo_trainer.runs.crossval.cross_validate`.
        cache: folder of preprocessed slices.
        pretrained: weights of the first phase; default those of ``crossval``.

    Returns:
        ``out``.

    Raises:
        SettingsError, DatasetError, PatientLeak: as their sources say.
        TrainingError: ``out`` holds a finished run or weights that were made otherwise, or the folds are not finished,
            or they were made with another configuration, other data, or some of the patients.
    """
    if (out / RUN).is_file():
        raise TrainingError("run folder holds a finished run", path=str(out), hint="name another")
    config = load_config(config_path)
    data = load_data(config, config.input, cache)
    if read_crossval(crossval).share < 1:
        raise TrainingError("was fitted to a share of the patients only", path=str(crossval), hint="run `crossval`")
    kept_back = frozenset(record.patient_key for record in data.sides["test"])
    predictions: Predictions = {}
    for prediction in read_predictions(crossval, config, data):
        if prediction.records[0].patient_key not in kept_back:
            predictions.setdefault(prediction.records[0].source, []).append(prediction)
    begin(out, recipe_of(config, data))
    shutil.copyfile(config_path, out / "config.toml")
    plot_distribution(data, out / "data_distribution.png")
    network = _fitted(config, data, kept_back, out, pretrained or crossval / "pretrained.weights.h5")
    if (out / "history.csv").is_file():
        redraw_curves(out / "history.csv")
    epochs = Epochs(trained=config.fit.epochs, kept=config.fit.epochs)
    maps = maps_out_of_fold(config, data, network, crossval)
    write_run(config, data, network, out, chosen_on=("out_of_fold", predictions), epochs=epochs, measure_maps=maps)
    return out


def _fitted(config: TrainConfig, data: TrainingData, kept_back: frozenset[str], out: Path, start: Path) -> Network:
    """The network fitted to everyone who is not kept back, now or by a run that was stopped later."""
    weights = out / "model.weights.h5"
    if weights.is_file():
        network = build_network(config.input, len(config.findings), config.architecture)
        network.model.load_weights(weights)
        return network
    first = pretrained_weights(config, data, start)
    network, _ = fit_fixed(config, data, training_rows(data, kept_back), first, history=out / "history.csv")
    if first:
        average_with_start(network, first, config.fit.start_share)
    with replacing_path(weights) as path:
        network.model.save_weights(path)
    return network
