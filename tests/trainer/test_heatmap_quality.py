"""Exact figures on made-up maps and models."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

pytest.importorskip("scipy", reason="needs the train extra")

from findings import one_finding

from hemo_core.bundle.contract import InputContract
from hemo_core.errors import DatasetError
from hemo_core.inference.session import CnnOutput
from hemo_trainer.data.cache import prepared_picture
from hemo_trainer.datasets.hemorrhage import HEMORRHAGE
from hemo_trainer.datasets.record import SliceRecord
from hemo_trainer.evaluation.report import limits
from hemo_trainer.evaluation.report.document import Plot
from hemo_trainer.figures.intervals import clustered_mean, mean_json
from hemo_trainer.heatmap_quality.examples import box_examples
from hemo_trainer.heatmap_quality.explained import spread
from hemo_trainer.heatmap_quality.lines import heatmap_lines
from hemo_trainer.heatmap_quality.localise import box_share, localised
from hemo_trainer.heatmap_quality.maps import centre_heat, enlarged, head_mask, mapped_boxes
from hemo_trainer.heatmap_quality.measure import HeatmapPlan, measure_heatmaps
from hemo_trainer.heatmap_quality.occlusion import area, staircase, taken, warmest_first
from hemo_trainer.heatmap_quality.plots import heatmap_plots, plot_heatmap_figures
from hemo_trainer.heatmap_quality.randomisation import Likeness, verdict
from hemo_trainer.heatmap_quality.similarity import spearman, ssim

BOX = np.zeros((8, 8), bool)
BOX[2:4, 4:8] = True


def test_a_map_inside_the_box_scores_one_and_one_outside_scores_nothing():
    inside, outside = np.zeros((8, 8), np.float32), np.zeros((8, 8), np.float32)
    inside[2, 5], inside[3, 7] = 1.0, 0.5
    outside[6, 1] = 1.0
    assert (localised(inside, BOX).hit, localised(inside, BOX).energy) == (1.0, 1.0)
    assert (localised(outside, BOX).hit, localised(outside, BOX).energy) == (0.0, 0.0)


def test_a_map_that_is_warm_everywhere_scores_the_boxes_share():
    found = localised(np.full((8, 8), 0.3, np.float32), BOX)
    assert found.hit == found.energy == pytest.approx(8 / 64)
    assert box_share(BOX, np.ones((8, 8), bool)) == 8 / 64


def test_an_empty_map_is_a_miss_and_says_so():
    found = localised(np.zeros((8, 8), np.float32), BOX)
    assert (found.hit, found.energy, found.empty) == (0.0, 0.0, True)


def test_energy_counts_what_lies_in_any_box():
    heat = np.zeros((8, 8), np.float32)
    heat[2, 4], heat[7, 7] = 1.0, 3.0
    assert localised(heat, BOX).energy == 0.25
    assert localised(heat, BOX).hit == 0.0


def test_a_box_goes_through_the_crop_and_the_resize():
    mask = mapped_boxes([(20.0, 30.0, 40.0, 60.0)], (10, 20, 100), 50, 50)
    rows, columns = np.nonzero(mask)
    assert (rows.min(), rows.max(), columns.min(), columns.max()) == (5, 19, 5, 14)


def test_a_box_beyond_the_crop_is_cut_and_a_tiny_one_keeps_its_pixel():
    assert mapped_boxes([(0.0, 0.0, 10.0, 10.0)], (10, 10, 100), 50, 50).sum() == 0
    assert mapped_boxes([(0.0, 0.0, 12.0, 12.0)], (10, 10, 100), 50, 50).sum() == 1
    tiny = mapped_boxes([(17.3, 17.3, 17.5, 17.5)], (10, 10, 100), 50, 50)
    assert np.argwhere(tiny).tolist() == [[3, 3]]


def test_the_head_is_filled_and_the_centre_lies_in_its_middle():
    picture = np.zeros((64, 64), np.uint8)
    picture[10:50, 20:60] = 255
    picture[20:40, 30:50] = 0  # dark inside the skull
    head = head_mask(picture)
    assert head.sum() == 40 * 40
    assert np.unravel_index(np.argmax(centre_heat(head)), (64, 64)) in {(29, 39), (29, 40), (30, 39), (30, 40)}
    assert head_mask(np.zeros((8, 8), np.uint8)).all()


def test_rank_correlation_knows_order_ties_and_flat_maps():
    rising = np.arange(16, dtype=np.float32).reshape(4, 4)
    flat = np.ones((4, 4), np.float32)
    assert spearman(rising, rising**3) == pytest.approx(1)
    assert spearman(rising, -rising) == pytest.approx(-1)
    assert (spearman(flat, flat), spearman(flat, rising)) == (1.0, 0.0)


def test_structural_similarity_is_one_for_equals_and_falls_with_noise():
    rng = np.random.default_rng(0)
    one = rng.random((40, 40), np.float32)
    assert ssim(one, one) == pytest.approx(1)
    assert ssim(one, rng.random((40, 40), np.float32)) < 0.2
    luminance = (2 * 0.5 * 0.25 + 1e-4) / (0.5**2 + 0.25**2 + 1e-4)  # of flat maps only this term is left
    assert ssim(np.full((20, 20), 0.5), np.full((20, 20), 0.25)) == pytest.approx(luminance)


def test_cells_are_taken_warmest_first_and_ties_by_chance():
    heat = np.array([[0.0, 0.7], [1.0, 0.0]], np.float32)
    orders = {tuple(warmest_first(heat, np.random.default_rng(seed)).tolist()) for seed in range(20)}
    assert orders == {(2, 1, 0, 3), (2, 1, 3, 0)}


def test_the_steps_take_whole_cells_even_where_they_do_not_divide_the_picture():
    masks = taken(np.array([3, 0, 1, 2]), (2, 2), 4, (5, 5))
    assert [int(mask.sum()) for mask in masks] == [0, 4, 13, 19, 25]
    assert masks[1][3:, 3:].all()


def test_deletion_ends_black_and_insertion_begins_blurred_and_ends_whole():
    picture = np.random.default_rng(0).integers(0, 255, (16, 16, 1)).astype(np.uint8)
    order = np.arange(4)
    deletion, insertion = (staircase(way, picture, order, (2, 2), 4) for way in ("deletion", "insertion"))
    assert (deletion.pictures[0] == picture).all()
    assert not deletion.pictures[-1].any()
    assert insertion.pictures[0].std() < picture.std() / 4
    assert (insertion.pictures[-1] == picture).all()
    assert deletion.shares.tolist() == [0, 0.25, 0.5, 0.75, 1]


def test_means_resample_patients_and_one_patient_gives_no_interval():
    found = clustered_mean([1, 1, 1, 1, 0], ["a", "a", "a", "a", "b"])
    assert found is not None
    assert (found.value, found.low, found.high) == (0.8, 0.0, 1.0)
    assert clustered_mean([1.0], ["a"]) is None
    assert mean_json([1.0, 0.5], ["a", "a"]) == {"value": 0.75, "low": None, "high": None}
    assert mean_json([], []) is None


def test_slices_are_spread_over_patients():
    items = [f"{patient}{number}" for patient, count in (("a", 10), ("b", 1), ("c", 3)) for number in range(count)]
    assert spread(items, lambda item: item[0], 5) == ["a2", "a7", "b0", "c0", "c2"]
    assert spread(items, lambda item: item[0], 99) == items


class LinearModel:
    """A slice's logit is the weighted sum of its cells; the map is the weights, where they are positive."""

    def __init__(self, weights: np.ndarray) -> None:
        self.weights = weights.astype(np.float32)

    def cnn(self, slices):
        side = slices.shape[1] // 4
        cells = slices[..., 0].reshape(len(slices), 4, side, 4, side).mean(axis=(2, 4))
        return CnnOutput(cells[..., None], cells.reshape(len(slices), 16))

    def logits(self, embeddings):
        return embeddings @ self.weights.ravel()

    def heatmaps(self, features, slices):
        maps = np.maximum(features[list(slices)][..., 0] * self.weights, 0)
        return maps / maps.max(axis=(1, 2), keepdims=True)

    def keras_models(self):
        raise AssertionError("not taken apart here")


