"""Pictures of a training run. matplotlib is imported where used."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from hemo_core.bundle.findings import wording
from hemo_core.inference.scoring import calibrated
from hemo_trainer.data.prepared import TrainingData
from hemo_trainer.figures.metrics import Scored
from hemo_trainer.network.predict import SeriesPrediction
from hemo_trainer.steps.batches import Step

_BLUE, _ORANGE, _GREY = "#2b6cb0", "#c05621", "#718096"


def redraw_curves(history: Path) -> None:
    """``curves.png`` beside the history: losses, validation scores and the learning rate over epochs."""
    from hemo_trainer.network.keras_parts import read_history

    rows = read_history(history)
    groups = {
        "loss": [name for name in rows[0] if name == "loss" or name.endswith("_loss")],
        "validation AUC": [name for name in rows[0] if name.startswith("val_") or name == "score"],
        "learning rate": [name for name in rows[0] if name == "learning_rate"],
    }
    groups = {title: names for title, names in groups.items() if names}
    figure, axes = new_figure(1, len(groups), size=(15, 4))
    epochs = [int(row["epoch"]) for row in rows]
    for axis, (title, names) in zip(axes, groups.items(), strict=True):
        for name in names:
            axis.plot(epochs, [float(row[name]) for row in rows], label=name, marker=".", linewidth=1.2)
        axis.set(title=title, xlabel="epoch")
        axis.grid(alpha=0.3)
        axis.legend(fontsize=7)
    save_figure(figure, history.with_name("curves.png"))


def plot_distribution(data: TrainingData, path: Path) -> None:
    """Slices and patients of each source and side, positive and negative."""
    sources = sorted({record.source for record in data.records})
    finding = wording(data.records[0].finding)[0]
    figure, axes = new_figure(1, 2, size=(12, 4))
    for axis, unit in zip(axes, ("slices", "patients"), strict=True):
        names, negative, positive = [], [], []
        for source in sources:
            for side in ("train", "val", "test"):
                records = [record for record in data.sides[side] if record.source == source]
                positives = {_unit(record, unit) for record in records if record.label}
                names.append(f"{source}\n{side}")
                positive.append(len(positives))
                negative.append(len({_unit(record, unit) for record in records} - positives))
        axis.bar(names, negative, color=_BLUE, label=f"no {finding}")
        axis.bar(names, positive, bottom=negative, color=_ORANGE, label=finding)
        axis.set_title(unit)
        axis.tick_params(axis="x", labelsize=7)
        axis.legend(fontsize=8)
    save_figure(figure, path)


def plot_batch(step: Step, path: Path) -> None:
    """The slices of one training step, as the network sees them."""
    inputs, targets, _ = step
    slices, labels = inputs["slices"], targets["slice"][:, 0]
    columns = 12
    rows = -(-len(slices) // columns)
    figure, axes = new_figure(rows, columns, size=(columns * 1.2, rows * 1.35))
    for axis in axes:
        axis.axis("off")
    for axis, pixels, label in zip(axes, slices, labels, strict=False):
        axis.imshow(pixels[..., 0], cmap="gray", vmin=0, vmax=1)
        axis.set_title("positive" if label > 0.5 else "", fontsize=6)  # noqa: PLR2004
    save_figure(figure, path)


def plot_confusion(matrices: Mapping[str, Sequence[Sequence[int]]], finding: str, path: Path) -> None:
    """One confusion matrix for each named data set; ``finding`` as people call it."""
    figure, axes = new_figure(1, len(matrices), size=(4.2 * len(matrices), 4))
    for axis, (name, matrix) in zip(axes, matrices.items(), strict=True):
        axis.imshow(matrix, cmap="Blues")
        for row, column in np.ndindex(2, 2):
            count = matrix[row][column]
            color = "white" if count > np.max(matrix) / 2 else "black"
            axis.text(column, row, str(count), ha="center", va="center", fontsize=14, color=color)
        axis.set(title=name, xlabel="called", ylabel="label", xticks=[0, 1], yticks=[0, 1])
        axis.set_xticklabels(["none", finding])
        axis.set_yticklabels(["none", finding])
    save_figure(figure, path)


def plot_roc(scored: Mapping[str, Scored], path: Path) -> None:
    """ROC curves by data set."""
    from sklearn.metrics import roc_curve

    figure, (axis,) = new_figure(1, 1, size=(5, 5))
    for name, one in scored.items():
        if 0 < one.labels.sum() < len(one.labels):
            false_positive, true_positive, _ = roc_curve(one.labels, one.logits)
            axis.plot(false_positive, true_positive, label=name)
    axis.plot([0, 1], [0, 1], color=_GREY, linestyle=":")
    axis.set(xlabel="1 − specificity", ylabel="sensitivity")
    axis.legend(fontsize=8)
    save_figure(figure, path)


def plot_samples(
    predictions: Sequence[SeriesPrediction], data: TrainingData, temperature: float, path: Path, count: int = 24
) -> None:
    """The most confident right and wrong slices, with label and probability. Real pictures: never leaves the run."""
    rows = [
        (record, record.label, float(chance))
        for prediction in predictions
        for record, chance in zip(
            prediction.records, calibrated(np.asarray(prediction.logits, np.float64), temperature), strict=True
        )
        if record.label is not None
    ]
    rows.sort(key=lambda row: abs(row[1] - row[2]), reverse=True)
    chosen = rows[: count // 2] + rows[-(count // 2) :]
    figure, axes = new_figure(3, -(-len(chosen) // 3), size=(1.6 * -(-len(chosen) // 3), 5.4))
    for axis in axes:
        axis.axis("off")
    for axis, (record, label, chance) in zip(axes, chosen, strict=False):
        axis.imshow(data.pixels_of(record)[..., 0], cmap="gray", vmin=0, vmax=255)
        right = label == (chance >= 0.5)  # noqa: PLR2004
        axis.set_title(f"label {label}  p {chance:.2f}", fontsize=7, color="black" if right else _ORANGE)
    save_figure(figure, path)


def _unit(record: Any, unit: str) -> Any:
    return record.path if unit == "slices" else record.patient_key


def new_figure(rows: int, columns: int, *, size: tuple[float, float]) -> tuple[Any, list[Any]]:
    """A figure of ``size`` inches without pyplot's global state, and its axes, row by row."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=size, layout="constrained")
    FigureCanvasAgg(figure)
    return figure, list(np.atleast_1d(figure.subplots(rows, columns)).ravel())


def save_figure(figure: Any, path: Path) -> None:
    """Write a figure as PNG, its folder with it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=110)
