"""A folder that is gone on with holds what was made with the same configuration, data and folds, or is refused."""

from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from hemo_core.errors import TrainingError
from hemo_core.files import write_durably
from hemo_core.records import dumps
from hemo_trainer.config import FitConfig, TrainConfig
from hemo_trainer.datasets import DataSource
from hemo_trainer.datasets.record import SliceRecord
from hemo_trainer.runs.fold_predictions import CrossValidation, read_predictions
from hemo_trainer.runs.recipe import begin, recipe_of

CONFIG = TrainConfig("mine", (DataSource("folder", "/a/ward", "ward"),))


def data(patients: int = 30, **changed: Any) -> Any:
    records = tuple(
        SliceRecord("ward", f"p{n:02}", 0, Path(f"{n}.png"), {"hemorrhage": n % 2}) for n in range(patients)
    )
    keys = {"fingerprint": "f", "labels_key": "l", "split_hash": "s", "pixels_key": "k", **changed}
    return SimpleNamespace(records=records, **keys)


def crossval(folder: Path, folds: int, *, config: TrainConfig = CONFIG) -> list[list[str]]:
    """The folder of a cross-validation of 30 patients; folds that are there are not made again."""
    folder.mkdir(exist_ok=True)
    write_durably(folder / "recipe.json", dumps(recipe_of(config, data(), folds=folds)), folder)
    keys = [record.patient_key for record in data().records]
    dealt = [keys[first::folds] for first in range(folds)]
    described = CrossValidation(
        tuple(map(tuple, dealt)), ("train", "val"), "f", ablate=False, share=1.0, first_phase=False
    )
    write_durably(folder / "crossval.json", dumps(described), folder)
    for number, patients in enumerate(dealt):
        path = folder / f"fold-{number}" / "predictions.npz"
        if not path.is_file():
            path.parent.mkdir()
            slices = [f"{patient}/0" for patient in patients]
            np.savez(path, key=np.array(slices), plain=np.zeros((len(slices), 1)), flipped=np.zeros((len(slices), 1)))
            (path.parent / "model.weights.h5").touch()
    return dealt


def test_the_same_again_goes_on(tmp_path: Path):
    crossval(tmp_path / "folds", 5)
    begin(tmp_path / "folds", recipe_of(replace(CONFIG, name="renamed"), data(), folds=5))
    moved = replace(CONFIG, sources=(replace(CONFIG.sources[0], path="/elsewhere/ward"),))
    begin(tmp_path / "folds", recipe_of(moved, data(), folds=5))
    assert len(read_predictions(tmp_path / "folds", moved, data())) == 30


@pytest.mark.parametrize(
    ("config", "found", "folds", "words"),
    [
        (CONFIG, data(), 3, "options.folds was 5, is 3"),
        (replace(CONFIG, fit=FitConfig(epochs=3)), data(), 5, "config.fit.epochs was 40, is 3"),
        (CONFIG, data(pixels_key="other"), 5, "data.pixels_key was 'k', is 'other'"),
        (replace(CONFIG, seed=1), data(split_hash="x"), 5, "config.seed was 20, is 1; data.split_hash was 's', is 'x'"),
    ],
)
def test_what_differs_is_named_and_refused(tmp_path: Path, config: TrainConfig, found: Any, folds: int, words: str):
    crossval(tmp_path / "folds", 5)
    with pytest.raises(TrainingError, match=rf"was made otherwise: {words}"):
        begin(tmp_path / "folds", recipe_of(config, found, folds=folds))


def test_a_folder_in_which_nothing_was_fitted_may_begin_anew(tmp_path: Path):
    begin(tmp_path / "run", recipe_of(CONFIG, data()))
    other = recipe_of(replace(CONFIG, seed=1), data())
    begin(tmp_path / "run", other)
    (tmp_path / "run" / "last.weights.h5").touch()
    begin(tmp_path / "run", other)
    with pytest.raises(TrainingError, match=r"config.seed was 1, is 20"):
        begin(tmp_path / "run", recipe_of(CONFIG, data()))


def test_weights_of_unknown_origin_are_not_gone_on_with(tmp_path: Path):
    (tmp_path / "last.weights.h5").touch()
    with pytest.raises(TrainingError, match="does not say what it was made with"):
        begin(tmp_path, recipe_of(CONFIG, data()))


def test_no_threshold_is_locked_on_stale_folds(tmp_path: Path):
    """Five folds, then three in the same folder: without a check, 18 of the 30 patients would be left."""
    crossval(tmp_path / "folds", 5)
    crossval(tmp_path / "folds", 3)
    with pytest.raises(TrainingError, match=r"fold-0/predictions.npz: scores other patients than its fold holds"):
        read_predictions(tmp_path / "folds", CONFIG, data())


def test_predictions_of_another_configuration_are_not_read(tmp_path: Path):
    crossval(tmp_path / "folds", 5)
    with pytest.raises(TrainingError, match=r"config.fit.epochs was 40, is 3"):
        read_predictions(tmp_path / "folds", replace(CONFIG, fit=FitConfig(epochs=3)), data())
