"""The gate on what the model is for: the same scans get the same answers."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, ClassVar

import numpy.typing as npt

from hemo_export.gates.base import GateContext, GateResult, Reproduction
from hemo_export.parity.task_scores import ScoredModel, TaskDifference, compare

LEAST_DELTA_AUC, MOST_FLIPS = -0.005, 0.01
MOST_DELTA, LEAST_CORRELATION = 1e-4, 0.99


@dataclass(frozen=True, slots=True)
class TaskLimits:
    """What two models' answers may differ by.

    Attributes:
        delta_auc: least difference of AUC, of scans and of slices.
        flips: largest share of labels that flip, of scans and of slices.
        delta: largest absolute difference of a probability; None: recorded only.
        correlation: least rank correlation of a heat map; None: recorded only.
    """

    delta_auc: float = LEAST_DELTA_AUC
    flips: float = MOST_FLIPS
    delta: float | None = None
    correlation: float | None = None

    def broken_by(self, apart: TaskDifference) -> tuple[str, ...]:
        """What of it is not kept, in words."""
        area, maps = apart.worst_delta_auc, apart.map_correlation
        kept = {
            "AUC": area is None or area >= self.delta_auc,
            "flips": apart.flip_rate <= self.flips,
            "|Δp|": self.delta is None or apart.largest_delta <= self.delta,
            "heat maps": self.correlation is None or maps is None or maps >= self.correlation,
        }
        return tuple(name for name, good in kept.items() if not good)

    def in_words(self) -> str:
        """One line."""
        delta = "" if self.delta is None else f", |Δp| ≤ {self.delta:.0e}"
        maps = "" if self.correlation is None else f", ρ ≥ {self.correlation}"
        return f"ΔAUC ≥ {self.delta_auc}, flips ≤ {self.flips:.0%}{delta}{maps}"


EXACT = TaskLimits(flips=0.0, delta=MOST_DELTA, correlation=LEAST_CORRELATION)
"""For the same arithmetic in another library or on another device."""
RELEASE = TaskLimits()
"""For a variant against fp32."""


@dataclass(frozen=True, slots=True)
class TaskParity:
    """AUC, labels at the locked threshold, probabilities and heat maps, against the reference's.

    Args:
        limits: what they may differ by.
    """

    name: ClassVar[str] = "task parity"
    limits: TaskLimits

    def check(self, context: GateContext) -> GateResult:
        """See :class:`hemo_export.gates.base.Gate`."""
        return judged(self.name, context, self.limits, context.subject, context.reference)


def judged(
    name: str, context: GateContext, limits: TaskLimits, subject: ScoredModel, reference: ScoredModel
) -> GateResult:
    """Hold ``subject`` against ``reference``."""
    data = context.data
    apart = compare(subject.scores, reference.scores, data, context.run.scoring)
    broken = limits.broken_by(apart)
    return GateResult(
        name,
        not broken,
        apart.in_words(),
        limit=limits.in_words(),
        detail=f"{subject.name} and {reference.name} differ in {', '.join(broken)}" if broken else "",
        figures={**_figures(apart), "against": reference.name, "on": data.origin},
        reproduce=_reproduction(context, limits, subject, reference) if broken else None,
    )


def _figures(apart: TaskDifference) -> dict[str, Any]:
    return {
        "delta_auc_scans": apart.delta_auc_scans,
        "delta_auc_slices": apart.delta_auc_slices,
        "flipped_scans": apart.flipped_scans,
        "flipped_slices": apart.flipped_slices,
        "largest_delta_p": apart.largest_delta,
        "lowest_heat_map_correlation": apart.map_correlation,
    }


def _reproduction(
    context: GateContext, limits: TaskLimits, subject: ScoredModel, reference: ScoredModel
) -> Reproduction:
    expected = reference.scores
    facts = {
        "precision": context.precision,
        "origin": context.data.origin,
        "limits": asdict(limits),
        "device": "cuda" if subject.name.endswith("CUDA") else "cpu",
        "labels": expected.labels,
    }
    arrays: dict[str, npt.NDArray[Any]] = {
        "pixels": context.data.pixels,
        "truth": context.data.labels,
        "scan": context.data.scan,
        "scans": expected.scans,
        "slices": expected.slices,
        "maps": expected.maps,
    }
    return Reproduction("compare_task.py", facts, arrays)
