"""Feeds again what should be refused and got a score."""

from __future__ import annotations

import sys

from hemo_core.inference.session import Engine
from hemo_export.gates.failure_folder import failed_bundle, failure_files
from hemo_export.gates.refusals import bad_inputs, refused


def main() -> int:
    """1 if the failure is still there."""
    kept = failure_files(__file__)
    with failed_bundle(kept.folder) as bundle:
        engine = Engine(bundle, device="cpu", precision=kept.facts["precision"])
        picture = (bundle.input.height, bundle.input.width, bundle.input.channels)
        cases = bad_inputs(engine, picture)
        scored = [name for name in kept.facts["cases"] if not refused(cases[name])]
    sys.stdout.write("\n".join(f"{name}: not refused" for name in scored) + "\n")
    return int(bool(scored))


if __name__ == "__main__":
    raise SystemExit(main())
