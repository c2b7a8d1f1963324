"""The gate on what the graphs say about themselves."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any, ClassVar

from hemo_export.gates.base import GateContext, GateResult, Reproduction
from hemo_export.metadata import expected_metadata, read_metadata


class SameContract:
    """Each graph carries the run's own contract: findings in their order, windows, calibration; and its true name."""

    name: ClassVar[str] = "contract"

    def check(self, context: GateContext) -> GateResult:
        """See :class:`hemo_export.gates.base.Gate`."""
        expected = {file: _expected(context, file) for file in context.graphs}
        problems = [
            f"{file}: {problem}"
            for file in context.graphs
            for problem in differences(read_metadata(context.bundle.path / file), expected[file])
        ]
        findings, windows = context.run.scoring.names, context.run.input.windows
        figure = f"findings {', '.join(findings)}; " + ", ".join(
            f"window {each.level:g}/{each.width:g}" for each in windows
        )
        failed = Reproduction("compare_contract.py", {"expected": expected}) if problems else None
        return GateResult(self.name, not problems, figure, detail="; ".join(problems), reproduce=failed)


def differences(found: Mapping[str, str], expected: Mapping[str, str]) -> Iterator[str]:
    """What is not as it should be, field by field."""
    for key, value in expected.items():
        yield from _differences(key, _parsed(found.get(key)), _parsed(value))


def _differences(where: str, found: Any, expected: Any) -> Iterator[str]:
    if isinstance(found, list) and isinstance(expected, list) and len(found) == len(expected):
        found, expected = dict(enumerate(found)), dict(enumerate(expected))
    if isinstance(found, dict) and isinstance(expected, dict):
        for key in sorted(found.keys() | expected.keys()):
            yield from _differences(f"{where}.{key}", found.get(key), expected.get(key))
    elif found != expected:
        yield f"{where} is {found}, the run says {expected}"


def _parsed(text: str | None) -> Any:
    try:
        return None if text is None else json.loads(text)
    except ValueError:
        return text


def _expected(context: GateContext, file: str) -> dict[str, str]:
    precision = context.precision if file == context.files.cnn else "fp32"
    return expected_metadata(context.run, context.bundle.name, context.bundle.version, precision)
