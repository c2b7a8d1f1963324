"""Opens the graphs and scores the task's scans again; ends in the error that kept a gate from measuring."""

from __future__ import annotations

import sys

import numpy as np

from hemo_core.inference.session import Engine
from hemo_core.scans.preprocess import to_input
from hemo_export.gates.failure_folder import failed_bundle, failure_files


def main() -> int:
    """0 if all scans got a score; else the error speaks for itself."""
    kept = failure_files(__file__)
    pixels, scan = kept.arrays["pixels"], kept.arrays["scan"]
    with failed_bundle(kept.folder) as bundle:
        engine = Engine(bundle, device="cpu", precision=kept.facts["precision"])
        for number in np.unique(scan):
            slices = to_input(pixels[scan == number])
            outputs = [engine.cnn(slices[at : at + engine.batch]) for at in range(0, len(slices), engine.batch)]
            logits = engine.sequence(np.concatenate([output.embeddings for output in outputs]))
            sys.stdout.write(f"scan {number}: greatest logit {logits.max():.4f}\n")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
