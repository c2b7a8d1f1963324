"""After the last epoch: calibrate, measure, and write what the exporter needs."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

from hemo_core import __version__
from hemo_core.bundle.contract import ScoringContract
from hemo_core.records import encode
from hemo_trainer.config import TrainConfig
from hemo_trainer.data.leaks import training_marks
from hemo_trainer.data.prepared import TrainingData
from hemo_trainer.datasets.record import SliceRecord, Split
from hemo_trainer.figures.calibrate import Validated, lock_scoring
from hemo_trainer.figures.metrics import Scored, at_threshold, auc, exam_scores, slice_scores
from hemo_trainer.figures.plots import plot_confusion, plot_roc, plot_samples
from hemo_trainer.heatmap_quality.examples import plot_forgetting
from hemo_trainer.heatmap_quality.plots import plot_heatmap_figures
from hemo_trainer.heatmap_quality.subject import KerasParts
from hemo_trainer.network.model import Network
from hemo_trainer.network.predict import KerasSliceModel, SeriesPrediction, SliceModel, predict_series
from hemo_trainer.runs.card import model_card
from hemo_trainer.runs.export_data import write_handover
from hemo_trainer.runs.heatmaps import MeasureMaps, maps_on_validation

WEIGHTS_LICENCE = "research use only, non-commercial (because of the training data); see LICENSE-WEIGHTS.md"
Predictions = dict[str, list[SeriesPrediction]]
ChosenOn = Literal["val", "out_of_fold"]


def finish_run(config: TrainConfig, data: TrainingData, network: Network, out: Path) -> None:
    """Lock calibration and threshold on validation patients, score test patients once, write the run's files.

    Args:
        config, data: of the run.
        network: with the best weights.
        out: the run folder.
    """
    chosen_on = predict_side(KerasSliceModel(network), data, "val")
    maps = maps_on_validation(config, data, network)
    write_run(config, data, network, out, chosen_on=("val", chosen_on), epochs=_epochs(out), measure_maps=maps)


def write_run(
    config: TrainConfig,
    data: TrainingData,
    network: Network,
    out: Path,
    *,
    chosen_on: tuple[ChosenOn, Predictions],
    epochs: Mapping[str, int],
    measure_maps: MeasureMaps,
) -> None:
    """Lock calibration and threshold, score test patients once, write the run's files.

    Args:
        config, data: of the run.
        network: with the weights to keep.
        out: the run folder.
        chosen_on: the predictions that calibration and threshold are locked on: those of validation patients, or
            out-of-fold ones, where the network itself was fitted to these patients.
        epochs: how many were ``trained``, and which was ``kept``.
        measure_maps: see :mod:`hemo_trainer.runs.heatmaps`.
    """
    name, chosen = chosen_on
    predictions = {name: chosen, "test": predict_side(KerasSliceModel(network), data, "test")}
    validated = [Validated(slice_scores(one), exam_scores(one, config.fit.beta)) for one in chosen.values()]
    scoring = lock_scoring(validated, config.labels, config.fit.beta, config.fit.target_sensitivity)
    metrics = {side: measure(one, scoring) for side, one in predictions.items()}
    _write_evidence(predictions, metrics, out)
    plot_samples(
        [one for series in chosen.values() for one in series], data, scoring.temperature, out / "sample_predictions.png"
    )
    network.model.save(out / "model.keras")
    write_handover(data, out)
    manifest = _manifest(config, data, scoring, metrics)
    manifest["data"]["trained_on"] = training_marks(_trained_on(data, name), data.pixels_of)
    run = {
        **manifest,
        "epochs": dict(epochs),
        "chosen_on": name,
        "scored_before": name == "out_of_fold",
        "heatmaps": measure_maps(scoring),
    }
    plot_heatmap_figures(run["heatmaps"], out / "evidence")
    plot_forgetting(
        KerasParts(network.cnn, network.head, pooled=True), config.input, out / "evidence" / "heatmap_forgetting.png"
    )
    (out / "run.json").write_text(json.dumps(run, indent=2, sort_keys=True) + "\n", encoding="utf-8")
    (out / "MODEL_CARD.md").write_text(model_card(run), encoding="utf-8")


def _trained_on(data: TrainingData, chosen_on: ChosenOn) -> list[SliceRecord]:
    """What the network was fitted to: where it was judged out-of-fold, the validation patients, too."""
    sides: tuple[Split, ...] = ("train",) if chosen_on == "val" else ("train", "val")
    return [data.records[row] for side in sides for row in data.rows(side)]


def predict_side(model: SliceModel, data: TrainingData, side: Split) -> Predictions:
    """Predictions of every series of one side, by source."""
    return {
        source: list(predict_series(model, series, data.pixels_of))
        for source, series in data.scored_series(side).items()
    }


def measure(predictions: Predictions, scoring: ScoringContract) -> dict[str, Any]:
    """Figures of each source: slices and exams."""
    return {
        source: {
            "slice": _figures(slice_scores(one), scoring),
            "exam": _figures(exam_scores(one, scoring.beta), scoring),
        }
        for source, one in predictions.items()
    }


def _figures(scored: Scored, scoring: ScoringContract) -> dict[str, Any]:
    interval = auc(scored)
    return {
        "count": len(scored.labels),
        "positive": int(scored.labels.sum()),
        "patients": len(set(scored.patients.tolist())),
        "auc": None if interval is None else interval.to_json(),
        **at_threshold(scored, scoring),
    }


def _write_evidence(
    predictions: Mapping[str, Predictions],
    metrics: Mapping[str, Mapping[str, Any]],
    out: Path,
) -> None:
    """Figures that show no picture go to ``evidence/``, which travels; pictures of patients stay in the run folder."""
    evidence = out / "evidence"
    evidence.mkdir(exist_ok=True)
    scored = {
        f"{source} {side}": slice_scores(one)
        for side, by_source in predictions.items()
        for source, one in by_source.items()
    }
    matrices = {
        f"{source} {side} slices": figures["slice"]["confusion_matrix"]
        for side, by_source in metrics.items()
        for source, figures in by_source.items()
    }
    if scored:
        plot_roc(scored, evidence / "roc.png")
        plot_confusion(matrices, evidence / "confusion.png")
    reports = [
        f"{source} {side} {unit}s\n{figures[unit]['classification_report']}"
        for side, by_source in metrics.items()
        for source, figures in by_source.items()
        for unit in ("slice", "exam")
    ]
    (evidence / "classification_report.txt").write_text("\n".join(reports), encoding="utf-8")
    (evidence / "metrics.json").write_text(json.dumps(metrics, indent=2, sort_keys=True) + "\n", encoding="utf-8")


def _manifest(
    config: TrainConfig, data: TrainingData, scoring: ScoringContract, metrics: dict[str, Any]
) -> dict[str, Any]:
    import keras

    described = config.to_json()
    return {
        "name": config.name,
        "input": encode(config.input),
        "scoring": encode(scoring),
        "metrics": metrics,
        "data": {
            "fingerprint": data.fingerprint,
            "split_hash": data.split_hash,
            "sources": _source_counts(data),
        },
        **{name: described[name] for name in ("architecture", "fit", "augment", "lesions", "pretrain")},
        "seed": config.seed,
        "git_commit": _git_commit(),
        "licence": WEIGHTS_LICENCE,
        "versions": {"hemo-batch": __version__, "keras": keras.__version__, "backend": keras.backend.backend()},
    }


def _epochs(out: Path) -> dict[str, int]:
    """How long the run trained, and which epoch's weights it kept."""
    from hemo_trainer.network.keras_parts import read_history

    rows = read_history(out / "history.csv")
    return {"trained": len(rows), "kept": int(max(rows, key=lambda row: float(row["score"]))["epoch"])}


