"""Slice logits → label: the arithmetic, exactly."""

from __future__ import annotations

import numpy as np
import pytest
from findings import one_finding, three_findings

from hemo_core.errors import ScoringFailed
from hemo_core.inference.scoring import calibrated, scan_logit, score_scan


def test_scan_logit_is_the_softmax_weighted_mean():
    logits = np.asarray([0.0, np.log(3.0)])
    assert scan_logit(logits, 1.0) == pytest.approx(0.75 * np.log(3.0), abs=1e-15)


def test_scan_logit_runs_from_mean_to_maximum():
    logits = np.asarray([-2.0, 0.0, 5.0])
    assert scan_logit(logits, 0.0) == pytest.approx(1.0)
    assert scan_logit(logits, 1000.0) == 5.0


def test_scan_logit_does_not_grow_with_the_number_of_slices():
    logits = np.asarray([-3.0, 1.5, 2.5])
    assert scan_logit(np.tile(logits, 50), 2.0) == pytest.approx(scan_logit(logits, 2.0), abs=1e-12)


def test_one_slice_scores_its_own_logit():
    score = score_scan([[1.25]], one_finding(beta=7.0, temperature=2.0))
    assert score.primary.logit == 1.25
    assert score.probability == score.slice_probabilities[0]


def test_huge_logits_neither_overflow_nor_warn():
    with np.errstate(all="raise", under="ignore"):
        assert scan_logit(np.asarray([-1e4, 1e4]), 50.0) == 1e4
        assert calibrated(np.asarray([-1e5, 0.0, 1e5]), 1.0).tolist() == [0.0, 0.5, 1.0]


def test_temperature_softens_scan_and_slices_alike():
    score = score_scan([[2.0], [2.0]], one_finding(temperature=2.0))
    expected = 1 / (1 + np.exp(-1.0))
    assert score.probability == pytest.approx(expected, abs=1e-15)
    assert score.slice_probabilities == pytest.approx([expected, expected], abs=1e-15)


@pytest.mark.parametrize(
    ("logits", "label"),
    [
        ([3.0, 3.0], "hemorrhage"),
        ([0.0], "hemorrhage"),  # the threshold itself counts as positive
        ([-6.0] * 20 + [1.0], "review"),
        ([-6.0, -0.1], "no_finding"),
    ],
)
def test_label(logits, label):
    scoring = one_finding(beta=0.5, threshold=0.5)
    assert score_scan(np.asarray(logits)[:, None], scoring).label == label


def test_the_primary_finding_decides_wherever_it_stands():
    high_details = np.asarray([[9.0, -4.0, 9.0], [9.0, -4.0, 9.0]])
    assert score_scan(high_details, three_findings()).label == "no_finding"
    assert score_scan(-high_details, three_findings()).label == "bleed"


def test_each_finding_has_its_own_temperature():
    score = score_scan([[2.0, 2.0, 2.0]], three_findings())
    expected = [1 / (1 + np.exp(-2.0 / temperature)) for temperature in (1.0, 2.0, 0.5)]
    assert [one.probability for one in score.findings] == pytest.approx(expected, abs=1e-15)
    assert score.probability == score.findings[1].probability


def test_other_channels_than_findings_fail_the_scan():
    with pytest.raises(ScoringFailed, match=r"logits \(1, 2\) for 3 findings"):
        score_scan([[0.0, 0.0]], three_findings())


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_a_logit_that_is_no_number_fails_the_scan(bad):
    with pytest.raises(ScoringFailed, match="1 logits that are no number"):
        score_scan([[0.0], [bad]], one_finding())


def test_a_scan_without_slices_fails():
    with pytest.raises(ScoringFailed, match="no slice"):
        score_scan(np.zeros((0, 1)), one_finding())
