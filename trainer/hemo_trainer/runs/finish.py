"""After the last epoch: calibrate, measure, and write what the exporter needs."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from hemo_core import __version__
from hemo_core.bundle.contract import ScoringContract
from hemo_core.bundle.findings import Measured, Role
from hemo_core.files import write_durably
from hemo_core.records import dumps, encode
from hemo_core.training_run import RUN, ChosenOn, Epochs, RunData, SourceCounts, TrainingRun
from hemo_trainer.config import TrainConfig
from hemo_trainer.data.leaks import training_marks
from hemo_trainer.data.prepared import TrainingData
from hemo_trainer.datasets.record import SliceRecord, Split
from hemo_trainer.figures.calibrate import Validated, lock_finding
from hemo_trainer.figures.metrics import Scored, at_threshold, auc, exam_scores, slice_scores
from hemo_trainer.figures.plots import plot_confusion, plot_roc, plot_samples
from hemo_trainer.heatmap_quality.examples import plot_forgetting
from hemo_trainer.heatmap_quality.plots import plot_heatmap_figures
from hemo_trainer.heatmap_quality.subject import KerasModels
from hemo_trainer.network.model import Network
from hemo_trainer.network.predict import KerasSliceModel, SeriesPrediction, SliceModel, predict_series
from hemo_trainer.runs.card import model_card
from hemo_trainer.runs.export_data import write_export_data
from hemo_trainer.runs.heatmaps import MeasureMaps, maps_on_validation

WEIGHTS_LICENCE = "research use only, non-commercial (because of the training data); see LICENSE-WEIGHTS.md"
Predictions = dict[str, list[SeriesPrediction]]


def finish_run(config: TrainConfig, data: TrainingData, network: Network, out: Path) -> None:
    """Lock calibration and thresholds on validation patients, score test patients once, write the run's files.

    Args:
        config, data: of the run.
        network: with the best weights.
        out: the run folder.
    """
    chosen_on = predict_side(KerasSliceModel(network), config, data, "val")
    maps = maps_on_validation(config, data, network)
    write_run(config, data, network, out, chosen_on=("val", chosen_on), epochs=_epochs(out), measure_maps=maps)


def write_run(
    config: TrainConfig,
    data: TrainingData,
    network: Network,
    out: Path,
    *,
    chosen_on: tuple[ChosenOn, Predictions],
    epochs: Epochs,
    measure_maps: MeasureMaps,
) -> None:
    """Lock calibration and thresholds, score test patients once, write the run's files.

    Args:
        config, data: of the run.
        network: with the weights to keep.
        out: the run folder.
        chosen_on: the predictions that calibration and thresholds are locked on: those of validation patients, or
            out-of-fold ones, where the network itself was fitted to these patients.
        epochs: how many were trained, and which was kept.
        measure_maps: see :mod:`hemo_trainer.runs.heatmaps`.
    """
    name, chosen = chosen_on
    predictions = {name: chosen, "test": predict_side(KerasSliceModel(network), config, data, "test")}
    scoring = _locked(config, chosen, predictions["test"])
    metrics = {side: measure(one, scoring) for side, one in predictions.items()}
    _write_evidence(predictions, metrics, scoring.primary.text, out)
    plot_samples(
        [one for series in chosen.values() for one in series], data, scoring.temperature, out / "sample_predictions.png"
    )
    network.model.save(out / "model.keras")
    write_export_data(data, out)
    run = _run(config, data, scoring, metrics, (name, epochs), measure_maps(scoring))
    plot_heatmap_figures(run.heatmaps or {}, out / "evidence")
    plot_forgetting(
        KerasModels(network.cnn, network.head, pooled=True), config.input, out / "evidence" / "heatmap_forgetting.png"
    )
    write_durably(out / RUN, dumps(run.to_json()))
    (out / "MODEL_CARD.md").write_text(model_card(run), encoding="utf-8")


def _locked(config: TrainConfig, chosen: Predictions, test: Predictions) -> ScoringContract:
    """Each finding, the first one primary, with temperature, threshold and what it reached."""
    findings = []
    for place, name in enumerate(config.findings):
        found = {source: [one.of_finding(name) for one in series] for source, series in chosen.items()}
        sources = [Validated(slice_scores(one), exam_scores(one, config.fit.beta)) for one in found.values()]
        unseen = [one.of_finding(name) for series in test.values() for one in series]
        reached = _measured(unseen) or _measured([one for series in found.values() for one in series])
        role: Role = "detail" if place else "primary"
        findings.append(lock_finding(sources, name, role, config.fit.target_sensitivity, reached))
    return ScoringContract(tuple(findings), config.fit.beta)


def _measured(predictions: Sequence[SeriesPrediction]) -> Measured | None:
    """AUC of slices."""
    interval = auc(slice_scores(predictions))
    return None if interval is None else Measured(**interval.to_json())


def _trained_on(data: TrainingData, chosen_on: ChosenOn) -> list[SliceRecord]:
    """What the network was fitted to: where it was judged out-of-fold, the validation patients, too."""
    sides: tuple[Split, ...] = ("train",) if chosen_on == "val" else ("train", "val")
    return [data.records[row] for side in sides for row in data.rows(side)]


def predict_side(model: SliceModel, config: TrainConfig, data: TrainingData, side: Split) -> Predictions:
    """Predictions of every series of one side, by source."""
    return {
        source: list(predict_series(model, series, data.pixels_of, config.findings))
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
        **at_threshold(scored, scoring.primary),
    }


def _write_evidence(
    predictions: Mapping[str, Predictions],
    metrics: Mapping[str, Mapping[str, Any]],
    finding: str,
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
        plot_confusion(matrices, finding, evidence / "confusion.png")
    reports = [
        f"{source} {side} {unit}s\n{figures[unit]['classification_report']}"
        for side, by_source in metrics.items()
        for source, figures in by_source.items()
        for unit in ("slice", "exam")
    ]
    (evidence / "classification_report.txt").write_text("\n".join(reports), encoding="utf-8")
    (evidence / "metrics.json").write_text(json.dumps(metrics, indent=2, sort_keys=True) + "\n", encoding="utf-8")


def _run(
    config: TrainConfig,
    data: TrainingData,
    scoring: ScoringContract,
    metrics: dict[str, Any],
    chosen: tuple[ChosenOn, Epochs],
    heatmaps: dict[str, Any],
) -> TrainingRun:
    import keras

    described = encode(config)
    chosen_on, epochs = chosen
    marks = training_marks(_trained_on(data, chosen_on), data.pixels_of)
    return TrainingRun(
        name=config.name,
        input=config.input,
        scoring=scoring,
        metrics=metrics,
        data=RunData(data.fingerprint, data.split_hash, _source_counts(data), marks),
        git_commit=_git_commit(),
        licence=WEIGHTS_LICENCE,
        seed=config.seed,
        **{name: described[name] for name in ("architecture", "fit", "augment", "lesions", "pretrain")},
        epochs=epochs,
        chosen_on=chosen_on,
        scored_before=chosen_on == "out_of_fold",
        versions={"hemo-batch": __version__, "keras": keras.__version__, "backend": keras.backend.backend()},
        heatmaps=heatmaps,
    )


def _epochs(out: Path) -> Epochs:
    """How long the run trained, and which epoch's weights it kept."""
    from hemo_trainer.network.keras_parts import read_history

    rows = read_history(out / "history.csv")
    return Epochs(trained=len(rows), kept=int(max(rows, key=lambda row: float(row["score"]))["epoch"]))


def _source_counts(data: TrainingData) -> tuple[SourceCounts, ...]:
    return tuple(
        _counts(source, side, records)
        for source in sorted({record.source for record in data.records})
        for side in data.sides
        if (records := [record for record in data.sides[side] if record.source == source])
    )


def _counts(source: str, side: str, records: Sequence[SliceRecord]) -> SourceCounts:
    known = {record.patient_key for record in records if not record.single}
    return SourceCounts(
        source,
        side,
        patients=len(known) or None,
        slices=len(records),
        positive_slices=sum(record.labels.get(record.finding) == 1 for record in records),
    )


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
