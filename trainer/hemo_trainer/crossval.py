"""Cross-validation by patient: every scored patient is predicted by a model that never saw that patient."""

from __future__ import annotations

import json
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
import numpy.typing as npt

from hemo_core.errors import TrainingError
from hemo_core.preprocess import to_input
from hemo_trainer.batches import StepBuilder
from hemo_trainer.config import TrainConfig, load_config
from hemo_trainer.data import TrainingData, load_data
from hemo_trainer.datasets.record import SliceRecord, Split, by_series
from hemo_trainer.fold_rows import left_out, training_rows
from hemo_trainer.folds import k_folds
from hemo_trainer.model import Network, start_network
from hemo_trainer.predict import KerasSliceModel, SeriesPrediction
from hemo_trainer.pretrain import pretrained_weights
from hemo_trainer.probes import KINDS, ProbedSteps, build_probes, probe_logits
from hemo_trainer.sampling import Sampler

Float = npt.NDArray[np.float32]
_PREDICT = 32


@dataclass(frozen=True, slots=True)
class FoldJob:
    """What one process needs to train and score one fold.

    Attributes:
        config, cache: the run's configuration file and the folder of preprocessed slices.
        out: the fold's folder.
        pretrained: weights to start from, None for random ones.
        held_out: patient keys that are scored.
        excluded: patient keys that are neither trained on nor scored.
        share: of the patients that are left, how many are trained on.
        threads: of TensorFlow.
        ablate: also train the probes.
    """

    config: Path
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
        out: folder; gets ``crossval.json``, ``pretrained.weights.h5`` and ``fold-N/`` with weights and predictions.
        cache: folder of preprocessed slices.
        folds: three at least.
        sides: whose patients are dealt out; patients of other sides are left out of training, too.
        jobs: folds at a time, the cores shared between them.
        ablate: also score the recurrence's rivals, see :mod:`hemo_trainer.probes`.
        pretrained: weights of a first phase made earlier with the same configuration.
        share: of the patients that a fold may train on; sources that are ``train_only`` are not thinned out.

    Returns:
        ``out``.

    Raises:
        SettingsError, DatasetError, PatientLeak, TrainingError: as their sources say.
    """
    config = load_config(config_path)
    data = load_data(config, config.input, cache)
    out.mkdir(parents=True, exist_ok=True)
    start = pretrained or pretrained_weights(config, data, out / "pretrained.weights.h5")
    scored = [record for side in sides for record in data.sides[side] if record.source not in data.train_only]
    dealt = k_folds(scored, folds, groups=data.groups)
    everyone = {record.patient_key for record in data.records if record.source not in data.train_only}
    excluded = frozenset(everyone - frozenset().union(*dealt))
    threads = max(1, (os.cpu_count() or 1) // jobs)
    todo = [
        FoldJob(config_path, cache, out / f"fold-{number}", start, held_out, excluded, share, threads, ablate)
        for number, held_out in enumerate(dealt)
        if not (out / f"fold-{number}" / "predictions.npz").is_file()
    ]
    with ProcessPoolExecutor(jobs, mp_context=get_context("spawn"), max_tasks_per_child=1) as pool:
        list(pool.map(run_fold, todo))
    description = {
        "folds": [sorted(one) for one in dealt],
        "sides": list(sides),
        "fingerprint": data.fingerprint,
        "ablate": ablate,
        "share": share,
    }
    (out / "crossval.json").write_text(json.dumps(description, indent=2) + "\n", encoding="utf-8")
    return out


def run_fold(job: FoldJob) -> None:
    """Train on everyone but the fold's patients, then write ``predictions.npz`` of these."""
    from hemo_core.keras_file import quiet_tensorflow

    quiet_tensorflow(job.threads)
    config = load_config(job.config)
    data = load_data(config, config.input, job.cache)
    away = job.held_out | job.excluded
    rows = training_rows(data, away | left_out(data, away, job.share))
    job.out.mkdir(parents=True, exist_ok=True)
    began = time.monotonic()
    network, probes = fit_fixed(config, data, rows, job.pretrained, ablate=job.ablate)
    network.model.save_weights(job.out / "model.weights.h5")
    fitted = time.monotonic()
    held_out = [record for record in data.records if record.patient_key in job.held_out]
    _write_predictions(job.out / "predictions.npz", network, probes, by_series(held_out), data)
    cost = {
        "seconds_fitting": round(fitted - began, 1),
        "peak_mebibytes": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024),
        "threads": job.threads,
        "slices": len(rows),
        "patients": len({data.records[row].patient_key for row in rows} - data.unscored),
    }
    (job.out / "cost.json").write_text(json.dumps(cost) + "\n", encoding="utf-8")


