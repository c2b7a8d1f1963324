"""Gates on the numbers: ONNX and Keras give the same, whatever the batch, the length and the picture."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from hemo_core.errors import HeadUnknown
from hemo_core.inference.gradcam import Explainer
from hemo_export.gates.base import GateContext, GateResult, Reproduction
from hemo_export.parity.outputs import (
    LOGIT_LIMIT,
    ODD_SIZES,
    OutputComparison,
    cnn_comparisons,
    comparisons,
    difference,
    pictures,
)

HEATMAP_LIMIT = 1e-4
_HEATMAP_SLICES = 5


@dataclass(frozen=True, slots=True)
class NumericParity:
    """Every output over batch × slices × lengths × odd sizes × extreme pictures, against the Keras model.

    Args:
        seed: of the made-up pictures.
    """

    name: ClassVar[str] = "numeric parity"
    seed: int = 0

    def check(self, context: GateContext) -> GateResult:
        """See :class:`hemo_export.gates.base.Gate`."""
        findings = context.run.scoring.names
        checks: dict[str, float] = {}
        by_output: dict[str, float] = {}
        worst: OutputComparison | None = None
        failed = 0
        for comparison in self._all(context):
            checks[comparison.name] = comparison.difference
            for output, value in _outputs(comparison, findings):
                by_output[output] = max(by_output.get(output, 0.0), value)
            failed += not comparison.passed
            if worst is None or comparison.difference > worst.difference:
                worst = comparison
        blamed = worst if failed else None
        return GateResult(
            self.name,
            passed=blamed is None,
            figure=f"{len(checks)} comparisons, logits differ by ≤ {_greatest(by_output, 'logits'):.1e}",
            limit=f"{LOGIT_LIMIT:.0e}",
            detail=f"{failed} of {len(checks)} failed, worst {blamed.name}: {blamed.difference:.2e}" if blamed else "",
            figures={
                "max_abs_logit_difference": _greatest(by_output, "logits"),
                "logit_limit": LOGIT_LIMIT,
                "outputs": by_output,
                "checks": checks,
            },
            reproduce=_reproduction(context, blamed) if blamed else None,
        )

    def _all(self, context: GateContext) -> Iterator[OutputComparison]:
        rng = np.random.default_rng(self.seed)
        for size in ODD_SIZES:
            engine = context.engine_on("cpu", batch=size)
            yield from cnn_comparisons(context.keras, engine, pictures(rng, size, context.run.picture))
        yield from cnn_comparisons(context.keras, context.engine, pictures(rng, 5, context.run.picture))
        yield from comparisons(context.keras, context.engine, context.run.picture, rng)


class HeatMapParity:
    """Grad-CAM by way of the ONNX feature maps, as a worker draws it, against Grad-CAM on the whole Keras model."""

    name: ClassVar[str] = "heat maps"

    def check(self, context: GateContext) -> GateResult:
        """See :class:`hemo_export.gates.base.Gate`."""
        return _maps(self.name, context, context.explain())


class HeatMapsWithoutTensorFlow:
    """The same for the explainer that differentiates the ONNX graphs in numpy, for workers without TensorFlow."""

    name: ClassVar[str] = "heat maps without TensorFlow"

    def check(self, context: GateContext) -> GateResult:
        """See :class:`hemo_export.gates.base.Gate`."""
        try:
            explainer = Explainer(context.bundle, "onnx")
        except HeadUnknown as error:
            return GateResult(self.name, None, "not run: the head is none it knows", detail=str(error))
        return _maps(self.name, context, explainer)


def _maps(name: str, context: GateContext, explainer: Explainer) -> GateResult:
    """Every finding's maps of made-up pictures, all slices of one scan."""
    slices = pictures(np.random.default_rng(1), _HEATMAP_SLICES, context.run.picture)
    chosen, channels = range(len(slices)), range(len(context.run.scoring.findings))
    reference, features = context.keras.cnn(slices).features, context.engine.cnn(slices).features
    expected = np.stack([context.keras.heatmaps(reference, chosen, channel) for channel in channels])
    found = np.stack([explainer.heatmaps(features, chosen, channel) for channel in channels])
    apart = difference(found, expected)
    good = apart < HEATMAP_LIMIT
    facts = {"precision": context.precision, "explainer": explainer.kind, "limit": HEATMAP_LIMIT}
    return GateResult(
        name,
        good,
        f"maps in [0, 1] differ by ≤ {apart:.1e}",
        f"{HEATMAP_LIMIT:.0e}",
        figures={"largest_difference": apart},
        reproduce=None if good else Reproduction("compare_maps.py", facts, {"slices": slices, "maps": expected}),
    )


def _outputs(comparison: OutputComparison, findings: tuple[str, ...]) -> Iterator[tuple[str, float]]:
    """Each output's difference; logits by finding, so that swapped findings show."""
    if comparison.output != "logits":
        yield comparison.output, comparison.difference
        return
    for finding, value in zip(findings, comparison.by_channel, strict=True):
        yield f"logits {finding}", value


def _greatest(by_output: dict[str, float], prefix: str) -> float:
    return max(value for output, value in by_output.items() if output.startswith(prefix))


def _reproduction(context: GateContext, worst: OutputComparison) -> Reproduction:
    facts: dict[str, Any] = {
        "cnn": context.files.cnn,
        "sequence": context.files.sequence,
        "output": worst.output,
        "comparison": worst.name,
        "limit": worst.limit,
    }
    return Reproduction("compare_outputs.py", facts, {**worst.feeds, "expected": worst.expected})
