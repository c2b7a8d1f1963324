"""Heat-map quality of a run: of its network on validation patients, or out of fold where it was fitted to these."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from hemo_core.bundle.contract import ScoringContract
from hemo_trainer.config import TrainConfig
from hemo_trainer.data.prepared import TrainingData
from hemo_trainer.datasets.record import SliceRecord
from hemo_trainer.heatmap_quality.measure import measure_heatmaps
from hemo_trainer.heatmap_quality.subject import NetworkSubject
from hemo_trainer.network.model import Network, build_network
from hemo_trainer.runs.fold_predictions import read_crossval

MeasureMaps = Callable[[ScoringContract], dict[str, Any]]


def maps_on_validation(config: TrainConfig, data: TrainingData, network: Network) -> MeasureMaps:
    """How to measure a network's maps on validation patients, once the threshold is locked."""

    def measure(scoring: ScoringContract) -> dict[str, Any]:
        return measure_heatmaps([(NetworkSubject(network), _series(data))], data.pixels_of, scoring, config.input)

    return measure


def maps_out_of_fold(config: TrainConfig, data: TrainingData, network: Network, crossval: Path) -> MeasureMaps:
    """How to measure the maps of the folds' networks on validation patients that each has not seen.

    The randomisation check, which needs no unseen patients, is the refitted network's own.
    """

    def measure(scoring: ScoringContract) -> dict[str, Any]:
        folds = []
        for number, held_out in enumerate(read_crossval(crossval).folds):
            own = [series for series in _series(data) if series[0].patient_key in held_out]
            fold = build_network(config.input, len(config.findings), config.architecture)
            fold.model.load_weights(crossval / f"fold-{number}" / "model.weights.h5")
            folds.append((NetworkSubject(fold), own))
        check = (NetworkSubject(network), _series(data))
        return measure_heatmaps(folds, data.pixels_of, scoring, config.input, check=check)

    return measure


def _series(data: TrainingData) -> list[tuple[SliceRecord, ...]]:
    return [series for of_source in data.scored_series("val").values() for series in of_source]
