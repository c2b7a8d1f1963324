"""What a random split of slices is worth: the same network, scored under a split by slice and under one by patient.

Neighbouring slices of one head are nearly the same picture. Where some of them are trained on and others scored, a
network is asked whether it remembers a patient.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from hemo_core.scans.preprocess import to_input
from hemo_trainer.config import TrainConfig, load_config
from hemo_trainer.data.folds import k_folds
from hemo_trainer.data.prepared import TrainingData, load_data
from hemo_trainer.figures.intervals import Resampling, to_json, wilson
from hemo_trainer.figures.metrics import Scored, auc
from hemo_trainer.figures.plots import plot_roc
from hemo_trainer.network.model import Network
from hemo_trainer.network.predict import KerasSliceModel
from hemo_trainer.runs.crossval import fit_fixed

_BATCH = 32
BY_SLICE, BY_PATIENT = "random split of slices", "split by patient"


def study(config_path: Path, out: Path, *, cache: Path, folds: int = 3) -> dict[str, Any]:
    """Cross-validate one configuration twice, with folds of slices and with folds of patients.

    Args:
        config_path: TOML file; test patients are left out.
        out: folder for ``leakage.json`` and ``leakage.png``.
        cache: folder of preprocessed slices.
        folds: of either kind.

    Returns:
        JSON-ready, by kind of split: ``slices``, ``patients``, ``auc`` with its interval by patient, and ``accuracy``
        at a probability of 0.5.

    Raises:
        SettingsError, DatasetError, TrainingError: as their sources say.
    """
    config = load_config(config_path)
    data = load_data(config, config.input, cache)
    known = {record.patient_key for side in ("train", "val") for record in data.sides[side]} - data.unscored
    rows = [row for row, record in enumerate(data.records) if record.patient_key in known and record.label is not None]
    dealt = {BY_SLICE: _by_slice(rows, folds, config.seed), BY_PATIENT: _by_patient(rows, folds, data)}
    scored = {kind: _out_of_fold(config, data, rows, folds_of) for kind, folds_of in dealt.items()}
    found = {kind: _figures(one) for kind, one in scored.items()}
    out.mkdir(parents=True, exist_ok=True)
    (out / "leakage.json").write_text(json.dumps(found, indent=2) + "\n", encoding="utf-8")
    plot_roc(
        {f"{kind}: AUC {found[kind]['auc']['value']:.3f}": one for kind, one in scored.items()}, out / "leakage.png"
    )
    return found


def _by_slice(rows: Sequence[int], folds: int, seed: int) -> npt.NDArray[np.int64]:
    return np.random.default_rng(seed).permutation(np.arange(len(rows)) % folds)


def _by_patient(rows: Sequence[int], folds: int, data: TrainingData) -> npt.NDArray[np.int64]:
    dealt = k_folds([data.records[row] for row in rows], folds, groups=data.groups)
    fold_of = {patient: number for number, patients in enumerate(dealt) for patient in patients}
    return np.array([fold_of[data.records[row].patient_key] for row in rows])


def _out_of_fold(
    config: TrainConfig, data: TrainingData, rows: Sequence[int], fold_of: npt.NDArray[np.int64]
) -> Scored:
    """Every slice scored by a network that was fitted to the slices of other folds."""
    every = np.asarray(rows)
    logits = np.zeros(len(rows))
    for fold in range(int(fold_of.max()) + 1):
        network, _ = fit_fixed(config, data, every[fold_of != fold].tolist(), None)
        held_out = np.flatnonzero(fold_of == fold)
        logits[held_out] = _score(network, data.pixels[every[held_out]])
    records = [data.records[row] for row in rows]
    labels = np.array([record.label for record in records], np.int64)
    return Scored(labels, logits, np.array([record.patient_key for record in records], np.str_))


def _score(network: Network, pixels: npt.NDArray[np.uint8]) -> npt.NDArray[np.float64]:
    """Logits ``(n,)`` of slices, each a sequence of its own."""
    model = KerasSliceModel(network)
    found = []
    for at in range(0, len(pixels), _BATCH):
        embeddings = model.embed(to_input(pixels[at : at + _BATCH]))
        found.append(np.asarray(network.sequence.predict_on_batch(embeddings[:, None]))[:, 0, 0])
    return np.concatenate(found).astype(np.float64)


def _figures(scored: Scored) -> dict[str, Any]:
    right = int(((scored.logits >= 0) == (scored.labels == 1)).sum())
    return {
        "slices": len(scored.labels),
        "positive": int(scored.labels.sum()),
        "patients": len(set(scored.patients.tolist())),
        "auc": to_json(auc(scored, Resampling())),
        "accuracy": to_json(wilson(right, len(scored.labels))),
    }
