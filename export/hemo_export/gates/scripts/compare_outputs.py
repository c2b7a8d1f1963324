"""Runs the graphs on the input with the largest difference and compares with what Keras gave for it.

It needs numpy and onnxruntime, and the files beside it.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import numpy as np


def main() -> int:
    """1 if the failure is still there."""
    script = Path(__file__).resolve()
    name = script.stem.removeprefix("repro_")
    facts = json.loads((script.parent / f"{name}.json").read_text("utf-8"))
    arrays = dict(np.load(script.parent / f"{name}.npz"))
    found = run(script.parent, facts, arrays)
    apart = np.abs(found - arrays["expected"])
    worst = float(apart.max()) if np.isfinite(apart).all() else float("inf")
    by_column = apart.reshape(-1, apart.shape[-1]).max(axis=0)
    sys.stdout.write(
        f"{facts['comparison']}: {facts['output']} differ by up to {worst:.3e} (limit {facts['limit']:.0e})\n"
    )
    sys.stdout.write(f"greatest difference along the last axis: {by_column}\n")
    return int(not worst < facts["limit"])


def run(folder: Path, facts: dict[str, Any], arrays: dict[str, Any]) -> Any:
    """The graphs' answer to the saved input."""
    import onnxruntime

    def session(graph: str) -> Any:
        return onnxruntime.InferenceSession(str(folder / graph), providers=["CPUExecutionProvider"])

    if facts["output"] != "logits":
        return session(facts["cnn"]).run([facts["output"]], {"slices": arrays["slices"]})[0]
    if "slices" in arrays:
        scans = arrays["slices"]  # (scans, slices, H, W, C)
        cnn = session(facts["cnn"])
        arrays["embeddings"] = np.stack([cnn.run(["embedding"], {"slices": scan})[0] for scan in scans])
        arrays["lengths"] = np.full(len(scans), scans.shape[1], np.int32)
    feeds = {"embeddings": arrays["embeddings"], "lengths": arrays["lengths"]}
    logits = session(facts["sequence"]).run(["logits"], feeds)[0]
    for row, length in enumerate(arrays["lengths"]):
        logits[row, length:] = 0  # the padding's mean nothing
    return logits


if __name__ == "__main__":
    raise SystemExit(main())
