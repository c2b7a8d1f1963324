"""The heat maps of a training run: measured on patients its networks never saw, written beside its other evidence."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from hemo_core.contract import ScoringContract
from hemo_trainer.config import TrainConfig
from hemo_trainer.data import TrainingData
from hemo_trainer.datasets.record import by_series
from hemo_trainer.heatmap_quality.examples import plot_box_examples, plot_forgetting
from hemo_trainer.heatmap_quality.measure import HeatmapPlan, Series, measure_heatmaps
from hemo_trainer.heatmap_quality.plots import plot_heatmap_figures
from hemo_trainer.heatmap_quality.subject import NetworkSubject, Subject
from hemo_trainer.model import Network, build_network

Fold = tuple[Subject, Series]


def heatmaps_of_run(
    config: TrainConfig,
    data: TrainingData,
    network: Network,
    scoring: ScoringContract,
    out: Path,
    *,
    crossval: Path | None = None,
    plan: HeatmapPlan | None = None,
) -> dict[str, Any]:
    """Measure the heat maps of a run and draw them.

    Plots without pictures of patients go to ``out/evidence``, which travels with the bundle; the real examples stay in
    ``out``.

    Args:
        config, data: of the run.
        network: with the weights to keep; its maps must pass the randomisation check to be drawn.
        scoring: as locked.
        out: the run folder.
        crossval: folder of the cross-validation, where the network itself was fitted to the validation patients: then
            each patient's maps are those of the fold that never saw the patient. None: validation patients.
        plan: how much is measured.

    Returns:
        For ``run.json``, see :func:`~hemo_trainer.heatmap_quality.measure.measure_heatmaps`; ``measured_on`` says
        whose patients they are, ``val`` or ``out_of_fold``.
    """
    own = NetworkSubject(network)
    scored = [series for group in data.scored_series("val").values() for series in group]
    folds: list[Fold] = [(own, scored)] if crossval is None else _folds(config, data, crossval)
    figures = measure_heatmaps(folds, data.pixels_of, scoring, config.input, check=(own, scored), plan=plan)
    plot_heatmap_figures(figures, out / "evidence")
    plot_forgetting(own.parts(), config.input, out / "evidence" / "heatmap_forgetting.png")
    plot_box_examples(folds, data.pixels_of, scoring, config.input, out / "heatmap_examples.png")
    return {**figures, "measured_on": "val" if crossval is None else "out_of_fold"}


def _folds(config: TrainConfig, data: TrainingData, crossval: Path) -> list[Fold]:
    """Each fold's network with the series that it held out."""
    held_out: Sequence[Sequence[str]] = json.loads((crossval / "crossval.json").read_text(encoding="utf-8"))["folds"]
    folds: list[Fold] = []
    for number, patients in enumerate(held_out):
        network = build_network(config.input, len(config.labels), config.architecture)
        network.model.load_weights(crossval / f"fold-{number}" / "model.weights.h5")
        known = frozenset(patients)
        series = by_series(record for record in data.records if record.patient_key in known)
        folds.append((NetworkSubject(network), series))
    return folds
