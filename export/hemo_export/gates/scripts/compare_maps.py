"""Draws the heat maps that failed the export again and compares them with Keras's own."""

from __future__ import annotations

import sys

import numpy as np

from hemo_core.inference.gradcam import Explainer
from hemo_core.inference.session import Engine
from hemo_export.gates.failure_folder import failed_bundle, failure_files


def main() -> int:
    """1 if the failure is still there."""
    kept = failure_files(__file__)
    slices, expected = kept.arrays["slices"], kept.arrays["maps"]
    with failed_bundle(kept.folder) as bundle:
        engine = Engine(bundle, device="cpu", precision=kept.facts["precision"])
        features, explainer = engine.cnn(slices).features, Explainer(bundle, kept.facts["explainer"])
        found = [explainer.heatmaps(features, range(len(slices)), channel) for channel in range(len(expected))]
    apart = np.abs(np.stack(found) - expected).max(axis=(2, 3))  # (findings, slices)
    sys.stdout.write(
        f"largest difference of each finding's and slice's map:\n{apart} (limit {kept.facts['limit']:.0e})\n"
    )
    return int(not apart.max() < kept.facts["limit"])


if __name__ == "__main__":
    raise SystemExit(main())
