"""Cross-validation and refit on phantoms: who is trained on, who is scored, and where the figures come from."""

import json
import shutil
from pathlib import Path
from typing import Self

import cv2
import numpy as np
import pytest

from hemo_core.bundle.contract import Window
from hemo_core.errors import TrainingError
from hemo_core.phantoms import PhantomSpec, make_phantom
from hemo_core.scans.preprocess import apply_window
from hemo_trainer.config import load_config
from hemo_trainer.runs import crossval
from hemo_trainer.runs.fold_predictions import slice_key

pytestmark = [pytest.mark.slow, pytest.mark.tensorflow, pytest.mark.usefixtures("step_by_step")]

CONFIG = """
name = "phantom-folds"
seed = 3
[[sources]]
layout = "folder"
path = "ward"
[[sources]]
layout = "folder"
path = "singles"
train_only = true
[split]
val = 0.25
test = 0.25
[input]
height = 48
width = 48
[architecture]
cnn = "residual"
stem = 4
stages = [6, 8]
lstm = 4
gru = 3
dense = 16
mirror = true
[batch]
series_slices = 8
lengths = [2, 4]
singles = 4
[lesions]
rate = 0.3
distractor_rate = 0.2
[pretrain]
steps = 2
slices = 8
side = 32
[fit]
epochs = 2
steps = 2
warmup = 1
subtype_weight = 0.2
start_share = 0.25
"""


