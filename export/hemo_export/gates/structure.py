"""Gates on the files alone: valid, complete, with the operators that were meant."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from hemo_core.inference.precision import CPU
from hemo_export.gates.base import GateContext, GateResult, Reproduction
from hemo_export.graph import OPSET, op_census, recurrent_layers

LOOPS = frozenset({"Loop", "If", "Scan"})
RECURRENT = ("LSTM", "GRU")
_RANKS = (
    {"slices": 4, "features": 4, "embedding": 2},
    {"embeddings": 3, "lengths": 1, "logits": 3},
)


class ValidGraphs:
    """ONNX's own checker with strict shape inference; names and ranks of inputs and outputs; every weight a number."""

    name: ClassVar[str] = "valid graphs"

    def check(self, context: GateContext) -> GateResult:
        """See :class:`hemo_export.gates.base.Gate`."""
        graphs = dict(zip(context.graphs, _RANKS, strict=True))
        found = [
            f"{file}: {problem}"
            for file, ranks in graphs.items()
            for problem in problems(context.bundle.path / file, ranks)
        ]
        figure = f"{len(found)} problems" if found else "checker and strict shape inference agree"
        failed = Reproduction("check_graphs.py", {"graphs": graphs}) if found else None
        return GateResult(self.name, not found, figure, detail="; ".join(found), reproduce=failed)


class OperatorCensus:
    """No loop and no branch; each recurrence one fused node; the opset that was asked for."""

    name: ClassVar[str] = "operators"

    def check(self, context: GateContext) -> GateResult:
        """See :class:`hemo_export.gates.base.Gate`."""
        wanted = {op: recurrent_layers(context.submodels.sequence).get(op, 0) for op in RECURRENT}
        asked = {context.files.cnn: dict.fromkeys(RECURRENT, 0), context.files.sequence: wanted}
        protos = {file: _load(context.bundle.path / file) for file in asked}
        census = {file: op_census(proto) for file, proto in protos.items()}
        found = [f"{file}: {misfit}" for file in asked for misfit in _misfits(protos[file], census[file], asked[file])]
        nodes = sum(sum(operators.values()) for operators in census.values())
        facts = {"opset": OPSET, "loops": sorted(LOOPS), "graphs": asked}
        return GateResult(
            self.name,
            not found,
            f"opset {OPSET}, {nodes} nodes, fused: " + ", ".join(f"{count} {op}" for op, count in wanted.items()),
            limit="no Loop, If or Scan",
            detail="; ".join(found),
            figures={"opset": OPSET, "operators": census},
            reproduce=Reproduction("count_operators.py", facts) if found else None,
        )


class Loads:
    """Both graphs load in onnxruntime on the provider asked for, and that provider is the one that truly runs."""

    name: ClassVar[str] = "loads"

    def check(self, context: GateContext) -> GateResult:
        """See :class:`hemo_export.gates.base.Gate`."""
        provider = context.engine.provider
        return GateResult(self.name, provider == CPU, provider, detail="" if provider == CPU else f"asked for {CPU}")


def _load(path: Path) -> Any:
    import onnx

    return onnx.load(path, load_external_data=False)


def problems(path: Path, ranks: dict[str, int]) -> Iterator[str]:
    """What is wrong with an ONNX file.

    Args:
        path: the file.
        ranks: number of axes of each input and output, by name.
    """
    import onnx

    try:
        proto = _load(path)
        onnx.checker.check_model(proto, full_check=True)
        onnx.shape_inference.infer_shapes(proto, check_type=True, strict_mode=True, data_prop=True)
    except Exception as error:  # noqa: BLE001  (protobuf, the checker and shape inference each raise their own)
        yield f"{type(error).__name__}: {error}"
        return
    found = {value.name: _rank(value) for value in (*proto.graph.input, *proto.graph.output)}
    if found != ranks:
        yield f"inputs and outputs have ranks {found}, not {ranks}"
    for weight in proto.graph.initializer:
        values = onnx.numpy_helper.to_array(weight)
        if np.issubdtype(values.dtype, np.floating) and not np.isfinite(values).all():
            yield f"weight {weight.name} holds {np.count_nonzero(~np.isfinite(values))} values that are no number"


def _rank(value: Any) -> int:
    return len(value.type.tensor_type.shape.dim)


def _misfits(proto: Any, census: dict[str, int], recurrent: dict[str, int]) -> Iterator[str]:
    loops = sorted(LOOPS & set(census))
    if loops:
        yield f"holds {', '.join(loops)}"
    found = {op: census.get(op, 0) for op in RECURRENT}
    if found != recurrent:
        yield f"has {found}, the Keras model asks for {recurrent}"
    opsets = {entry.domain: entry.version for entry in proto.opset_import}
    if opsets.get("") != OPSET:
        yield f"is of opset {opsets.get('')}, not {OPSET}"
