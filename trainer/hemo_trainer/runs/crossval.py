"""Cross-validation by patient: every scored patient is predicted by a model that never saw that patient."""

from __future__ import annotations

import hashlib
import os
import resource
import time
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np

from hemo_core.errors import TrainingError
from hemo_core.files import write_durably
from hemo_core.records import dumps
from hemo_trainer.config import TrainConfig, load_config
from hemo_trainer.data.folds import k_folds
from hemo_trainer.data.prepared import TrainingData, dropped_patients, load_data, training_rows
from hemo_trainer.datasets.record import Split, by_series
from hemo_trainer.network.ablation import ABLATIONS, AblationSteps, build_ablated
from hemo_trainer.network.model import Network, average_with_start, build_network, start_network
from hemo_trainer.runs.fold_predictions import (
    COST,
    CROSSVAL,
    PREDICTIONS,
    CrossValidation,
    FoldCost,
    score_series,
    write_predictions,
)
from hemo_trainer.runs.pretrain import pretrained_weights
from hemo_trainer.runs.recipe import begin, recipe_of
from hemo_trainer.steps.batches import StepBuilder
from hemo_trainer.steps.sampling import Sampler


@dataclass(frozen=True, slots=True)
class FoldJob:
    """What one process needs to train and score one fold.

    Attributes:
        config, cache: the run's configuration and the folder of preprocessed slices.
        out: the fold's folder.
        pretrained: weights to start from, None for random ones.
        held_out: patient keys that are scored.
        excluded: patient keys that are neither trained on nor scored.
        share: of the patients that are left, how many are trained on.
        threads: of TensorFlow.
        ablate: also train the ablated models.
    """

    config: TrainConfig
    cache: Path
    out: Path
    pretrained: Path | None
    held_out: frozenset[str]
    excluded: frozenset[str]
    share: float
    threads: int
    ablate: bool


def cross_validate(
    config_path: Path,
    out: Path,
    *,
    cache: Path,
    folds: int = 5,
    sides: Sequence[Split] = ("train", "val"),
    jobs: int = 1,
    ablate: bool = False,
    pretrained: Path | None = None,
    share: float = 1.0,
) -> Path:
    """Train a model for each fold and predict its patients; a fold that is done is not done again.

    Args:
        config_path: TOML file, see :mod:`hemo_trainer.config`; its ``fit`` says how long, no fold looks at its score.
        out: folder; gets ``recipe.json``, ``crossval.json``, ``pretrained.weights.h5`` and ``fold-N/`` with weights and
            predictions.
        cache: folder of preprocessed slices.
        folds: three at least.
        sides: whose patients are dealt out; patients of other sides are left out of training, too.
        jobs: folds at a time, the cores shared between them.
        ablate: also score the recurrence's rivals, see :mod:`hemo_trainer.network.ablation`.
        pretrained: weights of a first phase made earlier with the same configuration.
        share: of the patients that a fold may train on; sources that are ``train_only`` are not thinned out.

    Returns:
        ``out``.

    Raises:
        SettingsError, DatasetError, PatientLeak: as their sources say.
        TrainingError: ``out`` holds folds that were made otherwise, or the loss became NaN.
    """
    config = load_config(config_path)
    data = load_data(config, config.input, cache)
    given = hashlib.sha256(pretrained.read_bytes()).hexdigest() if pretrained else None
    begin(out, recipe_of(config, data, folds=folds, sides=sides, share=share, ablate=ablate, pretrained=given))
    start = pretrained or pretrained_weights(config, data, out / "pretrained.weights.h5")
    scored = [record for side in sides for record in data.sides[side] if record.source not in data.train_only]
    dealt = k_folds(scored, folds, groups=data.groups)
    described = CrossValidation(
        tuple(tuple(sorted(one)) for one in dealt), tuple(sides), data.fingerprint, ablate, share, start is not None
    )
    write_durably(out / CROSSVAL, dumps(described))
    everyone = {record.patient_key for record in data.records if record.source not in data.train_only}
    excluded = frozenset(everyone - frozenset().union(*dealt))
    threads = max(1, (os.cpu_count() or 1) // jobs)
    todo = [
        FoldJob(config, cache, out / f"fold-{number}", start, held_out, excluded, share, threads, ablate)
        for number, held_out in enumerate(dealt)
        if not (out / f"fold-{number}" / PREDICTIONS).is_file()
    ]
    with ProcessPoolExecutor(jobs, mp_context=get_context("spawn"), max_tasks_per_child=1) as pool:
        list(pool.map(run_fold, todo))
    return out


def run_fold(job: FoldJob) -> None:
    """Train on everyone but the fold's patients, then write ``predictions.npz`` of these."""
    from hemo_core.bundle.keras import quiet_tensorflow

    quiet_tensorflow(job.threads)
    config = job.config
    data = load_data(config, config.input, job.cache)
    away = job.held_out | job.excluded
    rows = training_rows(data, away | dropped_patients(data, away, job.share))
    job.out.mkdir(parents=True, exist_ok=True)
    began = time.monotonic()
    network, ablated = fit_fixed(config, data, rows, job.pretrained, ablate=job.ablate)
    fitted = time.monotonic()
    series = by_series(record for record in data.records if record.patient_key in job.held_out)
    columns = score_series(network, series, data, name="tuned", ablated=ablated) if job.pretrained or ablated else {}
    if job.pretrained:
        columns |= score_series(_first_phase(config, job.pretrained), series, data, name="first_phase")
        average_with_start(network, job.pretrained, config.fit.start_share)
    network.model.save_weights(job.out / "model.weights.h5")
    columns |= score_series(network, series, data, name="plain")
    columns |= score_series(network, series, data, name="flipped", mirrored=True)
    cost = FoldCost(
        seconds_fitting=round(fitted - began, 1),
        peak_mebibytes=round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024),
        threads=job.threads,
        slices=len(rows),
        patients=len({data.records[row].patient_key for row in rows} - data.unscored),
    )
    write_durably(job.out / COST, dumps(cost))
    write_predictions(job.out / PREDICTIONS, series, columns)  # last: they say that the fold is done


