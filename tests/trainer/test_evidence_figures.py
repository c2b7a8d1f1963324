"""The arithmetic of the evidence, against worked examples and against scikit-learn."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

pytest.importorskip("sklearn", reason="needs the train extra")

from findings import one_finding
from sklearn.metrics import average_precision_score, roc_auc_score

from hemo_trainer.evaluation.calibration import calibration, expected_calibration_error, reliability
from hemo_trainer.evaluation.compare import paired_differences
from hemo_trainer.evaluation.decision import decision_curve, net_benefit, npv, ppv, predictive_values
from hemo_trainer.evaluation.figures import rate, unit_figures
from hemo_trainer.figures.delong import delong, placements
from hemo_trainer.figures.intervals import Draws, Interval, Resampling, percentile, wilson
from hemo_trainer.figures.metrics import Scored
from hemo_trainer.figures.ranking import rankings

FEW = Resampling(resamples=50, seed=3)


def scored(labels, logits, patients=None) -> Scored:
    names = patients or [str(i) for i in range(len(labels))]
    return Scored(np.array(labels, np.int64), np.array(logits, np.float64), np.array(names))


def test_wilson_matches_the_published_example():
    interval = wilson(81, 263)  # Newcombe 1998, doi:10.1002/(SICI)1097-0258(19980430)17:8<857::AID-SIM777>3.0.CO;2-E
    assert (round(interval.low, 4), round(interval.high, 4)) == (0.2553, 0.3662)


def test_delong_matches_an_example_worked_by_hand():
    labels, scores = np.array([1, 1, 1, 0, 0]), np.array([3.0, 4.0, 2.0, 1.0, 2.0])
    placed = placements(labels, scores)
    assert placed is not None
    assert placed[0].tolist() == [1, 1, 0.75]
    assert placed[1].tolist() == pytest.approx([1, 2.5 / 3])
    interval = delong(labels, scores)
    assert interval is not None
    assert interval.value == pytest.approx(11 / 12)
    assert interval.low == pytest.approx(11 / 12 - 1.959964 * (1 / 72) ** 0.5, abs=1e-6)  # variance 1/144 + 1/144
    assert interval.high == 1


def test_delong_matches_the_published_figures_of_the_classic_ct_readings():
    # Hanley and McNeil 1982, Radiology 143:29, table I; interval as in the manual of Stata's roctab
    normal, abnormal = [33, 6, 6, 11, 2], [3, 2, 2, 11, 33]
    scores = np.concatenate([np.repeat(np.arange(1.0, 6), normal), np.repeat(np.arange(1.0, 6), abnormal)])
    labels = np.repeat([0, 1], [sum(normal), sum(abnormal)])
    interval = delong(labels, scores)
    assert interval is not None
    assert round(interval.value, 4) == 0.8932
    assert (round(interval.low, 5), round(interval.high, 5)) == (0.83295, 0.95339)


def test_delong_needs_two_of_each():
    assert delong(np.array([0, 0, 1]), np.array([1.0, 2.0, 3.0])) is None


def test_a_patient_is_drawn_with_all_of_its_slices():
    patients = np.array(["b", "a", "b", "c", "a", "b"])
    draws = Draws.of(patients, FEW)
    of_items = draws.times[:, draws.owner]
    for patient in "abc":
        together = of_items[:, patients == patient]
        assert (together == together[:, :1]).all()
    assert (draws.times.sum(axis=1) == 3).all()
    assert len(np.unique(draws.times, axis=0)) > 5


@settings(deadline=None, max_examples=40)  # the first call imports scikit-learn
@given(
    st.lists(st.tuples(st.booleans(), st.integers(0, 4), st.sampled_from("abcd")), min_size=4, max_size=30),
    st.integers(0, 99),
)
def test_resampled_areas_are_those_of_scikit_learn(rows, seed):
    labels, scores, patients = (np.array(column) for column in zip(*rows, strict=True))
    draws = Draws.of(patients, Resampling(6, seed))
    found = rankings(labels.astype(np.int64), scores.astype(np.float64), draws)
    for times, auc, area in zip(draws.times, found.auc, found.average_precision, strict=True):
        items = np.repeat(np.arange(len(labels)), times[draws.owner].astype(int))
        if len(np.unique(labels[items])) < 2:
            assert np.isnan(auc)
            assert np.isnan(area)
        else:
            assert auc == pytest.approx(roc_auc_score(labels[items], scores[items]))
            assert area == pytest.approx(average_precision_score(labels[items], scores[items]))


def test_resampled_means_are_those_of_the_drawn_items():
    values, chosen = np.array([1.0, 2, 3, 4]), np.array([True, False, True, True])
    draws = Draws.of(np.array(["a", "a", "b", "c"]), FEW)
    for times, mean in zip(draws.times, draws.means(values, chosen), strict=True):
        items = np.repeat(np.arange(4), times[draws.owner].astype(int))
        assert mean == pytest.approx(values[items][chosen[items]].mean())


def test_no_interval_comes_from_a_single_patient():
    draws = Draws.of(np.array(["a", "a"]), FEW)
    assert percentile(0.5, draws, draws.means(np.array([0, 1]), np.array([True, True]))) is None
    found = rate(np.array([True, False]), np.array([True, True]), np.array(["a", "a"]), FEW)
    assert found is not None
    assert found["clustered"] is None
    assert (found["hits"], found["count"], found["value"]) == (1, 2, 0.5)


def test_predictive_values_follow_bayes():
    assert ppv(0.9, 0.8, 0.1) == pytest.approx(0.09 / 0.27)
    assert npv(0.9, 0.8, 0.1) == pytest.approx(0.72 / 0.73)
    assert ppv(0, 1, 0.1) is None
    rows = predictive_values(Interval(0.9, 0.8, 1.0), Interval(0.8, 0.7, 0.9))
    assert [row["prevalence"] for row in rows] == [0.05, 0.10, 0.15]
    assert rows[1]["ppv"] == {"value": 0.3333, "low": round(0.08 / 0.35, 4), "high": round(0.1 / 0.19, 4)}


def test_calibration_error_matches_a_case_worked_by_hand():
    chances = np.array([0.1, 0.1, 0.9, 0.9])
    one = scored([0, 1, 1, 1], np.log(chances / (1 - chances)))
    assert expected_calibration_error(one, chances) == pytest.approx(0.5 * 0.4 + 0.5 * 0.1)
    assert [(row["mean"], row["observed"]["value"], row["count"]) for row in reliability(one, chances)] == [
        (0.1, 0.5, 2),
        (0.9, 1.0, 2),
    ]
    found = calibration(one, 1.0, FEW)
    assert found["brier"]["value"] == round((0.01 + 0.81 + 0.01 + 0.01) / 4, 4)
    assert found["ece"] == 0.25


def test_recalibration_finds_a_known_slope_and_none_where_the_classes_are_apart():
    rng = np.random.default_rng(5)
    logits = rng.normal(scale=2, size=20_000)
    labels = rng.random(20_000) < 1 / (1 + np.exp(-(0.5 + 0.7 * logits)))
    found = calibration(scored(labels, logits), 1.0, FEW)
    assert found["slope"] == pytest.approx(0.7, abs=0.05)
    assert found["intercept"] == pytest.approx(0.5, abs=0.05)
    apart = calibration(scored([0, 0, 1, 1], [-2, -1, 1, 2]), 1.0, FEW)
    assert apart["slope"] is None


def test_net_benefit_matches_a_case_worked_by_hand():
    labels = np.array([1] * 4 + [0] * 6)
    called = np.array([True] * 3 + [False] + [True] * 2 + [False] * 4)
    assert net_benefit(labels, called, 0.2) == pytest.approx((3 - 2 * 0.25) / 10)
    curve = decision_curve(labels, np.where(called, 0.9, 0.05))
    assert curve["prevalence"] == 0.4
    place = curve["thresholds"].index(0.2)
    assert curve["model"][place] == pytest.approx(0.25)
    assert curve["all"][place] == pytest.approx((4 - 6 * 0.25) / 10)


def test_figures_of_exams_have_every_operating_point_and_count_those_for_review():
    one = scored([0, 0, 0, 1, 1, 1], [-3, -2, 2, -1, 1, 3])
    suspicious = np.array([False, True, True, True, True, True])
    found = unit_figures(one, one_finding(threshold=0.5), FEW, suspicious=suspicious)
    points = {point["name"]: point for point in found["operating_points"]}
    assert list(points) == ["locked", "locked_or_review", "sensitivity_0.90", "sensitivity_0.95"]
    assert points["locked"]["confusion_matrix"] == [[2, 1], [1, 2]]
    assert points["locked_or_review"]["confusion_matrix"] == [[1, 2], [0, 3]]
    assert points["sensitivity_0.90"]["sensitivity"]["value"] == 1
    assert found["auc"]["value"] == pytest.approx(7 / 9, abs=1e-4)
    assert found["curves"]["roc"][0] == [0, 0]
    assert found["curves"]["roc"][-1] == [1, 1]


def test_one_class_gives_shares_but_no_areas():
    found = unit_figures(scored([1, 1, 1], [1, 2, -1]), one_finding(), FEW, suspicious=np.zeros(3, bool))
    assert found["auc"] is found["auc_delong"] is found["curves"] is found["decision"] is None
    assert found["operating_points"][0]["sensitivity"]["hits"] == 2
    assert found["operating_points"][0]["specificity"] is None
    assert found["operating_points"][0]["predictive_values"] is None


def test_differences_draw_the_same_patients_for_both():
    rng = np.random.default_rng(2)
    labels = rng.integers(0, 2, 120)
    logits = labels + rng.normal(size=120)
    patients = [str(i // 4) for i in range(120)]
    one, same = scored(labels, logits, patients), scored(labels, 3 * logits + 1, patients)
    found = paired_differences(one, same, FEW).auc
    assert found == Interval(0.0, 0.0, 0.0)
    worse = paired_differences(one, scored(labels, -logits, patients), FEW).auc
    assert worse is not None
    assert worse.high < 0
