"""The randomisation check on real networks."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from findings import one_finding

from hemo_core.bundle import open_bundle
from hemo_core.bundle.contract import InputContract
from hemo_core.bundle.keras import quiet_tensorflow
from hemo_core.phantoms import PhantomSpec, make_phantom
from hemo_trainer.config import Architecture
from hemo_trainer.datasets.hemorrhage import HEMORRHAGE
from hemo_trainer.datasets.record import SliceRecord
from hemo_trainer.heatmap_quality.cascade import Cascade, stages_of
from hemo_trainer.heatmap_quality.examples import example_phantom, plot_forgetting
from hemo_trainer.heatmap_quality.measure import HeatmapPlan, measure_bundle, measure_heatmaps
from hemo_trainer.heatmap_quality.subject import KerasModels, NetworkSubject
from hemo_trainer.network.model import Network, build_network, build_sequence

pytestmark = pytest.mark.tensorflow
CONTRACT = InputContract(height=64, width=64)
PLAN = HeatmapPlan(steps=4, random_orders=1, occluded=6, checked=12, checked_patients=4, seeds=(1, 2))


@pytest.fixture(scope="module")
def network() -> Network:
    quiet_tensorflow()
    return build_network(CONTRACT, 1, Architecture(cnn="residual", stem=8, stages=(8, 12, 16), lstm=8, gru=8, dense=16))


def edge_detector() -> Network:
    """A network whose maps show the picture and nothing it learned: its only feature is a fixed filter's answer."""
    quiet_tensorflow()
    import keras

    from hemo_core.bundle.keras_layers import PerSlice

    picture = keras.Input((64, 64, 1))
    cnn = keras.Model(picture, keras.layers.AveragePooling2D(8)(picture), name="cnn")
    sequence = build_sequence(1, 1, Architecture(lstm=4, gru=4, dense=8))
    maps = keras.Input((None, 8, 8, 1), name="features")
    head = keras.Model(maps, sequence(keras.ops.mean(maps, axis=(2, 3))), name="head")
    slices = keras.Input((None, 64, 64, 1), name="slices")
    return Network(cnn, sequence, head, keras.Model(slices, head(PerSlice(cnn, name="per_slice")(slices))))


def phantoms(patients: int) -> tuple[list[tuple[SliceRecord, ...]], Callable[[SliceRecord], np.ndarray]]:
    """Series whose slices all count as bleeding, so that each is explained; and the picture of each slice."""
    pixels, _ = example_phantom(CONTRACT)
    series, found = [], {}
    for patient in range(patients):
        records = tuple(
            SliceRecord("phantom", str(patient), at, Path(f"{patient}-{at}.png"), {HEMORRHAGE: 1}) for at in range(4)
        )
        found |= {record.path: pixels[(4 + patient + at) % len(pixels)] for at, record in enumerate(records)}
        series.append(records)
    return series, lambda record: found[record.path]


def test_each_stage_forgets_more_and_the_model_itself_nothing(network):
    before = [weights.copy() for weights in network.model.get_weights()]
    cascade = Cascade(KerasModels(network.cnn, network.head, pooled=True))
    assert [stage.name for stage in cascade.stages] == [
        *("logits", "dense", "bi_gru", "bi_lstm", "stage2", "stage1", "stage0", "stem"),
    ]
    names = {layer for stage in cascade.stages for layer in stage.layers}
    assert names == {layer.name for part in (network.cnn, network.sequence) for layer in part.layers if layer.weights}
    changed = []
    for _ in cascade.forget(seed=3):
        now = [*cascade.head.get_weights(), *cascade.cnn.get_weights()]
        old = [*network.head.get_weights(), *network.cnn.get_weights()]
        changed.append(sum(not np.array_equal(*pair) for pair in zip(now, old, strict=True)))
    assert changed == sorted(changed)
    assert changed[0] >= 1
    assert changed[-1] > 15  # every kernel; untrained biases are as they were
    assert all(np.array_equal(*pair) for pair in zip(before, network.model.get_weights(), strict=True))
    cascade.restore()
    kept = cascade.cnn.get_weights()
    assert all(np.array_equal(*pair) for pair in zip(kept, network.cnn.get_weights(), strict=True))


def test_a_seed_forgets_the_same_way_twice(network):
    cascade = Cascade(KerasModels(network.cnn, network.head, pooled=True))

    def forgotten(seed: int) -> np.ndarray:
        list(cascade.forget(seed))
        return np.concatenate([weights.ravel() for weights in cascade.head.get_weights()])

    first = forgotten(1)
    assert np.array_equal(first, forgotten(1))
    assert not np.array_equal(first, forgotten(2))


def test_a_cnn_of_many_layers_is_forgotten_in_few_stages():
    quiet_tensorflow()
    import keras

    cnn = keras.Sequential(
        [keras.Input((8, 8, 1)), *(keras.layers.Conv2D(1, 1, name=f"l{at}_conv") for at in range(20))]
    )
    head = edge_detector().head
    stages = [stage for stage in stages_of(cnn, head) if stage.part == "cnn"]
    assert len(stages) <= 6
    assert [layer for stage in stages for layer in stage.layers] == [f"l{at}_conv" for at in reversed(range(20))]


def test_maps_that_show_the_picture_and_not_the_model_fail(tmp_path):
    network = edge_detector()
    series, pixels_of = phantoms(4)
    scoring = one_finding(threshold=0.0)
    plan = replace(PLAN, seeds=tuple(range(1, 13)))  # about every other one turns the sign, and leaves nothing to draw
    for sign in (1, -1):  # one of the two signs draws maps, whatever the weights
        weights = network.sequence.get_layer("logits").get_weights()
        network.sequence.get_layer("logits").set_weights([sign * np.abs(weights[0]), weights[1]])
        found = measure_heatmaps([(NetworkSubject(network), series)], pixels_of, scoring, CONTRACT, plan=plan)
        if "randomisation" in found:
            break
    check = found["randomisation"]
    assert check["stages"][-1]["spearman"]["value"] == 1.0
    assert check["stages"][-1]["empty"] > 0
    assert check["passed"] is False
    plot_forgetting(NetworkSubject(network).keras_models(), CONTRACT, tmp_path / "forgetting.png")
    assert (tmp_path / "forgetting.png").stat().st_size > 5000


def test_a_bundle_is_measured_as_its_network_is(tiny_bundle):
    bundle = open_bundle(tiny_bundle)
    series, pixels_of = phantoms(3)
    found = measure_bundle(bundle, series, pixels_of, device="cpu", plan=PLAN)
    assert found["slices"] == 12
    assert set(found["not_measured"]) <= {"pointing_game", "energy_in_box", "deletion", "insertion", "randomisation"}


def test_the_phantom_of_the_examples_bleeds():
    assert make_phantom(PhantomSpec(21, bleed="intraparenchymal", slices=4, rows=64, detail="fast")).bleeds
    pixels, chosen = example_phantom(CONTRACT)
    assert pixels.shape == (12, 64, 64, 1)
    assert 0 < chosen < 12
