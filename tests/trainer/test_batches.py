from pathlib import Path

import numpy as np
import pytest

from hemo_trainer.config import AugmentConfig, BatchConfig, FitConfig, TrainConfig
from hemo_trainer.datasets.hemorrhage import HEMORRHAGE
from hemo_trainer.datasets.record import SliceRecord
from hemo_trainer.steps.augment import augment_sequence
from hemo_trainer.steps.batches import StepBuilder
from hemo_trainer.steps.sampling import Sampler

STILL = AugmentConfig(
    rotation_deg=0, shift=0, zoom=0, flip=0, reverse=0, noise=0, blur=0, jpeg=0, marks=0, erase=0, untouched=1
)
BATCH = BatchConfig(series_slices=8, lengths=(4,), singles=3)


def builder(augment: AugmentConfig = STILL) -> StepBuilder:
    records = [
        SliceRecord("ward", str(p), o, Path(f"{p}-{o}"), {HEMORRHAGE: int(p < 2 and o == 3)}, doubtful=o == 5)
        for p in range(4)
        for o in range(6)
    ]
    pixels = np.stack([np.full((32, 32, 1), row, np.uint8) for row in range(len(records))])
    sampler = Sampler(records, range(len(records)), {"ward": 1.0}, BATCH)
    fit = FitConfig(label_smoothing=0.0)
    config = TrainConfig("ward", (), seed=1, batch=BATCH, augment=augment, fit=fit)
    return StepBuilder(pixels, records, sampler, config)


def test_a_step_lays_slices_out_in_neighbouring_sequences():
    inputs, targets, weights = builder().build(0)
    assert inputs["slices"].shape == (11, 32, 32, 1)
    assert inputs["mask"].sum(axis=1).tolist() == [4, 4, 1, 1, 1]
    flat = inputs["index"].reshape(-1)[inputs["place"]]
    assert flat.tolist() == list(range(11))
    rows = np.rint(inputs["slices"][:, 0, 0, 0] * 255).astype(int)
    for sequence in (rows[:4], rows[4:8]):
        assert np.diff(sequence).tolist() == [1, 1, 1]
        assert len({row // 6 for row in sequence}) == 1
    labels = [-1 if row % 6 == 5 else int(row // 6 < 2 and row % 6 == 3) for row in rows]
    assert targets["slice"][:, 0].tolist() == labels
    uncertain = rows % 6 == 5
    assert (weights["slice"][uncertain] == 0).all()
    assert weights["slice"].mean() == pytest.approx(1)


def test_the_same_seed_and_step_give_the_same_arrays_and_other_steps_do_not():
    first, again, other = builder(AugmentConfig()).build(5), builder(AugmentConfig()).build(5), builder().build(6)
    assert all(np.array_equal(first[0][name], again[0][name]) for name in first[0])
    assert not np.array_equal(first[0]["slices"], other[0]["slices"])


def test_augmentation_keeps_shape_range_and_black_air():
    rng = np.random.default_rng(0)
    pixels = np.zeros((3, 32, 32, 1), np.uint8)
    pixels[:, 8:24, 8:24] = 140
    quiet = AugmentConfig(noise=0, marks=0, jpeg=0, blur=0, untouched=0)
    for _ in range(50):
        changed = augment_sequence(pixels, quiet, rng)
        assert changed.shape == pixels.shape
        assert changed.dtype == np.float32
        assert changed.min() >= 0
        assert changed.max() <= 1
        assert (changed[:, 0, 0] == 0).all()


def test_geometry_is_the_same_for_all_slices_of_a_sequence():
    pixels = np.random.default_rng(0).integers(0, 255, (1, 32, 32, 1), np.uint8).repeat(4, axis=0)
    changed = augment_sequence(pixels, AugmentConfig(noise=0, erase=0, marks=0), np.random.default_rng(3))
    assert all(np.array_equal(changed[0], one) for one in changed)
