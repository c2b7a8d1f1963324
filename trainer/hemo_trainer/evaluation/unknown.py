"""What the figures do not say, worked out from the figures and the data themselves."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

FEW_POSITIVES = 10
FEW_EXAMS = 50

_DEMOGRAPHICS = (
    "Age, sex, scanner, indication and date are not part of the labelled data, so nothing is known about how the model "
    "does for any group of people or machines."
)
_READERS = (
    "No reader took part: whether anyone reads better or faster beside the model, and how often its output would "
    "mislead, is not known."
)
_SINGLE = (
    "{name}: {slices_single} slices have no series and no known patient. Each counts as an exam and a patient of its "
    "own, so the intervals are too narrow if some belong together."
)
_UNCERTAIN = (
    "{name}: {slices_uncertain} of {slices} slices have a doubtful label. They are left out of every slice figure, and "
    "they are the hard ones."
)
_BOXED = "{name}: a slice counts as positive if the source drew a box on it. Blood without a box counts as none."
_GREY = (
    "{name}: {slices_grey} of {slices} slices are 8-bit pictures in a window that the source chose, not Hounsfield "
    "units."
)
_LABELS = (
    ("slices_single", "single_slices", _SINGLE),
    ("slices_uncertain", "uncertain_labels", _UNCERTAIN),
    ("slices_boxed", "labels_by_boxes", _BOXED),
    ("slices_grey", "grey_pictures", _GREY),
)
_EXAM_LABEL = (
    "An exam counts as positive if any of its slices with a certain label is: no reader labelled the exam as a whole, "
    "and a finding that no slice label names counts as none."
)
_RATERS = (
    "How far readers agree about these labels was not measured: errors of the labels count as errors of the model."
)
_EXTERNAL = (
    "The sources measured here are those that the model was fitted to. How it does at another hospital, on another "
    "scanner or in another window is not known from this report."
)


def not_known(evidence: Mapping[str, Any]) -> list[dict[str, str]]:
    """``code``, ``text`` and the ``section`` of the page that it limits, most important first."""
    sources = [group for group in evidence["groups"] if not group["pooled"]]
    by_slices = any(group["exams_read"] < group["exams"] for group in sources)
    rows = [
        *_about_protocol(evidence["about"]),
        *(row for group in sources for row in _about_source(group)),
        *_about_pooling(evidence["groups"]),
        *_about_strata(evidence, sources),
        *_about_methods(evidence),
        ("no_demographics", "data", _DEMOGRAPHICS),
        *([("exam_labels", "data", _EXAM_LABEL)] if by_slices else []),
        ("no_rater_agreement", "data", _RATERS),
        ("no_readers", "thresholds", _READERS),
    ]
    return [{"code": code, "section": section, "text": text} for code, section, text in rows]


def _about_protocol(about: Mapping[str, Any]) -> Iterator[tuple[str, str, str]]:
    if about["protocol"] in {"unknown", "unseen", "validation", "out_of_fold"}:
        yield f"protocol_{about['protocol']}", "method", about["protocol_text"]
    if about["protocol"] not in {"external", "unknown"}:
        yield "no_external_data", "data", _EXTERNAL


def _about_source(group: Mapping[str, Any]) -> Iterator[tuple[str, str, str]]:
    yield from _about_classes(group)
    yield from _about_labels(group)


def _about_classes(group: Mapping[str, Any]) -> Iterator[tuple[str, str, str]]:
    name, exam = group["name"], group["exam"]
    if exam["count"] == exam["positive"]:
        text = f"{name} holds no negative exam: its exam AUC, specificity and predictive values are not known."
        yield "no_exam_negatives", "discrimination", text
    if not exam["positive"]:
        yield (
            "no_exam_positives",
            "discrimination",
            f"{name} holds no positive exam: its sensitivity is not known.",
        )
    if exam["count"] < FEW_EXAMS:
        text = f"{name} has {exam['count']} exams ({exam['positive']} positive): read its intervals, not its figures."
        yield "few_exams", "discrimination", text
    for unit in ("exam", "slice"):
        found = group[unit]
        if found and found["auc"] and found["auc"]["low"] == found["auc"]["high"]:
            text = (
                f"{name}, {unit}s: the scores separate the classes, so bootstrap and DeLong give an AUC interval of no "
                "width. That is a property of the methods in small data, not certainty."
            )
            yield "separated", "discrimination", text


def _about_labels(group: Mapping[str, Any]) -> Iterator[tuple[str, str, str]]:
    """A sentence for each way in which a source's labels say less than they seem to."""
    for count, code, text in _LABELS:
        if group[count] and (code != "uncertain_labels" or group["slice"] is not None):
            yield code, "data", text.format_map(group)
    if group["slice"] is None:
        text = f"{group['name']} was read exam by exam: how well the model finds the positive slices is not known."
        yield "no_slice_labels", "data", text


def _about_pooling(groups: list[Mapping[str, Any]]) -> Iterator[tuple[str, str, str]]:
    if any(group["pooled"] and group["exam"] is None for group in groups):
        text = "Exams are not pooled over sources: one source has one label only, so pooling would tell sources apart."
        yield "exams_not_pooled", "discrimination", text


def _about_strata(evidence: Mapping[str, Any], sources: list[Mapping[str, Any]]) -> Iterator[tuple[str, str, str]]:
    strata = evidence["strata"]
    named, measured = ({row["source"] for row in strata[kind]} for kind in ("subtype", "size"))
    with_positives = [group["name"] for group in sources if group["exam"]["positive"]]
    for name in with_positives:
        if name not in named:
            yield (
                "no_subtypes",
                "subgroups",
                f"{name} names no subtypes: which of them are missed there is not known.",
            )
        if name not in measured:
            text = f"{name} has neither boxes nor masks: how sensitivity depends on size is not known there."
            yield "no_sizes", "subgroups", text
    for row in strata["subtype"]:
        if row["slices"] < FEW_POSITIVES:
            many = "1 slice" if row["slices"] == 1 else f"{row['slices']} slices"
            text = f"{row['source']} has {many} that are {row['subtype']}: too few for a figure."
            yield "few_of_subtype", "subgroups", text
        elif row["patients"] < FEW_POSITIVES:
            text = (
                f"{row['source']}: all slices that are {row['subtype']} come from {row['patients']} "
                f"patient{'' if row['patients'] == 1 else 's'}."
            )
            yield "few_patients_of_subtype", "subgroups", text


def _about_methods(evidence: Mapping[str, Any]) -> Iterator[tuple[str, str, str]]:
    if not evidence["heatmaps"]:
        text = "Whether the heat maps point at the finding was not measured: take them as hints, never as outlines."
        yield "no_heatmap_quality", "heatmaps", text
    if not evidence["comparison"]:
        precision = evidence["about"]["precision"]
        yield "one_precision", "method", f"Only the {precision} graphs were run; graphs of other precision may differ."
