"""What the report says about failures, and about itself: subgroups, cases, heat maps, precision, method, checklist."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from hemo_trainer.evaluation.figures import class_names
from hemo_trainer.evaluation.report.content import Evidence, finding_text
from hemo_trainer.evaluation.report.document import (
    NONE,
    Block,
    Cell,
    Facts,
    Gallery,
    Picture,
    Plot,
    Points,
    Prose,
    Section,
    Table,
    figure_cell,
    number,
    rate_cell,
)
from hemo_trainer.heatmap_quality.lines import heatmap_lines
from hemo_trainer.heatmap_quality.plots import CAPTIONS

Rows = Sequence[Mapping[str, Any]]

_LISTED = "At most one slice a patient, the surest errors first. This report holds no picture of them."
_LOCAL = (
    "Where the data are of patients, these pictures are too. They belong to this folder and must not leave it: no "
    "bundle takes them along, and a report made with --cases 0 holds none."
)
_READING = (
    "Left: the slice as the model saw it, the finding outlined where the source drew it. Right: the same with its heat "
    "map, scaled to its own peak; a miss has one too, and it shows where the little evidence lay. At most one slice "
    "a patient."
)
_TONES = {"reported": "good", "partly": "warn", "not reported": "bad", "not applicable": "plain"}


def subgroups(evidence: Evidence) -> Section:
    """By kind, by size, by extent."""
    strata = evidence["strata"]
    text = (
        "Sensitivity at the locked threshold. AUC sets the slices of a row against all negative slices of the same "
        "source. Rows with few patients say little: look at the counts first."
    )
    tables = (
        _kinds(strata["subtype"]) if strata["subtype"] else None,
        _sizes(strata["size"]) if strata["size"] else None,
        _extents(strata["extent"], finding_text(evidence)) if strata["extent"] else None,
    )
    blocks: list[Block] = [Prose(text), *(table for table in tables if table is not None)]
    return Section("subgroups", "By kind, size and extent", tuple(blocks))


def _kinds(found: Rows) -> Table:
    head = ("data", "kind", "slices", "patients", "slice AUC", "slice sensitivity", "exam sensitivity")
    rows = tuple(
        (
            Cell(row["source"]),
            Cell(row["subtype"]),
            *_slices_and_patients(row),
            figure_cell(row["auc"]),
            rate_cell(row["sensitivity"]),
            rate_cell(row["exams"]["labelled"]),
        )
        for row in found
    )
    return Table(head, rows, caption="By kind", words=2)


def _sizes(found: Rows) -> Table:
    head = ("data", "size", "share of the head", "slices", "patients", "slice AUC", "slice sensitivity")
    rows = tuple(
        (
            Cell(row["source"]),
            Cell(row["size"]),
            Cell(f"{row['from']:.1%} – {row['to']:.1%}"),
            *_slices_and_patients(row),
            figure_cell(row["auc"]),
            rate_cell(row["sensitivity"]),
        )
        for row in found
    )
    return Table(head, rows, caption="By size: thirds of the share of the head that is marked", words=2)


def _extents(found: Rows, finding: str) -> Table:
    head = ("data", f"slices with {finding}", "exams", f"labelled {finding}", f"{finding} or review")
    rows = tuple(
        (
            Cell(row["source"]),
            Cell(f"{row['from']} or more" if row["to"] is None else f"{row['from']} to {row['to']}"),
            Cell(str(row["exams"]["count"])),
            rate_cell(row["exams"]["labelled"]),
            rate_cell(row["exams"]["labelled_or_review"]),
        )
        for row in found
    )
    return Table(head, rows, caption="By extent: how many slices of the exam show it", words=2)


def _slices_and_patients(row: Mapping[str, Any]) -> tuple[Cell, Cell]:
    return Cell(str(row["slices"])), Cell(str(row["patients"]))


def cases(evidence: Evidence, *, pictured: bool) -> Section:
    """The gallery; a list where there are no pictures."""
    if not evidence["cases"]:
        return Section("cases", "Worst misses and false alarms", (Prose("None are shown."),))
    blocks: list[Block] = [Prose(_READING), Prose(_LOCAL)] if pictured else [Prose(_LISTED)]
    for kind, title in (("miss", "Surest misses"), ("false_alarm", "Surest false alarms")):
        pictures = tuple(_picture(case, finding_text(evidence)) for case in evidence["cases"] if case["kind"] == kind)
        if pictures:
            blocks.append(Gallery(f"{title} ({len(pictures)} patients)", pictures))
    return Section("cases", "Worst misses and false alarms", tuple(blocks))


def _picture(case: Mapping[str, Any], finding: str) -> Picture:
    kinds = ", ".join(case["subtypes"]) or class_names(finding)[case["label"]]
    here, count = case["place"]
    text = f"p {case['probability']:.3f} · labelled {kinds} · slice {case['slice']} ({here} of {count})"
    return Picture(case["name"], f"{case['source']} {case['patient']}", text)


def heatmaps(evidence: Evidence) -> Section:
    """Whether heat maps point at the finding, drive the score, and depend on the weights."""
    found = evidence["heatmaps"]
    if not found:
        return Section("heatmaps", "Heat maps", (Prose("Their quality was not measured here."),))
    rows = tuple(
        (Cell(line.name), Cell(line.value), Cell(line.beside), Cell(line.count)) for line in heatmap_lines(found)
    )
    blocks: list[Block] = [Table(("check", "result", "a map that knows nothing", "measured on"), rows, words=4)]
    if found.get("randomisation", {}).get("passed") is False:
        blocks.insert(
            0, Prose("The randomisation check failed: workers draw no heat map with this model unless asked.")
        )
    blocks += [Plot(name, caption) for name, (key, caption) in CAPTIONS.items() if key in found]
    pictures = tuple(Picture(name, "", text) for name, text in found.get("pictures", {}).items())
    if pictures:
        blocks.append(Gallery("", pictures))
    return Section("heatmaps", "Heat maps", tuple(blocks))


def comparison(evidence: Evidence) -> Section | None:
    """Two precisions of the same graphs, side by side."""
    found = evidence["comparison"]
    if found is None:
        return None
    first, second = found["first"], found["second"]
    rows = tuple(
        (
            Cell(row["source"]),
            Cell(f"{row['unit']}s"),
            figure_cell(row["auc"][0]),
            figure_cell(row["auc"][1]),
            _difference(row["auc_difference"]),
            _difference(row["average_precision_difference"]),
            Cell(f"{row['flips_at_threshold']} of {row['count']}", f"{row['flips_up']} of them up"),
            Cell(f"{row['probability_change']['mean']:.4f}"),
            Cell(f"{row['probability_change']['max']:.4f}"),
        )
        for row in found["rows"]
    )
    head = (
        "data",
        "unit",
        f"AUC {first}",
        f"AUC {second}",
        "AUC change",
        "AP change",
        "flips",
        "mean |Δp|",
        "max |Δp|",
    )
    text = (
        f"{second} less {first}. Differences have intervals of a bootstrap that draws the same patients for both. A "
        "flip is an item on the other side of the locked threshold. All other figures of this report are those of "
        f"{first}."
    )
    return Section("comparison", "Precision of the graphs", (Prose(text), Table(head, rows, words=2)))


def _difference(found: Mapping[str, Any] | None) -> Cell:
    if found is None:
        return Cell(NONE)
    if found["low"] == found["high"] == 0:
        return Cell("none", "in any resample")
    return Cell(f"{found['value']:+.4f}", f"{found['low']:+.4f} to {found['high']:+.4f}")


def unknown(evidence: Evidence) -> Section:
    """What the figures do not say."""
    text = "Worked out from the data of this run. Each of these limits a figure above."
    return Section(
        "unknown", "What is not known", (Prose(text), Points(tuple(row["text"] for row in evidence["not_known"])))
    )


def method(evidence: Evidence) -> Section:
    """How to get the same numbers."""
    about, scoring, bootstrap = evidence["about"], evidence["scoring"], evidence["bootstrap"]
    software = ", ".join(f"{name} {version}" for name, version in about["software"].items())
    rows = [
        ("Command", about["command"]),
        *((f"Model {name}", value) for name, value in about["model"].items()),
        *((f"Data {name.replace('_', ' ')}", value) for name, value in about["data"].items()),
        ("Run by", ", ".join(filter(None, (about["provider"], about["precision"])))),
        ("Machine", about["machine"]),
        ("Software", software),
        ("Scan logit", f"Σ zᵢ·softmax(β·zᵢ) over slice logits, β = {scoring['beta']:g}"),
        ("Temperature", number(scoring["temperature"])),
        ("Threshold", f"{scoring['threshold']:.6f} calibrated probability"),
        (
            "Bootstrap",
            f"{bootstrap['resamples']} resamples of patients, seed {bootstrap['seed']}, 95 % percentile interval",
        ),
    ]
    text = (
        "The same command on the same data gives the same figures. Areas come from scikit-learn, Wilson intervals "
        "and midranks from SciPy. The bootstrap draws patients with all of their slices (Field and Welsh 2007); "
        "DeLong follows Sun and Xu 2014. No figure was tested for significance."
    )
    known = tuple((name, str(value)) for name, value in rows if value)
    return Section("method", "How it was measured", (Prose(text), Facts(known)))


def checklist(evidence: Evidence) -> Section:
    """CLAIM."""
    counts = Counter(row["status"] for row in evidence["claim"])
    summary = ", ".join(f"{counts[status]} {status}" for status in _TONES if counts[status])
    text = (
        "Checklist for Artificial Intelligence in Medical Imaging (Mongan, Moy and Kahn 2020, "
        "doi:10.1148/ryai.2020200029), with two items of its 2024 update (Tejani et al., doi:10.1148/ryai.240300); "
        f"items in our words, answers from the records of this run. {summary[:1].upper()}{summary[1:]}."
    )
    rows = tuple(
        (
            Cell(row["item"]),
            Cell(row["part"]),
            Cell(row["question"]),
            Cell(row["status"], tone=_TONES[row["status"]]),
            Cell(row["answer"], section=row["section"]),
        )
        for row in evidence["claim"]
    )
    return Section(
        "claim", "CLAIM checklist", (Prose(text), Table(("item", "part", "asks for", "", "answer"), rows, words=5))
    )
