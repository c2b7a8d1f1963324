"""The gradient of an ONNX graph's output by one of its inner values, in numpy, by the chain rule.

Run the graph forward from that value and keep each operator's pullback; then any number of gradients goes back through
the pullbacks side by side. Only operators of :mod:`hemo_core.inference.numpy_gradient.rules` are known, and nothing is
guessed.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from hemo_core.bundle.onnx_file import Array, Node, OnnxGraph
from hemo_core.errors import HeadUnknown
from hemo_core.inference.numpy_gradient.rules import OPSETS, RULES, Pullback

_NOTHING = np.zeros(0, np.float32)


@dataclass(frozen=True, slots=True, eq=False)
class Step:
    """An operator that the source reaches, as it ran.

    Attributes:
        output, inputs: names of its values.
        reached: for each input, whether the source reaches it.
    """

    op: str
    output: str
    inputs: tuple[str, ...]
    reached: tuple[bool, ...]
    pullback: Pullback


@dataclass(frozen=True, slots=True, eq=False)
class Tape:
    """One forward pass.

    Attributes:
        source, target: names of what to differentiate by, and of the output.
        value: of the target.
    """

    source: str
    target: str
    value: Array
    steps: tuple[Step, ...]
    where: str

    def back(self, gradients: Array) -> Array:
        """Gradients by the target ``(p, *target)`` → by the source ``(p, *source)``.

        Raises:
            HeadUnknown: a gradient would have to go where its operator's rule does not lead.
        """
        found = {self.target: gradients}
        for step in reversed(self.steps):
            arrived = found.pop(step.output, None)
            if arrived is None:
                continue
            for name, reached, part in zip(step.inputs, step.reached, step.pullback(arrived), strict=True):
                if not reached:
                    continue
                if part is None:
                    raise refusal(f"the gradient by {name} of {step.op}", self.where)
                found[name] = found[name] + part if name in found else part
        return found[self.source]


class GraphPart:
    """What lies between one value of a graph and one of its outputs.

    Args:
        graph: the whole graph.
        source: name of the value to differentiate by; whatever computes it is left out.
        target: name of the output.
        where: the file, for messages.

    Raises:
        HeadUnknown: an operator between them is not known, or the graph's operators are of another age.
    """

    def __init__(self, graph: OnnxGraph, source: str, target: str, where: str) -> None:
        self._source, self._target, self._where = source, target, where
        self._weights = graph.weights
        self._nodes = _between(graph, source, target)
        if graph.opset not in OPSETS:
            raise refusal(f"opset {graph.opset}", where)
        absent = sorted({node.op for node in self._nodes} - set(RULES))
        if absent:
            raise refusal(f"the operators {', '.join(absent)}" if absent[1:] else f"the operator {absent[0]}", where)

    def record(self, value: Array, feeds: Mapping[str, Array]) -> Tape:
        """Run forward.

        Args:
            value: of the source.
            feeds: of other inputs that are needed.

        Raises:
            HeadUnknown: an operator is used in a way that is not known.
        """
        values = {"": _NOTHING, **self._weights, **feeds, self._source: value}
        active, steps = {self._source}, []
        for node in self._nodes:
            try:
                output, pullback = RULES[node.op](node, [values[name] for name in node.inputs])
            except (ValueError, KeyError, IndexError) as problem:
                raise refusal(problem, self._where) from problem
            values[node.outputs[0]] = output
            reached = tuple(name in active for name in node.inputs)
            if not any(reached) or node.op == "Shape":
                continue
            if pullback is None:
                raise refusal(f"the gradient of {node.op}", self._where)
            steps.append(Step(node.op, node.outputs[0], node.inputs, reached, pullback))
            active.add(node.outputs[0])
        return Tape(self._source, self._target, values[self._target], tuple(steps), self._where)


def refusal(what: object, where: str) -> HeadUnknown:
    """The error that names what is not known of a graph."""
    hint = "take --explainer tf, or draw no heat maps (submit --no-explain)"
    return HeadUnknown(f"the numpy explainer does not know {what}", path=where, hint=hint)


def _between(graph: OnnxGraph, source: str, target: str) -> tuple[Node, ...]:
    """The nodes that the target needs, without those that only the source needs."""
    needed, chosen = {target} - {source}, []
    for node in reversed(graph.nodes):
        if needed.isdisjoint(node.outputs):
            continue
        chosen.append(node)
        needed |= set(node.inputs) - {source}
    return tuple(reversed(chosen))
