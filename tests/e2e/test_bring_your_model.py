"""``docs/bring-your-model.md`` as a reader follows it: an older model file scores pictures as Keras does."""

from __future__ import annotations

import json
import re
import shlex
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest
from old_model import answers, last_dense, notebook_model, save

from hemo_core.bundle import open_bundle
from hemo_core.inference.scoring import calibrated
from hemo_core.phantoms import PhantomSpec, make_phantom, write_png
from hemo_core.scans.discover import discover
from hemo_core.scans.preprocess import prepare, to_input
from hemo_core.scans.readers import read_scan
from hemo_worker.outputs.overlay import overlay_png

PAGE = Path(__file__).resolve().parents[2] / "docs" / "bring-your-model.md"
pytestmark = [pytest.mark.slow, pytest.mark.tensorflow]


def commands() -> list[list[str]]:
    """The ``hemo-batch`` lines of the page's shell block."""
    block = re.findall(r"^```sh\n(.*?)^```", PAGE.read_text("utf-8"), re.DOTALL | re.MULTILINE)[0]
    return [shlex.split(line)[1:] for line in block.splitlines()]


def run(arguments: list[str], folder: Path) -> str:
    program = "from hemo_cli.main import main; main()"
    asked = [sys.executable, "-c", program, *arguments]
    done = subprocess.run(asked, cwd=folder, capture_output=True, text=True, timeout=600, check=False)
    assert done.returncode == 0, f"hemo-batch {shlex.join(arguments)}\n{done.stdout}{done.stderr}"
    return done.stdout


def test_an_older_model_scores_and_explains_pictures_as_keras_does(tmp_path: Path):
    for seed, bleed in ((1, "epidural"), (2, "none"), (3, "subdural")):
        phantom = make_phantom(PhantomSpec(seed, bleed=bleed, bleed_size=1, rows=128, slices=8, detail="fast"))
        write_png(phantom, tmp_path / "pictures", [3, 5])
    model = centred(tmp_path / "pictures")
    save(model, tmp_path / "old-model.h5")

    told = [run(arguments, tmp_path) for arguments in commands()]

    assert "imported model: no evidence of its accuracy is known" in told[1]
    bundle = open_bundle(tmp_path / "bundles" / "old-model-1.0.0")
    assert bundle.scoring.threshold == 0.4
    drawn = 0
    for ref in discover(tmp_path / "pictures"):
        scan = read_scan(ref, tmp_path / "pictures")
        prepared = prepare(scan, bundle.input)
        logits, maps = answers(model, to_input(prepared.pixels))
        probability = float(calibrated(logits, 1.0)[0])
        folder = tmp_path / "reports" / "first" / "scans" / ref.scan_id
        report = json.loads((folder / "report.json").read_bytes())
        assert abs(report["probability"] - probability) < 1e-5
        assert "imported_model" in {note["code"] for note in report["quality"]}
        picture = folder / "slice-001.png"
        assert picture.exists() == (probability >= 0.4)
        if picture.exists():
            expected = overlay_png(scan, prepared, 0, maps[0], probability, threshold=0.4)
            assert np.abs(decoded(picture.read_bytes()) - decoded(expected)).max() <= 2
            drawn += 1
    assert 0 < drawn < 6


def centred(pictures: Path):
    """A small untrained model whose logits on these pictures lie on both sides of the threshold."""
    model = notebook_model()
    greys = np.stack([cv2.imread(str(path), cv2.IMREAD_GRAYSCALE) for path in sorted(pictures.iterdir())])
    small = [cv2.resize(grey, model.input_shape[1:3], interpolation=cv2.INTER_AREA)[..., None] for grey in greys]
    logits, _ = answers(model, to_input(np.stack(small)))
    kernel, bias = last_dense(model).get_weights()
    steep = 3 / np.ptp(logits)
    last_dense(model).set_weights([kernel * steep, (bias - np.median(logits)) * steep - 0.4])
    return model


def decoded(png: bytes) -> np.ndarray:
    return cv2.imdecode(np.frombuffer(png, np.uint8), cv2.IMREAD_COLOR).astype(np.int16)
