"""Shows again which operators of a graph failed the export."""

from __future__ import annotations

import sys

from hemo_export.gates.failure_folder import material


def main() -> int:
    """1 if the failure is still there."""
    import onnx

    left = material(__file__)
    failed = False
    for name, recurrent in left.facts["graphs"].items():
        proto = onnx.load(left.folder / name)
        operators = [node.op_type for node in proto.graph.node]
        loops = sorted(set(operators) & set(left.facts["loops"]))
        found = {op: operators.count(op) for op in recurrent}
        opset = next(entry.version for entry in proto.opset_import if not entry.domain)
        failed |= bool(loops) or found != recurrent or opset != left.facts["opset"]
        sys.stdout.write(f"{name}: loops {loops}, recurrences {found} (asked: {recurrent}), opset {opset}\n")
    return int(failed)


if __name__ == "__main__":
    raise SystemExit(main())