@pytest.fixture(scope="module")
def config(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("folds")
    for seed in range(18):
        bleed = "intraparenchymal" if seed % 2 else "none"
        phantom = make_phantom(PhantomSpec(seed, bleed=bleed, bleed_size=1.0, slices=4, rows=96, detail="fast"))
        for number, (plane, blood) in enumerate(zip(phantom.hu, phantom.blood_voxels, strict=True)):
            side = "Hemorrhage" if blood > 20 else "Normal"
            is_single = seed >= 14
            name = f"{seed}-{number}.png" if is_single else f"phantom{seed}/{number}.png"
            path = folder / ("singles" if is_single else "ward") / side / name
            path.parent.mkdir(parents=True, exist_ok=True)
            cv2.imwrite(str(path), apply_window(plane.astype(np.float32), Window(40, 120)))
    path = folder / "folds.toml"
    path.write_text(CONFIG, encoding="utf-8")
    return path


class InThisProcess:
    """Folds one after the other, not traced; the learning curve's test has them in processes of their own."""

    def __init__(self, *_: object, **__: object) -> None:
        pass

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        pass

    map = staticmethod(map)


@pytest.fixture(scope="module")
def folds(config: Path) -> Path:
    out = config.parent / "crossval"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(crossval, "ProcessPoolExecutor", InThisProcess)
        return crossval.cross_validate(config, out, cache=config.parent / "cache", folds=3, ablate=True)


def test_every_patient_but_the_test_sides_is_scored_once_by_a_model_that_never_saw_them(config: Path, folds: Path):
    from hemo_trainer.data.prepared import load_data
    from hemo_trainer.runs.fold_predictions import read_predictions

    read = load_config(config)
    data = load_data(read, read.input, config.parent / "cache")
    expected = {r.patient_key for side in ("train", "val") for r in data.sides[side] if r.source == "ward"}
    dealt = json.loads((folds / "crossval.json").read_text())["folds"]
    assert sorted(patient for fold in dealt for patient in fold) == sorted(expected)
    predictions = read_predictions(folds, read, data)
    assert sorted(one.records[0].patient_key for one in predictions) == sorted(expected)
    assert all(np.isfinite(one.logits).all() for one in predictions)
    flipped = read_predictions(folds, read, data, "flipped")
    assert not all(np.array_equal(a.logits, b.logits) for a, b in zip(predictions, flipped, strict=True))


def test_folds_of_another_number_or_configuration_are_not_mixed_in(config: Path, folds: Path, tmp_path: Path):
    from hemo_trainer.runs.crossval import cross_validate
    from hemo_trainer.runs.refit import refit

    cache = config.parent / "cache"
    with pytest.raises(TrainingError, match=r"options.folds was 3, is 4"):
        cross_validate(config, folds, cache=cache, folds=4, ablate=True)
    edited = config.with_name("edited.toml")
    edited.write_text(CONFIG.replace("epochs = 2", "epochs = 1"), encoding="utf-8")
    with pytest.raises(TrainingError, match=r"config.fit.epochs was 2, is 1"):
        cross_validate(edited, folds, cache=cache, folds=3, ablate=True)
    with pytest.raises(TrainingError, match=r"config.fit.epochs was 2, is 1"):
        refit(edited, tmp_path / "refit", crossval=folds, cache=cache)


def test_the_ablation_gives_each_kind_its_figure_and_its_difference_to_the_cnn_alone(config: Path, folds: Path):
    from hemo_trainer.runs.out_of_fold import summarise

    found = summarise(config, folds, cache=config.parent / "cache")
    slices = found["figures"]["ward slices"]
    assert set(slices) == {"plain", "averaged", "tuned", "first_phase", "cnn", "lstm", "gru", "both", "shuffled"}
    assert set(found["differences"]["ward slices"]) == {
        "averaged − plain",
        "plain − tuned",
        "plain − first_phase",
        "lstm − cnn",
        "gru − cnn",
        "both − cnn",
        "shuffled − cnn",
    }
    assert all(cost["seconds_fitting"] > 0 and cost["peak_mebibytes"] > 0 for cost in found["cost"])


def test_a_share_of_the_first_phase_stays_in_the_weights(config: Path, tmp_path: Path):
    from hemo_trainer.network.model import average_with_start, build_network

    read = load_config(config)
    first, tuned = (build_network(read.input, 1, read.architecture) for _ in range(2))
    first.model.save_weights(tmp_path / "first.weights.h5")
    expected = [0.25 * a + 0.75 * b for a, b in zip(first.model.get_weights(), tuned.model.get_weights(), strict=True)]
    average_with_start(tuned, tmp_path / "first.weights.h5", 0.25)
    for found, wanted in zip(tuned.model.get_weights(), expected, strict=True):
        np.testing.assert_allclose(found, wanted, atol=1e-6)


def test_a_refitted_model_takes_its_figures_from_the_folds(config: Path, folds: Path):
    from hemo_trainer.runs.refit import refit

    out = refit(config, config.parent / "refit", crossval=folds, cache=config.parent / "cache")
    run = json.loads((out / "run.json").read_text())
    assert run["chosen_on"] == "out_of_fold"
    assert run["scored_before"] is True
    assert set(run["metrics"]) == {"out_of_fold", "test"}
    card = (out / "MODEL_CARD.md").read_text()
    assert "out-of-fold predictions" in card
    assert "Not a medical device" in card
    for name in ("model.keras", "curves.png", "history.csv", "evidence/roc.png", "parity.npz", "calibration.npz"):
        assert (out / name).stat().st_size > 0, name
    with pytest.raises(TrainingError, match="finished run"):
        refit(config, out, crossval=folds, cache=config.parent / "cache")


def test_test_patients_choose_nothing_even_where_the_folds_scored_them(config: Path, folds: Path, tmp_path: Path):
    from hemo_trainer.data.prepared import load_data
    from hemo_trainer.runs.fold_predictions import read_predictions
    from hemo_trainer.runs.refit import refit

    read = load_config(config)
    data = load_data(read, read.input, config.parent / "cache")
    test = [record for record in data.sides["test"] if record.source == "ward"]
    copy, run = tmp_path / "all", tmp_path / "run"
    shutil.copytree(folds, copy)
    path = copy / "fold-0" / "predictions.npz"
    with np.load(path) as stored:
        columns = {name: stored[name] for name in stored.files}
    keys = np.array([slice_key(record) for record in test])
    wild = {name: np.full((len(test), *column.shape[1:]), 50.0) for name, column in columns.items()}
    np.savez(path, **{name: np.concatenate([columns[name], {**wild, "key": keys}[name]]) for name in columns})
    described = json.loads((copy / "crossval.json").read_text())
    described["folds"][0] += sorted({record.patient_key for record in test})
    (copy / "crossval.json").write_text(json.dumps(described))
    assert len(read_predictions(copy, read, data)) > len(read_predictions(folds, read, data))
    run.mkdir()
    for name in ("model.weights.h5", "recipe.json"):
        shutil.copyfile(config.parent / "refit" / name, run / name)
    refit(config, run, crossval=copy, cache=config.parent / "cache")
    found, expected = (json.loads((one / "run.json").read_text()) for one in (run, config.parent / "refit"))
    assert found["scoring"] == expected["scoring"]
    assert found["metrics"] == expected["metrics"]


def test_the_learning_curve_begins_where_no_patient_was_seen(config: Path):
    from hemo_trainer.runs.learning_curve import learning_curve

    out = config.parent / "learning"
    small = config.with_name("small.toml")  # each process traces its graph
    small.write_text(config.read_text("utf-8").replace("stages = [6, 8]", "stages = [6]"), "utf-8")
    points = learning_curve(small, out, cache=config.parent / "cache", shares=(0.5,), jobs=2)
    assert [point["share"] for point in points] == [0.0, 0.5]
    assert points[0]["patients"] == 0
    assert points[1]["patients"] > 0
    assert set(points[0]["figures"]) == {"ward slices", "ward exams"}
    assert json.loads((out / "learning_curve.json").read_text()) == points
    assert (out / "learning_curve.png").stat().st_size > 0


def test_fewer_training_patients_are_some_of_the_many_of_each_kind(config: Path):
    from hemo_trainer.data.prepared import dropped_patients, load_data

    read = load_config(config)
    data = load_data(read, read.input, config.parent / "cache")
    patients = {record.patient_key for record in data.records if record.source == "ward"}
    bleeding = {record.patient_key for record in data.records if record.label and record.source == "ward"}
    half, quarter = (patients - dropped_patients(data, frozenset(), share) for share in (0.5, 0.25))
    assert quarter < half < patients
    assert len(half & bleeding) == round(len(bleeding) / 2)
    assert not dropped_patients(data, frozenset(), 1.0)


def test_the_leakage_study_scores_the_same_slices_under_both_splits(config: Path):
    from hemo_trainer.runs.leakage import BY_PATIENT, BY_SLICE, study

    out = config.parent / "leakage"
    found = study(config, out, cache=config.parent / "cache")
    assert set(found) == {BY_SLICE, BY_PATIENT}
    counts = [{name: one[name] for name in ("slices", "positive", "patients")} for one in found.values()]
    assert counts[0] == counts[1]
    assert all(0 <= one["accuracy"]["low"] <= one["accuracy"]["high"] <= 1 for one in found.values())
    assert (out / "leakage.png").stat().st_size > 0
    assert json.loads((out / "leakage.json").read_text()) == found


def test_folds_of_slices_tear_patients_apart_and_folds_of_patients_do_not(config: Path):
    from hemo_trainer.data.prepared import load_data
    from hemo_trainer.runs.leakage import _by_patient, _by_slice

    read = load_config(config)
    data = load_data(read, read.input, config.parent / "cache")
    rows = data.rows("train") + data.rows("val")
    rows = [row for row in rows if data.records[row].source == "ward"]
    patients = np.array([data.records[row].patient_key for row in rows])
    by_patient, by_slice = _by_patient(rows, 3, data), _by_slice(rows, 3, 1)
    assert all(len(set(by_patient[patients == one])) == 1 for one in set(patients))
    assert any(len(set(by_slice[patients == one])) > 1 for one in set(patients))
