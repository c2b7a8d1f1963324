"""What the report says about accuracy: key figures, data, curves, thresholds, calibration, decisions."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from hemo_trainer.evaluation.figures import class_names
from hemo_trainer.evaluation.report.document import (
    NONE,
    Block,
    Cell,
    Matrices,
    Matrix,
    Plot,
    Prose,
    Section,
    Table,
    figure_cell,
    number,
    rate_cell,
)

Evidence = Mapping[str, Any]

UNITS = ("exam", "slice")
POINTS = {
    "locked": "locked threshold",
    "locked_or_review": "locked threshold, or for review",
    "sensitivity_0.90": "90 % sensitivity",
    "sensitivity_0.95": "95 % sensitivity",
}

_AUC_AXIS = (0.5, 1.0)
_EXAMS = 1000


def finding_text(evidence: Evidence) -> str:
    """What people call the finding that was measured."""
    text: str = next(one["text"] for one in evidence["scoring"]["findings"] if one["role"] == "primary")
    return text


def measured(evidence: Evidence, *, pooled: bool = True) -> Iterator[tuple[str, str, Mapping[str, Any]]]:
    """Name, unit and figures of everything that was measured; exams first."""
    for unit in UNITS:
        for group in evidence["groups"]:
            if group[unit] is not None and (pooled or not group["pooled"]):
                yield group["name"], unit, group[unit]


def glance(evidence: Evidence) -> Section:
    """Key figures."""
    rows = tuple(
        (
            Cell(name),
            Cell(f"{unit}s"),
            Cell(f"{found['count']}", f"{found['positive']} with {finding_text(evidence)}"),
            figure_cell(found["auc"]),
            Cell("", bar=figure_cell(found["auc"], bar=_AUC_AXIS).bar),
            rate_cell(_point(found, "locked")["sensitivity"]),
            rate_cell(_point(found, "locked")["specificity"]),
        )
        for name, unit, found in measured(evidence)
    )
    head = ("data", "unit", "number", "AUC", "0.5 – 1", "sensitivity", "specificity")
    threshold = evidence["scoring"]["threshold"]
    blocks: list[Block] = [
        Prose(
            "Figures are shown with their 95 % interval. AUC: bootstrap over patients. Sensitivity and specificity: "
            f"at the locked threshold of {threshold:.3f} calibrated probability, with Wilson intervals and counts."
        ),
        Table(head, rows, words=2),
    ]
    blocks += [Prose(line) for line in _in_plain_numbers(evidence)]
    return Section("glance", "At a glance", tuple(blocks))


def _in_plain_numbers(evidence: Evidence) -> Iterator[str]:
    """What the exam figures would mean for a thousand exams, one in ten with the finding."""
    finding = finding_text(evidence)
    for name, unit, found in measured(evidence):
        if unit != "exam":
            continue
        point = _point(found, "locked_or_review")
        one, other = point["sensitivity"], point["specificity"]
        if one is None or other is None:
            continue
        ill = _EXAMS // 10
        missed = [round(ill * (1 - one[end])) for end in ("value", "high", "low")]
        alarms = [round((_EXAMS - ill) * (1 - other[end])) for end in ("value", "high", "low")]
        yield (
            f"In plain numbers, {name}: of {_EXAMS} exams like these of which {ill} show {finding}, the model would "
            f"neither label nor mark for review {missed[0]} of the {ill} (interval {missed[1]} to {missed[2]}), and it "
            f"would label or mark {alarms[0]} of the other {_EXAMS - ill} (interval {alarms[1]} to {alarms[2]})."
        )


def data(evidence: Evidence) -> Section:
    """Who and what was measured."""
    head = ("data", "patients", "exams", "slices", "doubtful, left out", "boxed", "positive slices", "prevalence")
    rows = tuple(
        (
            Cell(group["name"]),
            Cell(str(group["patients"]), f"{group['patients_positive']} with {finding_text(evidence)}"),
            Cell(str(group["exams"])),
            Cell(str(group["slices"])),
            Cell(str(group["slices_uncertain"])),
            Cell(str(group["slices_boxed"])),
            Cell(str(group["slice"]["positive"]) if group["slice"] else NONE),
            Cell(_share(group["slice"])),
        )
        for group in evidence["groups"]
    )
    return Section("data", "Data", (Prose(evidence["about"]["protocol_text"]), Table(head, rows)))


def discrimination(evidence: Evidence) -> Section:
    """AUC and average precision, and the curves behind them."""
    head = ("data", "unit", "AUC, bootstrap", "AUC, DeLong", "average precision", "by chance")
    rows = tuple(
        (
            Cell(name),
            Cell(f"{unit}s"),
            figure_cell(found["auc"]),
            figure_cell(found["auc_delong"]),
            figure_cell(found["average_precision"]),
            Cell(_share(found) if found["auc"] else NONE),
        )
        for name, unit, found in measured(evidence)
    )
    text = (
        "AUC is the chance that an item with the finding scores higher than one without; average precision is the area "
        "under the precision–recall curve, to be compared with the prevalence, which is what chance gives. DeLong "
        "takes items as independent and therefore stands beside exams only."
    )
    blocks: list[Block] = [Prose(text), Table(head, rows, words=2)]
    if any(found["curves"] for _, _, found in measured(evidence)):
        blocks += [
            Plot("roc", "ROC curves of exams and slices by source; dots mark the locked threshold"),
            Plot("pr", "Precision–recall curves of exams and slices by source"),
        ]
    return Section("discrimination", "How well scores separate", tuple(blocks))


def thresholds(evidence: Evidence) -> Section:
    """Sensitivity, specificity and predictive values where one decides."""
    rows, worth, matrices = [], [], []
    for name, unit, found in measured(evidence):
        for point in found["operating_points"]:
            where = (Cell(name), Cell(f"{unit}s"), Cell(POINTS[point["name"]]))
            rows.append(
                (
                    *where,
                    Cell(number(point["threshold"])),
                    rate_cell(point["sensitivity"]),
                    Cell(_clustered(point["sensitivity"])),
                    rate_cell(point["specificity"]),
                    Cell(_clustered(point["specificity"])),
                )
            )
            if point["predictive_values"] and unit == "exam":
                values = point["predictive_values"]
                cells = [figure_cell(one[kind]) for kind in ("ppv", "npv") for one in values]
                worth.append((*where, *cells))
        (lower, upper) = _point(found, "locked")["confusion_matrix"]
        matrices.append(Matrix(f"{name}, {unit}s", ((lower[0], lower[1]), (upper[0], upper[1]))))
    head = ("data", "unit", "where", "threshold", "sensitivity", "by patient", "specificity", "by patient")
    worth_head = ("data", "unit", "where", *(f"{kind} at {p} %" for kind in ("PPV", "NPV") for p in (5, 10, 15)))
    text = (
        "The locked threshold was fixed before these figures were taken, unless the origin of the data above says "
        "otherwise. The thresholds for 90 % and 95 % sensitivity are looked up in these very data, so their "
        "specificity is optimistic. “For review” also counts exams below the threshold that hold a slice above it, "
        "as a worker labels them. Wilson intervals take items as independent; slices of one patient are not, so the "
        "interval of a bootstrap over patients stands beside them; it does not exist where all patients agree."
    )
    blocks: list[Block] = [
        Prose(text),
        Matrices(tuple(matrices)),
        Table(head, tuple(rows), caption="Sensitivity and specificity", words=3),
    ]
    if worth:
        note = (
            "What a call would be worth at another prevalence (Bayes). Ranges take both Wilson limits at once and are "
            "therefore wider than 95 %."
        )
        blocks += [Table(worth_head, tuple(worth), caption="Predictive values of exams", words=3), Prose(note)]
    blocks += [_reports(evidence)]
    return Section("thresholds", "At a threshold", tuple(blocks))


def _reports(evidence: Evidence) -> Table:
    """scikit-learn's classification report at the locked threshold."""
    rows = []
    for name, unit, found in measured(evidence):
        report = found["classification_report"]
        for row in (*class_names(finding_text(evidence)), "macro avg", "weighted avg"):
            cells = report[row]
            figures = [Cell(f"{cells[key]:.2f}") for key in ("precision", "recall", "f1-score")]
            rows.append((Cell(name), Cell(f"{unit}s"), Cell(row), *figures, Cell(f"{cells['support']:.0f}")))
    head = ("data", "unit", "class", "precision", "recall", "F1", "support")
    return Table(head, tuple(rows), caption="Classification report at the locked threshold", words=3, folded=True)


