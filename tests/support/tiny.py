"""A tiny model that is exported like a real one. ``python tests/support/tiny.py FOLDER`` writes its bundle.

No training: random convolutions, and a last layer fitted by least squares to tell slices with a bright disc in a grey
one from slices without, so that scores differ between scans and both labels occur.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

import cv2
import numpy as np

from hemo_core.bundle import Bundle
from hemo_core.contract import InputContract, ScoringContract
from hemo_core.keras_file import quiet_tensorflow
from hemo_export.package import export_run
from hemo_trainer.model import Architecture, Network, build_network

INPUT = InputContract(height=64, width=64)
ARCHITECTURE = Architecture(stem=8, stages=(8, 12, 16), lstm=8, gru=8, dense=16)


def write_bundle(out: Path, version: str = "0.0.1") -> Bundle:
    """Build, save as a training run in ``out/run``, and export to ``out/tiny-<version>``."""
    run = out / "run"
    run.mkdir(parents=True, exist_ok=True)
    write_run(run, tiny_network())
    return export_run(run, out, version=version)


def write_run(run: Path, network: Network) -> None:
    """What the trainer leaves behind."""
    network.model.save(run / "model.keras")
    content = {
        "name": "tiny",
        "input": INPUT.to_json(),
        "scoring": ScoringContract(beta=1.0, temperature=1.5, threshold=0.5).to_json(),
        "metrics": {"note": "a test model, fitted to drawn discs"},
        "data": {"fingerprint": "0" * 64, "split_hash": "0" * 64},
        "git_commit": "0" * 40,
        "licence": "CC0-1.0",
        "seed": 7,
    }
    (run / "run.json").write_text(json.dumps(content), "utf-8")
    (run / "MODEL_CARD.md").write_text("# tiny\n\nA test model. It knows nothing about heads.\n", "utf-8")


def tiny_network() -> Network:
    """The network with its last layer fitted."""
    quiet_tensorflow()
    import keras

    keras.utils.set_random_seed(7)
    network = build_network(INPUT, 1, ARCHITECTURE)
    pixels, truth = drawn_scans(np.random.default_rng(7), scans=24, slices=8)
    features = network.cnn(pixels.reshape(-1, 64, 64, 1)).numpy()
    embeddings = features.mean(axis=(1, 2)).reshape(24, 8, -1)
    logits = network.sequence.get_layer("logits")
    before = keras.Model(network.sequence.inputs[0], network.sequence.get_layer("dense").output)
    known = before(embeddings).numpy().reshape(-1, ARCHITECTURE.dense)
    known = np.concatenate([known, np.ones((len(known), 1))], axis=1)
    ridge = known.T @ known + 1e-4 * np.eye(known.shape[1])
    weights = np.linalg.solve(ridge, known.T @ np.where(truth.reshape(-1), 3.0, -3.0))
    logits.set_weights([weights[:-1, None], weights[-1:]])
    return network


def drawn_scans(rng: np.random.Generator, scans: int, slices: int) -> tuple[np.ndarray, np.ndarray]:
    """Float32 ``(scans, slices, 64, 64, 1)`` in [0, 1], and ``(scans, slices)`` of whether a bright disc is there.

    Heads as the model meets them, cropped and windowed: a bright ring around a grey disc.
    """
    pixels = np.zeros((scans, slices, 64, 64, 1), np.float32)
    truth = np.zeros((scans, slices), bool)
    truth[::2, slices // 3 : slices // 3 + 3] = True
    for scan in range(scans):
        grey = int(rng.integers(100, 130))
        spot = (int(rng.integers(22, 42)), int(rng.integers(22, 42)))
        for index in range(slices):
            picture = np.zeros((64, 64), np.uint8)
            cv2.ellipse(picture, (32, 32), (26, 30), 0, 0, 360, 255, -1)
            cv2.ellipse(picture, (32, 32), (23, 27), 0, 0, 360, grey, -1)
            if truth[scan, index]:
                cv2.circle(picture, spot, int(rng.integers(4, 9)), int(rng.integers(165, 215)), -1)
            noise = rng.normal(0, 6, picture.shape) * (picture > 0)
            pixels[scan, index, ..., 0] = np.clip(picture + noise, 0, 255) / 255
    return pixels, truth


if __name__ == "__main__":
    made = write_bundle(Path(sys.argv[1]))
    print(made.path, made.digest)  # noqa: T201
