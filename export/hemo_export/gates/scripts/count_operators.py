"""Shows again which operators of a graph failed the export."""

from __future__ import annotations

import sys

from hemo_export.gates.failure_folder import failure_files


def main() -> int:
    """1 if the failure is still there."""
    import onnx

    kept = failure_files(__file__)
    failed = False
    for name, recurrent in kept.facts["graphs"].items():
        proto = onnx.load(kept.folder / name)
        operators = [node.op_type for node in proto.graph.node]
        loops = sorted(set(operators) & set(kept.facts["loops"]))
        found = {op: operators.count(op) for op in recurrent}
        opset = next(entry.version for entry in proto.opset_import if not entry.domain)
        failed |= bool(loops) or found != recurrent or opset != kept.facts["opset"]
        sys.stdout.write(f"{name}: loops {loops}, recurrences {found} (asked: {recurrent}), opset {opset}\n")
    return int(failed)


if __name__ == "__main__":
    raise SystemExit(main())
