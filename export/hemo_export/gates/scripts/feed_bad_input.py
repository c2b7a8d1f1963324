"""Feeds again what should be refused and got a score."""

from __future__ import annotations

import sys

from hemo_core.inference.session import Engine
from hemo_export.gates.failure_folder import material, reopened
from hemo_export.gates.refusals import bad_inputs, refused


def main() -> int:
    """1 if the failure is still there."""
    left = material(__file__)
    with reopened(left.folder) as bundle:
        engine = Engine(bundle, device="cpu", precision=left.facts["precision"])
        picture = (bundle.input.height, bundle.input.width, bundle.input.channels)
        cases = bad_inputs(engine, picture)
        scored = [name for name in left.facts["cases"] if not refused(cases[name])]
    sys.stdout.write("\n".join(f"{name}: not refused" for name in scored) + "\n")
    return int(bool(scored))


if __name__ == "__main__":
    raise SystemExit(main())
