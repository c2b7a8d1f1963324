"""The CNN that begins with ImageNet weights: they are in the right places, and the frozen ones stay."""

import numpy as np
import pytest

from hemo_core.bundle.contract import InputContract
from hemo_trainer.config import Architecture, FitConfig
from hemo_trainer.network.model import start_network

pytestmark = [pytest.mark.tensorflow, pytest.mark.usefixtures("step_by_step")]
CONTRACT = InputContract(height=64, width=64)
ARCHITECTURE = Architecture(cnn="lite0", top=8, frozen=2, lstm=3, gru=2, dense=4)


def test_a_grey_picture_meets_the_same_features_as_in_the_network_the_weights_come_from():
    import keras

    rows, columns = np.mgrid[:64, :64]
    picture = ((columns * 3 + rows * 5) % 64 / 63).astype(np.float32)[None, ..., None]
    cnn = start_network(CONTRACT, 1, ARCHITECTURE).cnn
    found = keras.Model(cnn.input, cnn.get_layer("block10_add").output).predict_on_batch(picture)
    assert found.shape == (1, 4, 4, 112)
    # efficientnet_lite_pytorch 0.1.0 in PyTorch 2.13, the picture as red, green and blue, after its eleventh block.
    expected = [12.1122, 3.3422, 10.5724, 1.1595, 23.0769, 2.0164]
    np.testing.assert_allclose(found[0, 1, 2, :6], expected, rtol=1e-3, atol=1e-3)


def test_several_windows_of_one_picture_meet_the_features_of_one():
    three = InputContract(height=64, width=64, windows=CONTRACT.windows * 3)
    picture = np.random.default_rng(0).random((1, 64, 64, 1), np.float32)
    stems = []
    for contract, channels in ((CONTRACT, 1), (three, 3)):
        cnn = start_network(contract, 1, ARCHITECTURE).cnn
        stem = cnn.get_layer("stem_conv")
        stems.append(np.asarray(stem(picture.repeat(channels, axis=-1))))
    np.testing.assert_allclose(stems[0], stems[1], atol=1e-5)


def test_training_moves_the_later_stages_and_leaves_the_frozen_ones():
    from hemo_trainer.network.training_graph import training_model

    network = start_network(CONTRACT, 1, ARCHITECTURE)
    model = training_model(network, FitConfig(epochs=1, steps=1, warmup=0))
    before = {layer.name: layer.get_weights() for layer in network.cnn.layers if layer.weights}
    rng = np.random.default_rng(1)
    inputs = {
        "slices": rng.random((4, 64, 64, 1), np.float32),
        "index": np.array([[0, 1], [2, 3]], np.int32),
        "mask": np.ones((2, 2), np.bool_),
        "place": np.arange(4, dtype=np.int32),
    }
    slices, scans = np.array([[0], [1], [1], [0]], np.float32), np.ones((2, 1), np.float32)
    targets = {"slice": slices, "aux": slices, "scan": scans}
    model.train_on_batch(inputs, targets)
    moved = {
        name
        for name, weights in before.items()
        if not all(map(np.array_equal, weights, network.cnn.get_layer(name).get_weights()))
    }
    frozen = {name for name in before if name.startswith(("stem_", "block0_", "block1_", "block2_"))}
    assert frozen
    assert not moved & frozen
    assert moved == set(before) - frozen
