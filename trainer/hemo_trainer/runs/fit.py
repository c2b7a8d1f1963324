"""A training run: configuration in, run folder out.

The run folder holds ``config.toml``, ``history.csv``, ``curves.png``, checkpoints, and at the end what the exporter
needs: ``model.keras``, ``run.json``, ``MODEL_CARD.md`` and ``evidence/``.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from hemo_core.errors import TrainingError
from hemo_core.records import load
from hemo_trainer.config import TrainConfig, load_config
from hemo_trainer.data.prepared import TrainingData, load_data
from hemo_trainer.figures.metrics import auc_value, exam_scores, slice_scores
from hemo_trainer.figures.plots import plot_batch, plot_distribution, redraw_curves
from hemo_trainer.network.model import Network, start_network
from hemo_trainer.network.predict import KerasSliceModel, predict_series
from hemo_trainer.runs.finish import finish_run
from hemo_trainer.runs.recipe import begin, recipe_of
from hemo_trainer.steps.batches import StepBuilder
from hemo_trainer.steps.sampling import Sampler


def train(
    config_path: Path,
    out: Path,
    *,
    resume: bool = False,
    finish: bool = False,
    tensorboard: bool = False,
    cache: Path | None = None,
) -> Path:
    """Fit a model and write its run folder.

    Args:
        config_path: TOML file, see :mod:`hemo_trainer.config`.
        out: the run folder; must not exist unless ``resume``.
        resume: go on after the last finished epoch of ``out``.
        finish: with ``resume``: train no further, finish with the best epoch so far.
        tensorboard: also write TensorBoard logs to ``out/tensorboard``.
        cache: where preprocessed slices are kept; ``out/cache`` by default.

    Returns:
        ``out``.

    Raises:
        SettingsError, DatasetError, PatientLeak: see :func:`load_config` and :func:`load_data`.
        TrainingError: ``out`` exists, or there is nothing to resume, or it was begun with another configuration, other
            data or another version, or the loss became NaN.
    """
    config = load_config(config_path)
    _prepare_folder(config_path, out, resume=resume)
    data = load_data(config, config.input, cache or out / "cache")
    begin(out, recipe_of(config, data))
    plot_distribution(data, out / "data_distribution.png")
    network = _fit(config, data, out, tensorboard=tensorboard, finish=finish)
    finish_run(config, data, network, out)
    return out


def _prepare_folder(config_path: Path, out: Path, *, resume: bool) -> None:
    started = (out / "last.json").is_file()
    if resume and not started:
        raise TrainingError("holds no finished epoch to resume from", path=str(out))
    if not resume and out.exists() and any(out.iterdir()):
        raise TrainingError("run folder is not empty", path=str(out), hint="name another, or use --resume")
    out.mkdir(parents=True, exist_ok=True)
    if not resume:
        shutil.copyfile(config_path, out / "config.toml")


def _fit(config: TrainConfig, data: TrainingData, out: Path, *, tensorboard: bool, finish: bool) -> Network:
    import keras

    from hemo_trainer.network.keras_parts import Backup, Reseed, Steps, Validate
    from hemo_trainer.network.training_graph import training_model

    keras.utils.set_random_seed(config.seed)
    network = start_network(config.input, len(config.findings), config.architecture)
    model = training_model(network, config.fit, data.learned_beside(config.findings))
    first_epoch = _restore(model, out)
    builder = _step_builder(config, data)
    plot_batch(builder.build(0), out / "training_batch.png")
    best = out / "best.weights.h5"
    steps = Steps(builder, config.fit.steps)
    callbacks = [
        keras.callbacks.TerminateOnNaN(),
        Reseed(config.seed, steps),
        Backup(out),
        keras.callbacks.SwapEMAWeights(swap_on_epoch=True),
        Validate(
            evaluate=lambda: validation_figures(config, data, network),
            save_best=lambda: network.model.save_weights(best),
            history=out / "history.csv",
            redraw=redraw_curves,
            patience=config.fit.patience,
        ),
    ]
    if tensorboard:
        callbacks.append(keras.callbacks.TensorBoard(out / "tensorboard"))
    if first_epoch < config.fit.epochs and not finish:
        model.fit(
            steps,
            epochs=config.fit.epochs,
            initial_epoch=first_epoch,
            callbacks=callbacks,
            shuffle=False,
            verbose=2 if not os.isatty(1) else 1,
        )
    if not best.is_file():
        raise TrainingError("the loss became NaN in the first epoch", hint="lower fit.learning_rate", path=str(out))
    network.model.load_weights(best)
    return network


def _restore(model: object, out: Path) -> int:
    from hemo_trainer.network.keras_parts import FitState

    state = out / "last.json"
    if not state.is_file():
        return 0
    model.optimizer.build(model.trainable_variables)  # type: ignore[attr-defined]
    model.load_weights(out / "last.weights.h5")  # type: ignore[attr-defined]
    return load(FitState, state.read_bytes(), error=TrainingError, path=state).epochs_done


def _step_builder(config: TrainConfig, data: TrainingData) -> StepBuilder:
    shares = {source.name: source.share for source in config.sources}
    sampler = Sampler(data.records, data.rows("train"), shares, config.batch)
    return StepBuilder(data.pixels, data.records, sampler, config)


def validation_figures(config: TrainConfig, data: TrainingData, network: Network) -> Mapping[str, float]:
    """Slice and exam AUC of each source on the validation side; ``score``, their mean, decides what is best."""
    figures: dict[str, float] = {}
    for source, series in data.scored_series("val").items():
        predictions = list(predict_series(KerasSliceModel(network), series, data.pixels_of, config.findings))
        for name, scored in (
            ("slice", slice_scores(predictions)),
            ("exam", exam_scores(predictions, config.fit.beta)),
        ):
            value = auc_value(scored)
            if value is not None:
                figures[f"val_{source}_{name}_auc"] = value
    return {**figures, "score": float(np.mean(list(figures.values()))) if figures else 0.5}
