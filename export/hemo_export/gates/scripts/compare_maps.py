"""Draws the heat maps that failed the export again and compares them with Keras's own."""

from __future__ import annotations

import sys

import numpy as np

from hemo_core.inference.gradcam import Explainer
from hemo_core.inference.session import Engine
from hemo_export.gates.failure_folder import material, reopened


def main() -> int:
    """1 if the failure is still there."""
    left = material(__file__)
    slices, expected = left.arrays["slices"], left.arrays["maps"]
    with reopened(left.folder) as bundle:
        engine = Engine(bundle, device="cpu", precision=left.facts["precision"])
        features, explainer = engine.cnn(slices).features, Explainer(bundle, left.facts["explainer"])
        found = [explainer.heatmaps(features, range(len(slices)), label) for label in range(len(expected))]
    apart = np.abs(np.stack(found) - expected).max(axis=(2, 3))  # (labels, slices)
    sys.stdout.write(
        f"largest difference of each label's and slice's map:\n{apart} (limit {left.facts['limit']:.0e})\n"
    )
    return int(not apart.max() < left.facts["limit"])


if __name__ == "__main__":
    raise SystemExit(main())
