"""Shows again why ONNX's checker, or the shapes and weights of a graph, failed the export."""

from __future__ import annotations

import sys

from hemo_export.gates.failure_folder import material
from hemo_export.gates.structure import problems


def main() -> int:
    """1 if the failure is still there."""
    left = material(__file__)
    found = [
        f"{name}: {problem}"
        for name, ranks in left.facts["graphs"].items()
        for problem in problems(left.folder / name, ranks)
    ]
    sys.stdout.write(("\n".join(found) or "all graphs are valid") + "\n")
    return int(bool(found))


if __name__ == "__main__":
    raise SystemExit(main())