def records(patients: int, slices: int = 3) -> list[tuple[SliceRecord, ...]]:
    return [
        tuple(
            SliceRecord("toy", str(patient), at, Path(f"{patient}/{at}.png"), labels={HEMORRHAGE: 1})
            for at in range(slices)
        )
        for patient in range(patients)
    ]


def test_boxes_on_picture_files_meet_the_map_on_the_models_input(tmp_path):
    pytest.importorskip("matplotlib", reason="needs the train extra")
    rows, columns = np.mgrid[:120, :160]
    picture = np.where(np.hypot(columns - 70, rows - 60) < 48, 90, 0).astype(np.uint8)  # a head beside the middle
    picture[35:65, 55:85] = 250
    contract = InputContract(height=64, width=64)
    series = []
    for patient in range(2):
        path = tmp_path / f"{patient}.png"
        cv2.imwrite(str(path), picture)
        series.append(
            (SliceRecord("toy", str(patient), 0, path, labels={HEMORRHAGE: 1}, boxes=((55.0, 35.0, 85.0, 65.0),)),)
        )

    def pixels_of(record):
        return prepared_picture(record.path, contract).pixels[0]

    bright = pixels_of(series[0][0])[..., 0] > 200
    cells = bright.reshape(4, 16, 4, 16).mean(axis=(1, 3))
    model = LinearModel(np.where(cells == cells.max(), 9.0, 0.0))
    found = measure_heatmaps([(model, series)], pixels_of, one_finding(), contract)
    assert found["pointing_game"]["all"]["value"]["value"] == 1.0
    assert found["pointing_game"]["shown"]["count"] == 2
    share = found["energy_in_box"]["all"]
    assert share["chance_picture"]["value"] == pytest.approx(bright.mean(), rel=0.15)
    assert share["value"]["value"] > 2 * share["chance"]["value"]
    examples = box_examples([(model, series)], pixels_of, one_finding(), contract)
    assert examples is not None
    assert examples.startswith(b"\x89PNG")


