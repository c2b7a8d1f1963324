"""Shows again why ONNX's checker, or the shapes and weights of a graph, failed the export."""

from __future__ import annotations

import sys

from hemo_export.gates.failure_folder import failure_files
from hemo_export.gates.structure import problems


def main() -> int:
    """1 if the failure is still there."""
    kept = failure_files(__file__)
    found = [
        f"{name}: {problem}"
        for name, ranks in kept.facts["graphs"].items()
        for problem in problems(kept.folder / name, ranks)
    ]
    sys.stdout.write(("\n".join(found) or "all graphs are valid") + "\n")
    return int(bool(found))


if __name__ == "__main__":
    raise SystemExit(main())
