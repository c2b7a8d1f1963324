"""A series in Hounsfield units and its slices saved as pictures in the model's window get the same answer."""

from pathlib import Path

import cv2
import numpy as np
import pytest

from hemo_core.bundle import Bundle, open_bundle, released_bundle
from hemo_core.inference.scoring import ScanScore, score_scan
from hemo_core.scans.discover import discover
from hemo_core.scans.preprocess import apply_window, prepare, to_input
from hemo_core.scans.readers import read_scan
from hemo_core.scans.scan import Scan

pytest.importorskip("onnxruntime", reason="needs the worker extra")


def read_one(folder: Path, *, group_folders: bool = False) -> Scan:
    (ref,) = [ref for ref in discover(folder, group_folders=group_folders) if ref.files and not ref.failure]
    return read_scan(ref, folder)


def score(scan: Scan, bundle: Bundle) -> ScanScore:
    from hemo_core.inference.session import Engine

    engine = Engine(bundle, device="cpu", precision="fp32")
    slices = to_input(prepare(scan, bundle.input).pixels)
    parts = [engine.cnn(slices[at : at + engine.batch]).embeddings for at in range(0, len(slices), engine.batch)]
    return score_scan(engine.sequence(np.concatenate(parts)), bundle.scoring)


@pytest.mark.parametrize("series", ["rsna_ID_fff502d5"])
def test_a_real_series_scores_the_same_in_hounsfield_units_and_as_pictures(
    real_data: Path, tmp_path: Path, series: str
):
    bundle = open_bundle(released_bundle())
    scan = read_one(real_data / "dicom" / series)
    window = bundle.input.windows[0]
    for number, one in enumerate(scan.slices):
        path = tmp_path / "pictures" / f"{number:03d}.png"
        path.parent.mkdir(exist_ok=True)
        cv2.imwrite(str(path), apply_window(np.asarray(one.pixels, np.float32), window))
    pictures = read_one(tmp_path, group_folders=True)
    assert scan.units == "hu"
    assert pictures.units == "grey8"
    hounsfield, grey = score(scan, bundle), score(pictures, bundle)
    assert abs(hounsfield.probability - grey.probability) < 0.02
    assert np.abs(hounsfield.slice_probabilities - grey.slice_probabilities).max() < 0.02