def test_the_curves_of_a_linear_model_are_those_computed_by_hand(monkeypatch):
    weights = np.zeros((4, 4))
    weights[1, 2], weights[2, 2] = 6.0, 3.0  # on white cells the logit is 9, then 3, then 0
    model, white = LinearModel(weights), np.full((16, 16, 1), 255, np.uint8)
    plan = HeatmapPlan(steps=16, random_orders=1)
    monkeypatch.setattr("hemo_trainer.heatmap_quality.measure.check_randomisation", lambda *_: {"passed": True})
    monkeypatch.setattr(model, "keras_models", lambda: None)
    found = measure_heatmaps(
        [(model, records(4))],
        lambda _: white,
        one_finding(threshold=0.5),
        InputContract(height=16, width=16),
        plan=plan,
    )
    chances = 1 / (1 + np.exp(-np.array([9.0, 3.0] + [0.0] * 15)))
    assert found["deletion"]["curves"]["map"] == pytest.approx(chances, abs=1e-4)
    assert found["deletion"]["auc"]["map"]["value"] == pytest.approx(area(np.linspace(0, 1, 17), chances), abs=1e-4)
    # a white picture blurs to itself, so nothing is gained by revealing it
    assert found["insertion"]["curves"]["map"] == pytest.approx([chances[0]] * 17, abs=1e-4)
    assert found["deletion"]["gain"]["random"]["low"] > 0
    assert found["deletion"]["count"] == 12
    assert found["not_measured"] == {"pointing_game": "no slice has a box", "energy_in_box": "no slice has a box"}
    assert [line.value[:12] for line in heatmap_lines({**found, "randomisation": failed_check()})][2:] == [
        f"{found['deletion']['auc']['map']['value']:.3f} [{found['deletion']['auc']['map']['low']:.3f}"[:12],
        f"{found['insertion']['auc']['map']['value']:.3f} [{found['insertion']['auc']['map']['low']:.3f}"[:12],
        "failed: 1.00",
    ]


