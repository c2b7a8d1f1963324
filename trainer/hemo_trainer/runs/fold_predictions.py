"""What the folds' networks say of patients that they never saw: scored, written, read."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np
import numpy.typing as npt

from hemo_core.errors import TrainingError
from hemo_core.scans.preprocess import to_input
from hemo_trainer.data.prepared import TrainingData
from hemo_trainer.datasets.record import SliceRecord, by_series
from hemo_trainer.network.ablation import probe_logits
from hemo_trainer.network.model import Network
from hemo_trainer.network.predict import KerasSliceModel, SeriesPrediction

Float = npt.NDArray[np.float32]
_PREDICT = 32


def score_series(
    network: Network,
    series: Sequence[tuple[SliceRecord, ...]],
    data: TrainingData,
    *,
    name: str,
    mirrored: bool = False,
    probes: Mapping[str, Any] = MappingProxyType({}),
) -> dict[str, Float]:
    """Logits ``(slices of all series,)`` by ``name``, and by the name of each probe, which read the same embeddings."""
    model = KerasSliceModel(network)
    rng = np.random.default_rng(0)
    columns: dict[str, list[Float]] = {}
    for records in series:
        slices = to_input(np.stack([data.pixels_of(record) for record in records]))
        slices = slices[:, :, ::-1] if mirrored else slices
        parts = [model.embed(slices[at : at + _PREDICT]) for at in range(0, len(slices), _PREDICT)]
        embeddings = np.concatenate(parts)  # (t, K)
        found = {name: model.sequence(embeddings)[:, 0], **probe_logits(probes, embeddings, rng)}
        for kind, logits in found.items():
            columns.setdefault(kind, []).append(np.asarray(logits, np.float32))
    return {kind: np.concatenate(logits) for kind, logits in columns.items()}


def write_predictions(path: Path, series: Sequence[tuple[SliceRecord, ...]], columns: Mapping[str, Float]) -> None:
    """Write the columns of :func:`score_series`, whole or not at all."""
    partial = path.with_suffix(".partial.npz")
    keys = np.array([slice_key(record) for records in series for record in records])
    arrays: dict[str, Any] = {"key": keys, **columns}
    np.savez(partial, **arrays)
    partial.replace(path)


def read_predictions(out: Path, data: TrainingData, kind: str = "plain") -> list[SeriesPrediction]:
    """Out-of-fold predictions of every scored patient.

    Args:
        out: folder of :func:`cross_validate`.
        data: the data it was given.
        kind: ``plain`` (the network that is kept), ``flipped`` (on mirrored slices), ``averaged`` (mean of both),
            ``tuned`` (before its weights were averaged with those of the first phase), ``first_phase`` (these alone),
            or one of ``probes.KINDS``.

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
