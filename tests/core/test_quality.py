"""Quality codes from numbers worked out by hand."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from slices import head

from hemo_core.phantoms import PhantomSpec
from hemo_core.scans.quality import clipped_range, has_block_artefacts, sample
from hemo_core.scans.readers import geometry
from hemo_core.scans.rules.kernels import is_sharp


def test_a_gap_counts_the_slices_that_would_fill_it():
    found = geometry.spacing([0, 5, 10, 25, 30, 35], [None] * 6)
    assert found.median_mm == 5
    assert found.missing == 2
    assert not found.variable


def test_thick_slices_that_touch_leave_no_gap():
    found = geometry.spacing([0, 4, 8, 12, 16, 20, 28, 36], [4, 4, 4, 4, 4, 8, 8, 8])
    assert found.missing == 0
    assert found.variable
    assert (found.smallest_mm, found.largest_mm) == (4, 8)


def test_one_position_has_no_spacing():
    assert geometry.spacing([3.0], [5.0]).median_mm is None
    assert geometry.spacing([], []).median_mm is None


@pytest.mark.parametrize(
    ("orientation", "normal", "angle"),
    [
        ((1, 0, 0, 0, 1, 0), (0, 0, 1), 0),
        ((-1, 0, 0, 0, 1, 0), (0, 0, 1), 0),
        ((1, 0, 0, 0, 0, -1), (0, 1, 0), 90),
        ((1, 0, 0, 0, 0.8, -0.6), (0, 0.6, 0.8), 36.8699),
    ],
)
def test_the_normal_points_to_the_head(orientation, normal, angle):
    assert geometry.normal(orientation) == pytest.approx(normal)
    assert geometry.angle_to_axis(orientation) == pytest.approx(angle, abs=1e-3)


def test_position_is_measured_along_the_normal():
    plane = geometry.Plane((1, 0, 0, 0, 0.8, -0.6), (10, 5, 20), None, None)
    assert geometry.position_along(plane) == pytest.approx(0.6 * 5 + 0.8 * 20)


def test_a_plateau_below_bone_or_above_fat_was_cut_there():
    rng = np.random.default_rng(0)
    whole = rng.uniform(-1000, 1800, (64, 64)).astype(np.float32)
    assert clipped_range([whole]) is None
    assert "cut off at 80 HU" in str(clipped_range([np.minimum(whole, 80)]))
    assert "cut off at 0 HU" in str(clipped_range([np.maximum(whole, 0)]))
    assert clipped_range([np.minimum(whole, 1795)]) is None


def test_tissue_without_noise_was_flattened_and_phantoms_are_not():
    plane = head(PhantomSpec(5, slices=4, rows=256)).hu[2].astype(np.float32)
    assert not has_block_artefacts(plane)
    small = cv2.resize(plane, (32, 32), interpolation=cv2.INTER_AREA)
    assert has_block_artefacts(cv2.resize(small, (256, 256), interpolation=cv2.INTER_NEAREST))
    assert has_block_artefacts(cv2.resize(small, (256, 256), interpolation=cv2.INTER_LINEAR))


def test_air_alone_is_no_artefact():
    assert not has_block_artefacts(np.full((128, 128), -1000, np.float32))


def test_a_sample_keeps_both_ends():
    assert sample(range(100), 5) == [0, 25, 50, 74, 99]
    assert sample([1, 2], 5) == [1, 2]


def test_kernels_named_in_words_count():
    assert is_sharp("", "Head BONE 2.0")
    assert not is_sharp("", "Head soft tissue")
