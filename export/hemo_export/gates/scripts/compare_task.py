"""Scores the task's scans again and compares with the answers they should have got."""

from __future__ import annotations

import sys

import numpy as np

from hemo_core.inference.gradcam import Explainer
from hemo_core.inference.session import Engine
from hemo_export.gates.failure_folder import material, reopened
from hemo_export.gates.task import TaskLimits
from hemo_export.parity.task_answers import Answers, OnnxModel, answer, compare
from hemo_export.parity.task_scans import TaskData


def main() -> int:
    """1 if the failure is still there."""
    left = material(__file__)
    arrays, facts = left.arrays, left.facts
    data = TaskData(arrays["pixels"], arrays["truth"], arrays["scan"], facts["origin"])
    expected = Answers(arrays["scans"], arrays["slices"], tuple(facts["labels"]), arrays["maps"])
    with reopened(left.folder) as bundle:
        engine = Engine(bundle, device=facts["device"], precision=facts["precision"])
        found = answer(OnnxModel(engine, Explainer(bundle)), data, bundle.scoring)
        apart = compare(found, expected, data, bundle.scoring.threshold)
    for number, (mine, theirs) in enumerate(zip(found.labels, expected.labels, strict=True)):
        probabilities = f"{found.scans[number]:.6f} {expected.scans[number]:.6f}"
        if mine != theirs or not np.isclose(found.scans[number], expected.scans[number], atol=1e-4):
            sys.stdout.write(f"scan {number}: {mine} instead of {theirs}, {probabilities}\n")
    broken = TaskLimits(**facts["limits"]).broken_by(apart)
    sys.stdout.write(f"{apart.in_words()}\nbroken limits: {', '.join(broken) or 'none'}\n")
    return int(bool(broken))


if __name__ == "__main__":
    raise SystemExit(main())