def calibration(evidence: Evidence) -> Section:
    """Whether probabilities mean what they say."""
    rows = []
    for name, unit, found in measured(evidence):
        for step in ("before", "after"):
            one = found["calibration"][step]
            rows.append(
                (
                    Cell(name),
                    Cell(f"{unit}s"),
                    Cell(f"{step}, T = {one['temperature']:.3f}"),
                    figure_cell(one["brier"]),
                    Cell(number(one["ece"])),
                    Cell(number(one["intercept"])),
                    Cell(number(one["slope"])),
                )
            )
    text = (
        "Before and after temperature scaling. The Brier score is the mean squared error of the probability; ECE is "
        "the mean gap between probability and observed share over ten bins of equal width, weighted by their size. "
        "Intercept and slope of the logistic recalibration are 0 and 1 for calibrated probabilities, and do not "
        "exist where the scores separate the classes. Probabilities hold for data with this prevalence only."
    )
    head = ("data", "unit", "temperature scaling", "Brier score", "ECE", "intercept", "slope")
    plot = Plot("reliability", "Reliability: observed share against probability, before and after temperature scaling")
    return Section("calibration", "Calibration", (Prose(text), plot, Table(head, tuple(rows), words=3)))


def decision(evidence: Evidence) -> Section:
    """Whether acting on the model beats acting on all or on none."""
    if not any(found["decision"] for _, _, found in measured(evidence, pooled=False)):
        return Section("decision", "Decision curve", (Prose("No source here has both classes, so there is none."),))
    text = (
        "Net benefit (Vickers and Elkin 2006) is the share of true positives less the share of false positives, "
        "weighted by the odds of the probability at which one would act. The model helps at a threshold where its "
        "line lies above those of acting on all and on none. The prevalence is that of these data, far above that of "
        "an emergency department, so the height of the curves does not carry over."
    )
    plot = Plot("decision", "Net benefit of the model, of acting on all and on none, against the threshold probability")
    return Section("decision", "Decision curve", (Prose(text), plot))


def _point(found: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    point: Mapping[str, Any] = next(point for point in found["operating_points"] if point["name"] == name)
    return point


def _share(found: Mapping[str, Any] | None) -> str:
    return NONE if not found else number(found["positive"] / found["count"])


def _clustered(found: Mapping[str, Any] | None) -> str:
    if found is None or found["clustered"] is None:
        return NONE
    low, high = found["clustered"]
    return NONE if low == high else f"{number(low)}–{number(high)}"
