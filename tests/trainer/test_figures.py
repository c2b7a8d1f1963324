import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hemo_trainer.figures.calibrate import Validated, fit_temperature, lock_finding, threshold_at
from hemo_trainer.figures.metrics import Scored, at_threshold, auc, auc_value

pytest.importorskip("sklearn", reason="needs the train extra")


def scored(labels, logits, patients=None) -> Scored:
    names = patients or [str(i) for i in range(len(labels))]
    return Scored(np.array(labels), np.array(logits, np.float64), np.array(names))


def test_auc_is_the_share_of_pairs_in_order_and_its_interval_holds_it():
    one = scored([0, 0, 1, 1], [0.1, 0.4, 0.35, 0.8])
    assert auc_value(one) == 0.75
    interval = auc(one)
    assert interval is not None
    assert interval.low <= 0.75 <= interval.high
    assert auc(scored([1, 1], [0, 1])) is None


def test_intervals_resample_patients_not_slices():
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 2, 200)
    logits = labels + rng.normal(size=200)
    spread = auc(scored(labels, logits))
    clustered = auc(scored(np.repeat(labels, 10), np.repeat(logits, 10), [str(i // 10) for i in range(2000)]))
    assert spread is not None
    assert clustered is not None
    assert clustered.high - clustered.low == pytest.approx(spread.high - spread.low, rel=0.15)


def test_temperature_scaling_recovers_a_known_temperature():
    rng = np.random.default_rng(1)
    logits = rng.normal(scale=2, size=20_000)
    labels = (rng.random(20_000) < 1 / (1 + np.exp(-logits / 3))).astype(int)
    assert fit_temperature(scored(labels, logits)) == pytest.approx(3, rel=0.1)


@given(st.lists(st.tuples(st.booleans(), st.floats(0.01, 0.99)), min_size=2, max_size=60), st.floats(0.5, 1.0))
def test_the_locked_threshold_reaches_the_target_sensitivity(rows, target):
    labels, scores = np.array([int(row[0]) for row in rows]), np.array([row[1] for row in rows])
    if labels.sum():
        threshold = threshold_at(scores, scored(labels, scores), target)
        assert (scores[labels == 1] >= threshold - 1e-6).mean() >= target - 1e-9


def test_the_threshold_falls_back_to_slices_where_exams_are_few():
    slices = scored([0, 0, 1, 1], [-2, -1, 1, 2])
    finding = lock_finding([Validated(slices, scored([1], [1.0]))], "mass_effect", "primary", 0.9, None)
    assert at_threshold(slices, finding)["confusion_matrix"] == [[2, 0], [0, 2]]


def test_every_source_reaches_the_target_and_a_plain_one_hides_no_subtle_one():
    plain = scored([0] * 20 + [1] * 20, [-4.0] * 20 + [4.0] * 20)
    subtle = scored([0] * 10 + [1] * 10, [-3.0] * 10 + [0.5] * 10)
    finding = lock_finding([Validated(plain, plain), Validated(subtle, subtle)], "mass_effect", "primary", 0.9, None)
    for one in (plain, subtle):
        assert at_threshold(one, finding)["sensitivity"]["value"] >= 0.9
