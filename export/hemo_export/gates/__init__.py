"""The hard gates of an export. All of them run; what failed is told together, with a script for each failure."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy.typing as npt

from hemo_core.errors import HemoError
from hemo_export.gates.base import Gate, GateContext, GateResult, Reproduction
from hemo_export.gates.contract import SameContract
from hemo_export.gates.numeric import HeatMapParity, HeatMapsWithoutTensorFlow, NumericParity
from hemo_export.gates.providers import SameOnCuda
from hemo_export.gates.refusals import Refusals
from hemo_export.gates.structure import Loads, OperatorCensus, ValidGraphs
from hemo_export.gates.task import EXACT, RELEASE, TaskParity

FILE_GATES: tuple[Gate, ...] = (ValidGraphs(), Loads(), OperatorCensus(), SameContract(), Refusals())
FP32_GATES: tuple[Gate, ...] = (
    *FILE_GATES,
    NumericParity(),
    HeatMapParity(),
    HeatMapsWithoutTensorFlow(),
    TaskParity(EXACT),
    SameOnCuda(EXACT),
)
"""Against the Keras model."""
VARIANT_GATES: tuple[Gate, ...] = (*FILE_GATES, TaskParity(RELEASE), SameOnCuda(RELEASE))
"""Against fp32."""


def run_gates(
    gates: tuple[Gate, ...], context: GateContext, on_result: Callable[[GateResult], None]
) -> tuple[GateResult, ...]:
    """Run every gate, whatever the others found.

    Args:
        gates: what to check.
        context: what to check it on.
        on_result: called with each result as it is there.
    """
    results = []
    for gate in gates:
        began = time.perf_counter()
        result = replace(_checked(gate, context), seconds=time.perf_counter() - began)
        on_result(result)
        results.append(result)
    return tuple(results)


def failures(results: tuple[GateResult, ...]) -> tuple[GateResult, ...]:
    """Those that did not pass. A gate that could not run here is none of them."""
    return tuple(result for result in results if result.passed is False)


def _checked(gate: Gate, context: GateContext) -> GateResult:
    """A gate that cannot even measure has failed; so has one that breaks on a graph it did not expect."""
    try:
        return gate.check(context)
    except HemoError as error:
        where = f"{Path(error.path).name}: " if error.path else ""  # the folder is a passing one
        told = f"{where}{error.message}"
    except Exception as error:  # noqa: BLE001  (onnxruntime, onnx and TensorFlow raise as they like on a bad graph)
        told = f"{type(error).__name__}: {error}"
    asked: dict[str, npt.NDArray[Any]] = {"pixels": context.data.pixels, "scan": context.data.scan}
    again = Reproduction("score_again.py", {"precision": context.precision}, asked)
    return GateResult(gate.name, passed=False, figure="could not be measured", detail=told, reproduce=again)


__all__ = ["FP32_GATES", "VARIANT_GATES", "Gate", "GateContext", "GateResult", "failures", "run_gates"]