def fit_fixed(
    config: TrainConfig,
    data: TrainingData,
    rows: Sequence[int],
    pretrained: Path | None,
    *,
    ablate: bool = False,
    history: Path | None = None,
) -> tuple[Network, dict[str, Any]]:
    """Fit for the configured number of steps, looking at no score; the averaged weights are kept.

    Args:
        config, data: of the run.
        rows: what is trained on.
        pretrained: weights to start from.
        ablate: also fit the probes.
        history: CSV file for the losses of each epoch.

    Returns:
        The network, and the probes by name.

    Raises:
        TrainingError: the loss became NaN.
    """
    import keras

    from hemo_trainer.keras_parts import Reseed, Steps, WriteHistory
    from hemo_trainer.training_graph import training_model

    keras.utils.set_random_seed(config.seed)
    network = start_network(config.input, len(config.labels), config.architecture)
    if pretrained:
        network.model.load_weights(pretrained)
    width = network.cnn.output_shape[-1]
    probes = build_probes(width, len(config.labels), config.architecture) if ablate else {}
    model = training_model(network, config.fit, probes)
    shares = {data.source_names[number]: source.share for number, source in enumerate(config.sources)}
    builder = StepBuilder(data.pixels, data.records, Sampler(data.records, rows, shares, config.batch), config)
    steps = Steps(ProbedSteps(builder, KINDS) if ablate else builder, config.fit.steps)
    callbacks = [keras.callbacks.TerminateOnNaN(), Reseed(config.seed, steps)]
    if history:
        callbacks.append(WriteHistory(history))
    fitted = model.fit(steps, epochs=config.fit.epochs, callbacks=callbacks, shuffle=False, verbose=2)
    if not np.isfinite(fitted.history["loss"]).all():
        raise TrainingError("the loss became NaN", hint="lower fit.learning_rate")
    return network, probes


def read_predictions(out: Path, data: TrainingData, kind: str = "plain") -> list[SeriesPrediction]:
    """Out-of-fold predictions of every scored patient.

    Args:
        out: folder of :func:`cross_validate`.
        data: the data it was given.
        kind: ``plain``, ``flipped`` (slices mirrored), ``averaged`` (mean of both) or one of ``probes.KINDS``.

    Raises:
        TrainingError: a fold is missing, or the data is not the one that was predicted.
    """
    described = json.loads((out / "crossval.json").read_text(encoding="utf-8"))
    if described["fingerprint"] != data.fingerprint:
        raise TrainingError("was made with other data", path=str(out), hint="run the cross-validation again")
    logits: dict[str, float] = {}
    for number in range(len(described["folds"])):
        path = out / f"fold-{number}" / "predictions.npz"
        if not path.is_file():
            raise TrainingError("a fold is missing", path=str(path), hint="run the cross-validation to its end")
        with np.load(path) as stored:
            values = (stored["plain"] + stored["flipped"]) / 2 if kind == "averaged" else stored[kind]
            logits |= dict(zip(stored["key"].tolist(), values.tolist(), strict=True))
    series = by_series(record for record in data.records if slice_key(record) in logits)
    return [
        SeriesPrediction(records, np.array([logits[slice_key(record)] for record in records], np.float32))
        for records in series
    ]


def read_folds(out: Path) -> list[frozenset[str]]:
    """Patient keys that each fold scored."""
    described = json.loads((out / "crossval.json").read_text(encoding="utf-8"))
    return [frozenset(held_out) for held_out in described["folds"]]


def slice_key(record: SliceRecord) -> str:
    """Identifier of a slice over all sources."""
    return f"{record.series_key}/{record.order}"


def _write_predictions(
    path: Path, network: Network, probes: dict[str, Any], series: Sequence[tuple[SliceRecord, ...]], data: TrainingData
) -> None:
    model = KerasSliceModel(network)
    rng = np.random.default_rng(0)
    columns: dict[str, list[Any]] = {"key": []}
    for records in series:
        slices = to_input(np.stack([data.pixels_of(record) for record in records]))
        columns["key"] += [slice_key(record) for record in records]
        plain, flipped = _embed(model, slices), _embed(model, slices[:, :, ::-1])
        found = {"plain": model.sequence(plain)[:, 0], "flipped": model.sequence(flipped)[:, 0]}
        for kind, logits in {**found, **probe_logits(probes, plain, rng)}.items():
            columns.setdefault(kind, []).extend(logits.tolist())
    partial = path.with_suffix(".partial.npz")
    arrays: dict[str, Any] = {name: np.asarray(values) for name, values in columns.items()}
    np.savez(partial, **arrays)
    partial.replace(path)


def _embed(model: KerasSliceModel, slices: Float) -> Float:
    return np.concatenate([model.embed(slices[at : at + _PREDICT]) for at in range(0, len(slices), _PREDICT)])
