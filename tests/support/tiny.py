"""A tiny model that is exported like a real one; its bundle is committed as ``tests/data/tiny-0.0.1``.

``python tests/support/tiny.py FOLDER`` makes it again, as ``FOLDER/tiny-0.0.1``. No training: random convolutions, and
a last layer fitted by least squares to a few phantoms, so that scores differ between slices and between scans, and
phantoms get every label. It tells blood from no blood little better than chance.
"""

from __future__ import annotations

import json
import shutil
import sys
import zipfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from findings import one_finding

from hemo_core.bundle import CNN, HEAD, MANIFEST, MODEL, Bundle, seal
from hemo_core.bundle.contract import InputContract
from hemo_core.bundle.keras import quiet_tensorflow
from hemo_core.phantoms import PhantomSpec, make_phantom
from hemo_core.phantoms.spec import BLEEDS
from hemo_core.records import encode
from hemo_core.scans.preprocess import apply_window, crop_resize, head_box, to_input
from hemo_export.package import export_run
from hemo_trainer.config import Architecture
from hemo_trainer.network.model import Network, build_network

INPUT = InputContract(height=64, width=64)
CARD = "# tiny\n\nA test model. It knows nothing about heads.\n"
ARCHITECTURE = Architecture(cnn="residual", stem=8, stages=(8, 12, 16), lstm=8, gru=8, dense=16)


def write_bundle(out: Path, version: str = "0.0.1") -> Bundle:
    """Build, save as a training run in ``out/run``, and export to ``out/tiny-<version>``."""
    write_run(out / "run", tiny_network())
    bundle = export_run(out / "run", out, version=version, measure=False)  # so that auto means fp32
    for name in (HEAD, MODEL):
        pack(bundle.path / name)
    return seal(bundle.path, bundle.content)


def pack(path: Path) -> None:
    """Compress a ``.keras`` file, which Keras only stores: four times smaller."""
    with zipfile.ZipFile(path) as archive:
        parts = {info.filename: archive.read(info) for info in archive.infolist()}
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as archive:
        for name, data in parts.items():
            archive.writestr(zipfile.ZipInfo(name), data, zipfile.ZIP_DEFLATED)


def fp32_only(bundle: Path, folder: Path) -> Bundle:
    """A copy in ``folder`` without any other precision."""
    shutil.copytree(bundle, folder)
    manifest = json.loads((folder / MANIFEST).read_text("utf-8"))
    for entry in manifest.pop("variants", {}).values():
        if entry["cnn"] != CNN:
            (folder / entry["cnn"]).unlink(missing_ok=True)
    return seal(folder, manifest)


def write_run(run: Path, network: Network) -> None:
    """What the trainer leaves behind."""
    run.mkdir(parents=True, exist_ok=True)
    network.model.save(run / MODEL)
    _describe(run)


def run_of(bundle: Path, run: Path) -> Path:
    """The training run in ``run`` that the committed bundle came from, made without TensorFlow."""
    run.mkdir(parents=True)
    shutil.copyfile(bundle / MODEL, run / MODEL)
    _describe(run)
    return run


def _describe(run: Path) -> None:
    content: Mapping[str, Any] = {
        "name": "tiny",
        "input": encode(INPUT),
        "scoring": encode(one_finding(beta=4.0, temperature=1.5, threshold=0.56)),
        "metrics": {"note": "a test model, fitted to phantoms"},
        "data": {"fingerprint": "0" * 64, "split_hash": "0" * 64},
        "git_commit": "0" * 40,
        "licence": "CC0-1.0",
        "seed": 7,
    }
    (run / "run.json").write_text(json.dumps(content), "utf-8")
    (run / "MODEL_CARD.md").write_text(CARD, "utf-8")


def tiny_network() -> Network:
    """The network with its last layer fitted to phantoms."""
    quiet_tensorflow()
    import keras

    keras.utils.set_random_seed(7)
    network = build_network(INPUT, 1, ARCHITECTURE)
    pixels, truth = phantom_scans(range(8))
    features = network.cnn(pixels.reshape(-1, *pixels.shape[2:])).numpy()
    embeddings = features.mean(axis=(1, 2)).reshape(*truth.shape, -1)
    before = keras.Model(network.sequence.inputs[0], network.sequence.get_layer("dense").output)
    known = before(embeddings).numpy().reshape(truth.size, -1)
    known = np.concatenate([known, np.ones((truth.size, 1), np.float32)], axis=1)
    ridge = known.T @ known + 1e-2 * np.eye(known.shape[1])
    weights = np.linalg.solve(ridge, known.T @ np.where(truth.reshape(-1), 6.0, -3.0))
    network.sequence.get_layer("logits").set_weights([weights[:-1, None], weights[-1:]])
    return network


def phantom_scans(seeds: Sequence[int], slices: int = 8) -> tuple[np.ndarray, np.ndarray]:
    """Small phantoms, every other one with blood, as the model meets them.

    Returns:
        float32 ``(scans, slices, 64, 64, 1)`` in [0, 1], and bool ``(scans, slices)``: a slice holds blood.
    """
    scans, truth = [], []
    for seed in seeds:
        bleed = "none" if seed % 2 else BLEEDS[1 + seed // 2 % (len(BLEEDS) - 1)]
        spec = PhantomSpec(seed, bleed=bleed, bleed_size=1, slices=slices, spacing_mm=14, rows=96, detail="fast")
        phantom = make_phantom(spec)
        windowed = [apply_window(plane, INPUT.windows[0]) for plane in phantom.hu]
        boxes = [head_box(plane, INPUT.crop_margin) for plane in windowed]
        scans.append([crop_resize(plane[..., None], box, 64, 64) for plane, box in zip(windowed, boxes, strict=True)])
        truth.append([voxels > 10 for voxels in phantom.blood_voxels])
    return to_input(np.asarray(scans, np.uint8)), np.asarray(truth)


if __name__ == "__main__":
    made = write_bundle(Path(sys.argv[1]))
    print(made.path, made.digest)  # noqa: T201