def _first_phase(config: TrainConfig, weights: Path) -> Network:
    network = build_network(config.input, len(config.findings), config.architecture)
    network.model.load_weights(weights)
    return network


def fit_fixed(
    config: TrainConfig,
    data: TrainingData,
    rows: Sequence[int],
    pretrained: Path | None,
    *,
    ablate: bool = False,
    history: Path | None = None,
) -> tuple[Network, dict[str, Any]]:
    """Fit for the configured number of steps, looking at no score; the moving average of the weights is kept.

    Args:
        config, data: of the run.
        rows: what is trained on.
        pretrained: weights to start from.
        ablate: also fit the ablated models.
        history: CSV file for the losses of each epoch.

    Returns:
        The network, and the ablated models by name.

    Raises:
        TrainingError: the loss became NaN.
    """
    import keras

    from hemo_trainer.network.keras_parts import Reseed, Steps, WriteHistory
    from hemo_trainer.network.training_graph import training_model

    keras.utils.set_random_seed(config.seed)
    network = start_network(config.input, len(config.findings), config.architecture)
    if pretrained:
        network.model.load_weights(pretrained)
    width = network.cnn.output_shape[-1]
    ablated = build_ablated(width, len(config.findings), config.architecture) if ablate else {}
    model = training_model(network, config.fit, data.learned_beside(config.findings), ablated)
    shares = {source.name: source.share for source in config.sources}
    builder = StepBuilder(data.pixels, data.records, Sampler(data.records, rows, shares, config.batch), config)
    steps = Steps(AblationSteps(builder, ABLATIONS) if ablate else builder, config.fit.steps)
    callbacks = [keras.callbacks.TerminateOnNaN(), Reseed(config.seed, steps)]
    if history:
        callbacks.append(WriteHistory(history))
    fitted = model.fit(steps, epochs=config.fit.epochs, callbacks=callbacks, shuffle=False, verbose=2)
    if not np.isfinite(fitted.history["loss"]).all():
        raise TrainingError("the loss became NaN", hint="lower fit.learning_rate")
    return network, ablated
