"""The parity gate catches what it is there to catch."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest

from hemo_core.bundle import open_bundle
from hemo_core.errors import GatesFailed
from hemo_core.keras_file import load_keras
from hemo_export.parity import Check, check_parity, difference
from hemo_export.parts import take_apart

pytestmark = pytest.mark.skipif(find_spec("tf2onnx") is None, reason="needs the export extra")


def test_a_slightly_different_model_fails_and_every_failure_is_named(tiny_bundle: Path):
    parts = take_apart(load_keras(tiny_bundle / "model.keras"))
    layer = parts.sequence.get_layer("logits")
    kernel, bias = layer.get_weights()
    layer.set_weights([kernel, bias + 0.01])
    with pytest.raises(GatesFailed) as caught:
        check_parity(parts, open_bundle(tiny_bundle))
    assert "14 of 15 comparisons failed" in str(caught.value)  # a bias has no gradient: heat maps stay equal
    assert "logits ragged: 1.00e-02 (limit 1e-04)" in str(caught.value)


def test_what_is_no_number_never_passes():
    nan = np.asarray([np.nan])
    assert difference(nan, nan) == float("inf")
    assert difference(np.zeros(2), np.zeros(3)) == float("inf")
    assert not Check("logits", float("nan"), 1.0).passed


def test_the_limit_itself_fails():
    assert not Check("logits", 1e-4, 1e-4).passed
