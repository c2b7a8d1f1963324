"""The model card: what the model was trained on, how it was measured, what it must not be used for."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from hemo_core.training_run import Epochs, TrainingRun

_HEADER = """# Model card: {name}

**For research only. Not a medical device. A scan without a finding by this model has not been read by anyone.**

A CNN reads each slice, a bidirectional LSTM and then a bidirectional GRU read the slices in order. Output: one logit a
slice for {finding}{details}; the scan's logit is the softmax-weighted mean of its slice logits (β = {beta:g}).
Calibration temperature {temperature:.3f}; operating threshold {threshold:.3f}, locked on {locked_on}.
Input: {height} × {width} pixels, {windows}; the head is cropped, thin series are averaged to about {spacing:g} mm.
{start}Trained for {trained} of {planned} planned epochs of {steps} steps; the averaged weights of {kept} were kept.

## Training data

| source | side | patients | slices | positive slices |
|---|---|---|---|---|
"""

_FIGURES = """
## Figures

95 % intervals; AUC by a bootstrap over patients, sensitivity and specificity by Wilson.

| data | unit | n (positive) | patients | AUC | sensitivity | specificity |
|---|---|---|---|---|---|---|
"""

_LIMITS = """
## Read this before trusting a number

- Few patients: see the intervals. The figures hold for scans like those of the named sources and for no others.
- {chosen}
{one_class}- Single slices whose patients are unknown were used for training only and are never scored.
- Licence of the weights: {licence}.
"""

_IMAGENET = (
    "The CNN is EfficientNet-Lite0 to its fifth stage (arXiv:1905.11946) and began with weights learned on ImageNet.\n"
)

_CHOSEN_ON: Mapping[str, Mapping[str, str]] = {
    "val": {
        "locked_on": "validation patients",
        "kept": "epoch {kept}, the best on validation patients,",
        "caveat": (
            "Validation patients chose the epoch, the temperature and the threshold, so their figures are optimistic. "
            "Test\n  patients chose none of them."
        ),
    },
    "out_of_fold": {
        "locked_on": "out-of-fold predictions",
        "kept": "the last epoch",
        "caveat": (
            "Out-of-fold figures are those of models fitted in the same way to other patients; the released weights "
            "were fitted\n  to all patients but the test side's. Temperature and threshold were locked on these "
            "predictions, so sensitivity and\n  specificity out of fold are optimistic. Test patients chose none of it."
        ),
    },
}


def model_card(run: TrainingRun) -> str:
    """Markdown from a run's record."""
    primary, words = run.scoring.primary, _CHOSEN_ON[run.chosen_on or "val"]
    architecture, fit, epochs = run.architecture or {}, run.fit or {}, run.epochs or Epochs(0, 0)
    header = _HEADER.format(
        name=run.name,
        finding=primary.text,
        details="".join(f", and one for {one.text}" for one in run.scoring.details),
        beta=run.scoring.beta,
        temperature=primary.temperature,
        threshold=primary.threshold,
        height=run.input.height,
        width=run.input.width,
        windows=", ".join(f"window {one.level:g}/{one.width:g} HU" for one in run.input.windows),
        spacing=run.input.slice_spacing_mm,
        trained=epochs.trained,
        planned=fit["epochs"],
        steps=fit["steps"],
        kept=words["kept"].format(kept=epochs.kept),
        locked_on=words["locked_on"],
        start=_IMAGENET if architecture["cnn"] == "lite0" else "",
    )
    sources = "".join(
        f"| {one.source} | {one.side} | {one.patients or 'unknown'} | {one.slices} | {one.positive_slices} |\n"
        for one in run.data.sources
    )
    limits = _LIMITS.format(licence=run.licence, chosen=words["caveat"], one_class=_one_class(run.metrics))
    return header + sources + _figures(run.metrics) + limits


def _one_class(metrics: Mapping[str, Mapping[str, Any]]) -> str:
    """A line for each source all of whose exams show the finding."""
    units = [(source, one["exam"]) for sources in metrics.values() for source, one in sources.items()]
    everyone = dict.fromkeys(source for source, _ in units)
    return "".join(
        f'- Source "{source}" holds positive patients only: its exam figures say nothing about specificity.\n'
        for source in everyone
        if all(exam["count"] == exam["positive"] for name, exam in units if name == source)
    )


def _figures(metrics: Mapping[str, Mapping[str, Any]]) -> str:
    rows = [_FIGURES]
    for side, sources in metrics.items():
        for source, units in sources.items():
            for unit, one in units.items():
                figures = " | ".join(_cell(one[name]) for name in ("auc", "sensitivity", "specificity"))
                count = f"{one['count']} ({one['positive']})"
                rows.append(f"| {source} {side} | {unit} | {count} | {one['patients']} | {figures} |\n")
    return "".join(rows)


def _cell(interval: Mapping[str, float] | None) -> str:
    if interval is None:
        return "–"
    return f"{interval['value']:.3f} [{interval['low']:.3f}–{interval['high']:.3f}]"
