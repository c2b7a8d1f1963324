"""What the folds' networks say of patients that they never saw: scored, written, read."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np
import numpy.typing as npt

from hemo_core.errors import TrainingError
from hemo_core.files import replacing
from hemo_core.records import load
from hemo_core.scans.preprocess import to_input
from hemo_trainer.config import TrainConfig
from hemo_trainer.data.prepared import TrainingData
from hemo_trainer.datasets.record import SliceRecord, Split, by_series
from hemo_trainer.network.ablation import ablated_logits
from hemo_trainer.network.model import Network
from hemo_trainer.network.predict import KerasSliceModel, SeriesPrediction
from hemo_trainer.runs.recipe import recipe_of, require_same

Float = npt.NDArray[np.float32]
CROSSVAL, PREDICTIONS, COST = "crossval.json", "predictions.npz", "cost.json"
_PREDICT = 32


@dataclass(frozen=True, slots=True)
class CrossValidation:
    """What a cross-validation's folder holds, as ``crossval.json``.

    Attributes:
        folds: patient keys that each fold scores.
        sides: of the split, whose patients were dealt out.
        fingerprint: of the data.
        ablate: whether the rivals of the recurrence were fitted, too.
        share: of the patients that a fold may train on.
        first_phase: whether the folds began with the weights of a first phase.
    """

    folds: tuple[tuple[str, ...], ...]
    sides: tuple[Split, ...]
    fingerprint: str
    ablate: bool
    share: float
    first_phase: bool


@dataclass(frozen=True, slots=True)
class FoldCost:
    """What one fold took, as ``cost.json``.

    Attributes:
        seconds_fitting: wall-clock.
        peak_mebibytes: of memory.
        threads: of TensorFlow.
        slices, patients: that were trained on; patients of sources that are scored.
    """

    seconds_fitting: float
    peak_mebibytes: int
    threads: int
    slices: int
    patients: int


def score_series(
    network: Network,
    series: Sequence[tuple[SliceRecord, ...]],
    data: TrainingData,
    *,
    name: str,
    mirrored: bool = False,
    ablated: Mapping[str, Any] = MappingProxyType({}),
) -> dict[str, Float]:
    """Logits ``(slices of all series, L)`` by ``name``, and those of the ablated models, by theirs."""
    model = KerasSliceModel(network)
    rng = np.random.default_rng(0)
    columns: dict[str, list[Float]] = {}
    for records in series:
        slices = to_input(np.stack([data.pixels_of(record) for record in records]))
        slices = slices[:, :, ::-1] if mirrored else slices
        parts = [model.embed(slices[at : at + _PREDICT]) for at in range(0, len(slices), _PREDICT)]
        embeddings = np.concatenate(parts)  # (t, K)
        found = {name: model.sequence(embeddings), **ablated_logits(ablated, embeddings, rng)}
        for kind, logits in found.items():
            columns.setdefault(kind, []).append(np.asarray(logits, np.float32))
    return {kind: np.concatenate(logits) for kind, logits in columns.items()}


def write_predictions(path: Path, series: Sequence[tuple[SliceRecord, ...]], columns: Mapping[str, Float]) -> None:
    """Write the columns of :func:`score_series`, whole or not at all."""
    keys = np.array([slice_key(record) for records in series for record in records])
    arrays: dict[str, Any] = {"key": keys, **columns}
    with replacing(path) as file:
        np.savez(file, **arrays)


def read_crossval(out: Path) -> CrossValidation:
    """What a cross-validation's folder says of itself. Raises TrainingError: it holds none, or a damaged one."""
    path = out / CROSSVAL
    if not path.is_file():
        raise TrainingError("holds no cross-validation", path=str(out), hint="run `hemo-batch crossval` to its end")
    return load(CrossValidation, path.read_bytes(), error=TrainingError, path=path)


def read_predictions(out: Path, config: TrainConfig, data: TrainingData, kind: str = "plain") -> list[SeriesPrediction]:
    """Out-of-fold predictions of every scored patient.

    Args:
        out: folder of :func:`cross_validate`.
        config, data: that it was given.
        kind: ``plain`` (the network that is kept), ``flipped`` (on mirrored slices), ``averaged`` (mean of both),
            ``tuned`` (before its weights were averaged with those of the first phase), ``first_phase`` (these alone),
            or one of ``ablation.ABLATIONS``.

    Raises:
        TrainingError: a fold is missing or holds other patients than it should, or the cross-validation was made with
            another configuration or other data.
    """
    require_same(out, recipe_of(config, data), "config", "data")
    patient_of = {slice_key(record): record.patient_key for record in data.records}
    logits: dict[str, list[float]] = {}
    for number, held_out in enumerate(read_crossval(out).folds):
        path = out / f"fold-{number}" / PREDICTIONS
        if not path.is_file():
            raise TrainingError("a fold is missing", path=str(path), hint="run the cross-validation to its end")
        with np.load(path) as stored:
            values = (stored["plain"] + stored["flipped"]) / 2 if kind == "averaged" else stored[kind]
            found = dict(zip(stored["key"].tolist(), values.tolist(), strict=True))
        if {patient_of.get(key) for key in found} != set(held_out):
            raise TrainingError("scores other patients than its fold holds", path=str(path), hint="remove the fold")
        logits |= found
    series = by_series(record for record in data.records if slice_key(record) in logits)
    return [
        SeriesPrediction.of_channels(
            records, np.array([logits[slice_key(record)] for record in records], np.float32), config.findings
        )
        for records in series
    ]


def slice_key(record: SliceRecord) -> str:
    """Identifier of a slice over all sources."""
    return f"{record.series_key}/{record.order}"
