"""The CLAIM checklist, answered from the run's own records and from nothing else.

Mongan, Moy and Kahn, Radiology: AI 2020, doi:10.1148/ryai.2020200029, with what the 2024 update added (Tejani et al.,
Radiology: AI 2024, doi:10.1148/ryai.240300). An item that no record answers says so.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

from hemo_core.wording import STATEMENT

Status = Literal["reported", "partly", "not reported", "not applicable"]
Record: TypeAlias = Mapping[str, Any]

_ELSEWHERE = "Not in this run's records; see the data sets' own papers."


@dataclass(frozen=True, slots=True)
class Answer:
    """What the record says to an item, and the section of the page that shows it."""

    status: Status
    text: str
    section: str = ""


@dataclass(frozen=True, slots=True)
class Item:
    """One item of the checklist, its question in our words."""

    number: str
    part: str
    question: str
    answer: Callable[[Record, Record], Answer]


def claim_checklist(evidence: Record, manifest: Record) -> list[dict[str, str]]:
    """Every item with its answer.

    Args:
        evidence: all of it but the checklist.
        manifest: ``bundle.json`` or ``run.json``; may be empty.
    """
    training = manifest.get("training", manifest)
    rows = []
    for item in _ITEMS:
        answer = item.answer(evidence, {**manifest, "training": training})
        rows.append(
            {
                "item": item.number,
                "part": item.part,
                "question": item.question,
                "status": answer.status,
                "answer": answer.text,
                "section": answer.section,
            }
        )
    return rows


def _said(status: Status, text: str, section: str = "") -> Callable[[Record, Record], Answer]:
    """An answer that holds for every run of this software."""
    return lambda _evidence, _manifest: Answer(status, text, section)


def _absent(text: str) -> Callable[[Record, Record], Answer]:
    return _said("not reported", text)


def _goal(evidence: Record, _: Record) -> Answer:
    return Answer("reported", f"Measuring a model's accuracy: {evidence['about']['title']}.", "method")


def _sources(evidence: Record, manifest: Record) -> Answer:
    measured = ", ".join(
        f"{group['name']} ({group['patients']} patients, {group['slices']} slices)"
        for group in evidence["groups"]
        if not group["pooled"]
    )
    fitted = manifest["training"].get("data", {}).get("sources", ())
    trained = ", ".join(sorted({row["source"] for row in fitted if row["side"] == "train"}))
    text = f"Measured on {measured}."
    return Answer("reported" if trained else "partly", f"{text} Fitted to {trained}." if trained else text, "data")


def _preprocessing(_: Record, manifest: Record) -> Answer:
    contract = manifest.get("input")
    if not contract:
        return Answer("not reported", "The record holds no input contract.")
    windows = ", ".join(f"{window['level']:g}/{window['width']:g} HU" for window in contract["windows"])
    return Answer(
        "reported",
        f"Window {windows}, 8 bits, crop to the head with a margin of {contract['crop_margin']:.0%}, "
        f"{contract['height']} × {contract['width']} pixels; thinner series are averaged to "
        f"{contract['slice_spacing_mm']:g} mm. One implementation in training and use.",
    )


def _subset(evidence: Record, _: Record) -> Answer:
    doubtful = sum(group["slices_uncertain"] for group in evidence["groups"] if not group["pooled"])
    if doubtful:
        return Answer("reported", f"{doubtful} slices with a doubtful label are left out of every figure.", "data")
    return Answer("reported", "No slice was left out.", "data")


def _partition(evidence: Record, manifest: Record) -> Answer:
    rows = manifest["training"].get("data", {}).get("sources", ())
    counts: dict[str, int] = {}
    for row in rows:
        counts[row["side"]] = counts.get(row["side"], 0) + (row["patients"] or 0)
    split = evidence["about"]["data"].get("split_hash")
    known = ", ".join(f"{side} {count}" for side, count in counts.items())
    if not known:
        return Answer("not reported", "The record does not say how patients were divided.")
    text = f"Patients of known identity: {known}. Published splits are kept, others follow a hash of the patient."
    return Answer("reported", text + (f" Split {split[:12]}…" if split else ""), "method")


def _level(evidence: Record, _: Record) -> Answer:
    if evidence["about"]["protocol"] == "unknown":
        return Answer("partly", "Training refuses a patient on two sides; for these data it is not recorded.", "method")
    return Answer("reported", "By patient; a patient on two sides is refused.", "method")


def _model(_: Record, manifest: Record) -> Answer:
    shape = manifest["training"].get("architecture")
    if not shape:
        return Answer("not reported", "The record does not describe the network.")
    text = (
        f"A CNN for each slice ({_cnn(shape)}), a "
        f"bidirectional LSTM ({shape['lstm']}) and GRU ({shape['gru']}) over the slices, one logit a slice; the scan's "
        "logit is their softmax-weighted mean."
        if {"stem", "stages", "lstm", "gru"} <= set(shape)
        else f"Recorded settings: {', '.join(f'{key} {value}' for key, value in shape.items())}."
    )
    return Answer("reported", text)


def _cnn(shape: Record) -> str:
    if shape.get("cnn") == "lite0":
        return f"EfficientNet-Lite0 to its fifth stage, then {shape['top']} channels"
    return f"{shape['stem']} channels, then {', '.join(str(one) for one in shape['stages'])}"


def _software(evidence: Record, manifest: Record) -> Answer:
    found = {**manifest.get("libraries", {}), **evidence["about"]["software"]}
    return Answer("reported", ", ".join(f"{name} {found[name]}" for name in sorted(found)), "method")


def _initial(_: Record, manifest: Record) -> Answer:
    training = manifest["training"]
    if "seed" not in training:
        return Answer("not reported", "The record holds no seed.")
    start = f"Random, seed {training['seed']}."
    if training.get("architecture", {}).get("cnn") == "lite0":
        start = f"The CNN's from ImageNet, but for its last convolution; the others random, seed {training['seed']}."
    if training.get("pretrain", {}).get("steps"):
        first = ", ".join(f"{name} {value}" for name, value in training["pretrain"].items())
        start += f" A first phase on single slices: {first}."
    return Answer("reported", start)


def _training(_: Record, manifest: Record) -> Answer:
    fit = manifest["training"].get("fit")
    if not fit:
        return Answer("not reported", "The record does not say how the model was fitted.")
    settings = ", ".join(f"{key.replace('_', ' ')} {value}" for key, value in sorted(fit.items()))
    augmented = "augment" in manifest["training"]
    text = f"{settings}." + ("" if augmented else " Strength of augmentation: see the model card.")
    return Answer("reported" if augmented else "partly", text)


def _selection(_: Record, manifest: Record) -> Answer:
    epochs = manifest["training"].get("epochs")
    if not epochs:
        return Answer(
            "partly", "The epoch with the best figures on validation patients; its number is not recorded.", ""
        )
    return Answer("reported", f"Recorded: {', '.join(f'{key} {value}' for key, value in epochs.items())}.")


def _ensemble(evidence: Record, _: Record) -> Answer:
    if evidence["about"]["protocol"] == "out_of_fold":
        return Answer("reported", "One model a fold; each patient is scored by the one that never saw it.", "method")
    return Answer("not applicable", "One model.")


def _robustness(evidence: Record, _: Record) -> Answer:
    if evidence["comparison"]:
        return Answer("partly", "Two precisions of the graphs are compared; other changes are not.", "comparison")
    return Answer("not reported", "No change of window, noise, rotation or resolution was tried in this report.")


def _explained(evidence: Record, _: Record) -> Answer:
    if evidence["heatmaps"]:
        return Answer("reported", "Grad-CAM, checked as shown.", "heatmaps")
    return Answer("partly", "Grad-CAM; how well it points at the finding was not measured here.", "cases")


def _external(evidence: Record, _: Record) -> Answer:
    if evidence["about"]["protocol"] == "external":
        return Answer("reported", "These data are external to the model.", "data")
    return Answer("not reported", "No external data in this report.", "unknown")


def _partitions_measured(evidence: Record, manifest: Record) -> Answer:
    sides = sorted(manifest.get("metrics", {})) if isinstance(manifest.get("metrics"), dict) else []
    here = evidence["about"]["data"].get("side")
    if {"val", "test"} <= set(sides):
        return Answer(
            "reported", f"This report: {here or 'these data'}. The bundle's record: {', '.join(sides)}.", "glance"
        )
    return Answer("partly", f"This report covers {here or 'these data'} only.", "glance")


def _failures(evidence: Record, _: Record) -> Answer:
    cases = evidence["cases"]
    misses = sum(case["kind"] == "miss" for case in cases)
    text = f"{misses} misses and {len(cases) - misses} false alarms are listed; subgroups by kind, size and extent."
    return Answer("reported", text, "cases")


def _available(_: Record, manifest: Record) -> Answer:
    commit, licence = manifest.get("git_commit"), manifest.get("licence")
    if not (commit and licence):
        return Answer("partly", "The software is open (Apache-2.0); the record names no commit and licence.")
    return Answer("reported", f"Software Apache-2.0, commit {commit[:12]}; weights: {licence}.")


_ITEMS = (
    Item(
        "1",
        "Title",
        "Named as a study of AI, with the kind of technology",
        _said("reported", "The first lines name deep learning, the task and the model.", "top"),
    ),
    Item("2", "Abstract", "Structured summary", _said("reported", "Key figures stand at the top.", "glance")),
    Item("3", "Introduction", "Background, intended use and clinical role", _said("partly", STATEMENT, "top")),
    Item(
        "4",
        "Introduction",
        "Objectives and hypotheses",
        _said("partly", "Accuracy is estimated with intervals; no hypothesis was set beforehand.", "glance"),
    ),
    Item(
        "5",
        "Study design",
        "Prospective or retrospective",
        _said("reported", "Retrospective: labelled scans that already existed were scored.", "data"),
    ),
    Item("6", "Study design", "Goal of the study", _goal),
    Item("7", "Data", "Sources of the data", _sources),
    Item(
        "8",
        "Data",
        "Eligibility: how, where and when cases were found",
        _absent(_ELSEWHERE),
    ),
    Item("9", "Data", "Preprocessing", _preprocessing),
    Item("10", "Data", "Selection of subsets", _subset),
    Item(
        "11",
        "Data",
        "Definitions of data elements",
        _said("partly", "Labels are the data sets' own; an exam is positive if a slice of it is.", "data"),
    ),
    Item("12", "Data", "De-identification", _absent(_ELSEWHERE)),
    Item(
        "13",
        "Data",
        "Missing data",
        _said(
            "reported",
            "A slice without a certain label is in no figure; a subtype that is not named counts in none.",
            "data",
        ),
    ),
    Item(
        "14",
        "Reference standard",
        "Definition",
        _said("partly", "The data sets' slice labels, taken as they are.", "data"),
    ),
    Item("15", "Reference standard", "Reason for choosing it", _absent("It is the only one that came with the data.")),
    Item("16", "Reference standard", "Who annotated, and their training", _absent(_ELSEWHERE)),
    Item("17", "Reference standard", "Tools of annotation", _absent(_ELSEWHERE)),
    Item("18", "Reference standard", "Variability between and within readers", _absent("Not measured here.")),
    Item(
        "19",
        "Partitions",
        "Sample size and how it was chosen",
        _said("partly", "All that the sources offer on this side; no calculation was made beforehand.", "data"),
    ),
    Item("20", "Partitions", "How cases were assigned", _partition),
    Item("21", "Partitions", "Level at which partitions are disjoint", _level),
    Item("22", "Model", "Description of the network", _model),
    Item("23", "Model", "Software", _software),
    Item("24", "Model", "Initial weights", _initial),
    Item("25", "Training", "Training, augmentation and settings", _training),
    Item("26", "Training", "How the final model was chosen", _selection),
    Item("27", "Training", "Ensembles", _ensemble),
    Item(
        "28",
        "Evaluation",
        "Metrics",
        _said(
            "reported",
            "AUC, average precision, sensitivity, specificity, PPV, NPV, Brier score, ECE, net benefit.",
            "method",
        ),
    ),
    Item(
        "29",
        "Evaluation",
        "Uncertainty",
        _said("reported", "Bootstrap over patients, DeLong, Wilson; no test of significance is made.", "method"),
    ),
    Item("30", "Evaluation", "Robustness and sensitivity analysis", _robustness),
    Item("31", "Evaluation", "Explainability, and how it was validated", _explained),
    Item("32", "Evaluation", "External data", _external),
    Item(
        "33",
        "Results",
        "Flow of cases",
        _said("partly", "Patients, exams and slices by source, with those left out; no diagram.", "data"),
    ),
    Item("34", "Results", "Demographic and clinical features of each partition", _absent("The data do not hold them.")),
    Item("35", "Results", "Performance on all partitions", _partitions_measured),
    Item(
        "36",
        "Results",
        "Diagnostic accuracy with its precision",
        _said("reported", "Every figure stands with a 95 % interval.", "discrimination"),
    ),
    Item("37", "Results", "Analysis of failures", _failures),
    Item("38", "Discussion", "Limitations", _said("reported", "Worked out from the data of this run.", "unknown")),
    Item("39", "Discussion", "Implications for practice", _said("reported", STATEMENT, "top")),
    Item("40", "Other", "Registration", _absent("Not registered.")),
    Item(
        "41",
        "Other",
        "Where the protocol is",
        _said("partly", "The code and configuration that measured this are the protocol.", "method"),
    ),
    Item("42", "Other", "Funding", _absent("No record.")),
    Item("2024", "Data", "Image acquisition", _absent("Scanner, kernel and dose are not part of the labels.")),
    Item("2024", "Other", "Availability of code, model and data", _available),
)
