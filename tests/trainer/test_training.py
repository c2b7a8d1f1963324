import csv
import json
from pathlib import Path

import cv2
import numpy as np
import pytest

from hemo_core.bundle.contract import Window
from hemo_core.errors import DatasetError, TrainingError
from hemo_core.phantoms import PhantomSpec, make_phantom
from hemo_core.scans.preprocess import apply_window

pytestmark = [pytest.mark.slow, pytest.mark.tensorflow, pytest.mark.usefixtures("step_by_step")]

CONFIG = """
name = "phantom-tiny"
seed = 3
[[sources]]
layout = "folder"
path = "ward"
[split]
val = 0.3
test = 0.2
[input]
height = 48
width = 48
[architecture]
cnn = "residual"
stem = 4
stages = [6, 8]
lstm = 4
gru = 3
dense = 4
[batch]
series_slices = 8
lengths = [2, 4]
singles = 4
[fit]
epochs = 2
steps = 3
warmup = 1
"""


@pytest.fixture(scope="module")
def phantom_config(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A plain-layout data set of phantom slices, and a tiny configuration for it."""
    folder = tmp_path_factory.mktemp("training")
    for seed in range(14):
        bleed = "intraparenchymal" if seed % 2 else "none"
        phantom = make_phantom(PhantomSpec(seed, bleed=bleed, bleed_size=1.0, slices=6, rows=96, detail="fast"))
        for number, (plane, blood) in enumerate(zip(phantom.hu, phantom.blood_voxels, strict=True)):
            path = folder / "ward" / ("Hemorrhage" if blood > 20 else "Normal") / f"phantom{seed}" / f"{number}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            cv2.imwrite(str(path), apply_window(plane.astype(np.float32), Window(40, 120)))
    config = folder / "tiny.toml"
    config.write_text(CONFIG, encoding="utf-8")
    return config


@pytest.fixture(scope="module")
def run(phantom_config: Path) -> Path:
    from hemo_trainer.runs.fit import train

    return train(phantom_config, phantom_config.parent / "run")


def rows(run: Path) -> list[dict[str, str]]:
    with (run / "history.csv").open(newline="") as lines:
        return list(csv.DictReader(lines))


def test_a_run_leaves_everything_a_person_and_the_exporter_need(run: Path):
    for name in [
        "config.toml",
        "history.csv",
        "curves.png",
        "data_distribution.png",
        "training_batch.png",
        "sample_predictions.png",
        "run.json",
        "MODEL_CARD.md",
        "model.keras",
        "evidence/roc.png",
        "evidence/confusion.png",
        "evidence/classification_report.txt",
        "evidence/metrics.json",
    ]:
        assert (run / name).stat().st_size > 0, name
    manifest = json.loads((run / "run.json").read_text())
    assert manifest["input"]["height"] == 48
    assert 0 < manifest["scoring"]["findings"][0]["threshold"] < 1
    assert len(manifest["data"]["fingerprint"]) == len(manifest["data"]["split_hash"]) == 64
    trained_on, (fitted, *_) = manifest["data"]["trained_on"], manifest["data"]["sources"]
    assert (fitted["side"], trained_on["patients"]["count"]) == ("train", fitted["patients"])
    assert trained_on["pictures"]["count"] > 0
    assert "Not a medical device" in (run / "MODEL_CARD.md").read_text()
    assert [row["epoch"] for row in rows(run)] == ["1", "2"]


def test_a_stopped_run_resumes_to_the_same_numbers_as_an_undisturbed_one(
    run: Path, phantom_config: Path, monkeypatch: pytest.MonkeyPatch
):
    from hemo_trainer.runs import fit

    class StoppedError(Exception):
        pass

    def stop(_history: Path) -> None:
        raise StoppedError

    out = phantom_config.parent / "stopped"
    with monkeypatch.context() as patch:
        patch.setattr(fit, "redraw_curves", stop)
        with pytest.raises(StoppedError):
            fit.train(phantom_config, out)
    edited = phantom_config.with_name("edited.toml")
    edited.write_text(CONFIG.replace("steps = 3", "steps = 4"), encoding="utf-8")
    with pytest.raises(TrainingError, match=r"config\.fit\.steps was 3, is 4"):
        fit.train(edited, out, resume=True)
    with monkeypatch.context() as patch:
        patch.setattr(fit, "finish_run", lambda *_: None)  # it would be finished as the undisturbed one was
        fit.train(phantom_config, out, resume=True)
    for resumed, undisturbed in zip(rows(out), rows(run), strict=True):
        numbers = {name: float(value) for name, value in undisturbed.items()}
        # The order in which threads add up decides the last digit.
        assert {name: float(value) for name, value in resumed.items()} == pytest.approx(numbers, rel=1e-5)


def test_the_network_reads_slices_in_order_and_one_slice_works_too(run: Path):
    import keras

    import hemo_core.bundle.keras_layers  # noqa: F401  registers PerSlice

    model = keras.models.load_model(run / "model.keras", safe_mode=True)
    slices = np.random.default_rng(0).random((1, 5, 48, 48, 1), np.float32)
    forward = model.predict_on_batch(slices)
    assert forward.shape == (1, 5, 1)
    assert not np.allclose(forward, model.predict_on_batch(slices[:, ::-1])[:, ::-1], atol=1e-7)
    assert model.predict_on_batch(slices[:, :1]).shape == (1, 1, 1)


def test_padding_changes_no_logit_of_a_masked_sequence():
    import keras

    from hemo_core.bundle.contract import InputContract
    from hemo_trainer.config import Architecture, FitConfig
    from hemo_trainer.network.model import build_network
    from hemo_trainer.network.training_graph import training_model

    keras.utils.set_random_seed(0)
    contract = InputContract(height=32, width=32)
    network = build_network(contract, 1, Architecture(cnn="residual", stem=4, stages=(4, 6), lstm=4, gru=3, dense=4))
    model = training_model(network, FitConfig())
    slices = np.random.default_rng(0).random((5, 32, 32, 1), np.float32)
    index = np.array([[0, 1, 2, 3], [4, 0, 0, 0]], np.int32)
    mask = np.array([[1, 1, 1, 1], [1, 0, 0, 0]], bool)
    inputs = {"slices": slices, "index": index, "mask": mask, "place": np.array([0, 1, 2, 3, 4], np.int32)}
    together = model.predict_on_batch(inputs)
    alone = [network.model.predict_on_batch(slices[None, :4])[0], network.model.predict_on_batch(slices[None, 4:])[0]]
    assert np.allclose(together["slice"], np.concatenate(alone), atol=1e-6)
    z = alone[0][:, 0].astype(np.float64)
    assert together["scan"][0, 0] == pytest.approx((z * np.exp(z)).sum() / np.exp(z).sum(), abs=1e-6)
    assert together["scan"][1, 0] == pytest.approx(float(alone[1][0, 0]), abs=1e-6)


def test_a_used_run_folder_and_missing_data_are_refused(run: Path, phantom_config: Path, tmp_path: Path):
    from hemo_trainer.runs.fit import train

    with pytest.raises(TrainingError, match="not empty"):
        train(phantom_config, run)
    with pytest.raises(TrainingError, match="no finished epoch"):
        train(phantom_config, tmp_path / "none", resume=True)
    lost = tmp_path / "lost.toml"
    lost.write_text('[[sources]]\nlayout = "folder"\npath = "nowhere"\n')
    with pytest.raises(DatasetError, match="data folder is missing"):
        train(lost, tmp_path / "run")


def test_each_epoch_has_steps_of_its_own():
    import keras

    from hemo_trainer.network.keras_parts import Reseed, Steps

    class Numbers:
        def build(self, number: int) -> int:
            return number

    steps = Steps(Numbers(), 3)
    start = Reseed(0, steps)
    start.set_model(keras.Sequential())
    start.on_epoch_begin(2)
    assert [steps[index] for index in range(len(steps))] == [6, 7, 8]
