"""Scores the task's scans again and compares with the answers they should have got."""

from __future__ import annotations

import sys

import numpy as np

from hemo_core.inference.gradcam import Explainer
from hemo_core.inference.session import Engine
from hemo_export.gates.failure_folder import failed_bundle, failure_files
from hemo_export.gates.task import TaskLimits
from hemo_export.parity.task_scans import TaskData
from hemo_export.parity.task_scores import OnnxModel, TaskScores, compare, score_task


def main() -> int:
    """1 if the failure is still there."""
    kept = failure_files(__file__)
    arrays, facts = kept.arrays, kept.facts
    data = TaskData(arrays["pixels"], arrays["truth"], arrays["scan"], facts["origin"])
    expected = TaskScores(arrays["scans"], arrays["slices"], tuple(facts["labels"]), arrays["maps"])
    with failed_bundle(kept.folder) as bundle:
        engine = Engine(bundle, device=facts["device"], precision=facts["precision"])
        found = score_task(OnnxModel(engine, Explainer(bundle)), data, bundle.scoring)
        apart = compare(found, expected, data, bundle.scoring)
    for number, (mine, theirs) in enumerate(zip(found.labels, expected.labels, strict=True)):
        probabilities = f"{found.scans[number].round(6)} {expected.scans[number].round(6)}"
        if mine != theirs or not np.allclose(found.scans[number], expected.scans[number], atol=1e-4):
            sys.stdout.write(f"scan {number}: {mine} instead of {theirs}, {probabilities}\n")
    broken = TaskLimits(**facts["limits"]).broken_by(apart)
    sys.stdout.write(f"{apart.in_words()}\nbroken limits: {', '.join(broken) or 'none'}\n")
    return int(bool(broken))


if __name__ == "__main__":
    raise SystemExit(main())