def test_too_few_slices_are_not_measured_and_the_reason_is_given():
    model = LinearModel(np.full((4, 4), 6 / 16))
    white = np.full((16, 16, 1), 255, np.uint8)
    contract = InputContract(height=16, width=16)
    found = measure_heatmaps([(model, records(1))], lambda _: white, one_finding(), contract)
    assert found["not_measured"]["randomisation"] == "3 slices with the finding would get a heat map, 5 are needed"
    alone = measure_heatmaps([(model, records(1, slices=6))], lambda _: white, one_finding(), contract)
    assert "one patient" in alone["not_measured"]["deletion"]
    assert "randomisation" not in found


def alike(count: int, make) -> Likeness:
    """Maps against those of ``make``, for ten slices of five patients."""
    rng = np.random.default_rng(1)
    maps = [rng.random((6, 6), np.float32) for _ in range(10)]
    likeness = Likeness([str(at // 2) for at in range(10)])
    for _ in range(count):
        likeness.add(maps, [make(heat, rng) for heat in maps], (24, 24))
    return likeness


def failed_check() -> dict:
    return verdict(alike(1, lambda heat, _: heat), {"all": alike(1, lambda heat, _: heat)}, [1])


def test_maps_that_outlive_the_weights_fail_the_check():
    found = failed_check()
    assert found["passed"] is False
    assert found["stages"][0]["spearman"]["value"] == found["stages"][0]["ssim"]["value"] == 1.0
    inverted = verdict(alike(1, lambda heat, _: heat), {"all": alike(1, lambda heat, _: 1 - heat)}, [1])
    assert inverted["passed"] is False


def test_maps_that_change_with_the_weights_pass_the_check():
    other = alike(3, lambda _, rng: rng.random((6, 6), np.float32))
    found = verdict(alike(1, lambda heat, _: heat), {"logits": alike(1, lambda heat, _: heat), "all": other}, [1, 2, 3])
    assert found["passed"] is True
    assert found["limit"] == 0.5
    assert found["stages"][-1]["compared"] == 30


def test_empty_maps_do_not_hide_that_the_others_stay_alike():
    mostly_empty = alike(4, lambda heat, rng: heat if rng.random() < 0.5 else np.zeros_like(heat))
    found = verdict(alike(1, lambda heat, _: heat), {"all": mostly_empty}, [1, 2, 3, 4])
    assert found["passed"] is False
    assert found["stages"][0]["empty"] > 5
    with pytest.raises(DatasetError, match="nothing can be compared"):
        verdict(alike(1, lambda heat, _: heat), {"all": alike(2, lambda heat, _: heat * 0)}, [1, 2])


def test_unsteady_maps_lower_the_limit():
    shaky = alike(1, lambda heat, rng: heat + rng.random((6, 6), np.float32))
    assert 0.2 < verdict(shaky, {"all": alike(1, lambda heat, _: heat)}, [1])["limit"] < 0.45


def test_every_figure_that_was_measured_gets_a_plot(tmp_path):
    pytest.importorskip("matplotlib", reason="needs the train extra")
    written = plot_heatmap_figures({"randomisation": failed_check(), "not_measured": {}}, tmp_path)
    assert written == [tmp_path / "heatmap_randomisation.png"]
    assert (tmp_path / "heatmap_randomisation.png").stat().st_size > 5000


def test_the_evidence_report_shows_each_plot_under_its_own_name():
    figures = {"randomisation": failed_check(), "not_measured": {}}
    section = limits.heatmaps({"heatmaps": figures})
    assert [block.name for block in section.blocks if isinstance(block, Plot)] == list(heatmap_plots(figures))
    assert "draw no heat map" in section.blocks[0].text


def test_a_map_is_enlarged_as_on_the_overlay():
    large = enlarged(np.array([[0, 1], [0, 0]], np.float32), 8, 8)
    assert large.shape == (8, 8)
    assert np.unravel_index(np.argmax(large), (8, 8))[1] >= 6