def _source_counts(data: TrainingData) -> list[dict[str, Any]]:
    return [
        {"source": source, "side": side, **_counts([record for record in data.sides[side] if record.source == source])}
        for source in sorted({record.source for record in data.records})
        for side in data.sides
        if any(record.source == source for record in data.sides[side])
    ]


def _counts(records: Sequence[SliceRecord]) -> dict[str, int | None]:
    """Patients are None where they are unknown."""
    known = {record.patient_key for record in records if not record.single}
    return {
        "patients": len(known) or None,
        "slices": len(records),
        "positive_slices": sum(record.label for record in records),
    }


def _git_commit() -> str | None:
    """Commit of the code that trained; None where this file is no tracked part of a checkout.

    A virtual environment may lie inside any repository, whose commit says nothing about this code.
    """
    here = Path(__file__)
    tracked = ["git", "ls-files", "--error-unmatch", "--full-name", here.name]
    if _output_of(tracked, here.parent) != "trainer/hemo_trainer/runs/finish.py":
        return None
    return _output_of(["git", "rev-parse", "HEAD"], here.parent)


def _output_of(command: Sequence[str], folder: Path) -> str | None:
    """What a command prints, None if it fails or there is no such command."""
    try:
        done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    except FileNotFoundError:
        return None
    return done.stdout.strip() or None if done.returncode == 0 else None
