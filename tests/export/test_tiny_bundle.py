"""The committed tiny bundle is what ``tests/support/tiny.py`` makes today."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from tiny import phantom_scans, write_bundle

from hemo_core.bundle import Bundle, open_bundle
from hemo_core.inference.scoring import score_scan
from hemo_core.inference.session import Engine

pytestmark = [pytest.mark.slow, pytest.mark.tensorflow]
LEFT_OUT = {"files", "seal", "libraries", "gates", "parity", "variants"}
"""What differs from one machine, or one set of libraries, to the next."""


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    return write_bundle(tmp_path_factory.mktemp("made"))


def probabilities(bundle: Bundle) -> list[float]:
    engine = Engine(bundle, device="cpu", precision="fp32", threads=1)
    logits = (engine.sequence(engine.cnn(scan).embeddings) for scan in phantom_scans(range(6))[0])
    return [score_scan(found, bundle.scoring).probability for found in logits]


def test_both_score_the_same_phantoms_the_same(made: Bundle, tiny_bundle: Path):
    found = probabilities(open_bundle(tiny_bundle))

    np.testing.assert_allclose(found, probabilities(made), atol=1e-3)
    assert np.ptp(found) > 0.1


def test_both_hold_the_same_files_and_say_the_same(made: Bundle, tiny_bundle: Path):
    committed = open_bundle(tiny_bundle)

    assert set(committed.content["files"]) == set(made.content["files"])
    for key in set(made.content) - LEFT_OUT:
        assert committed.content[key] == made.content[key], key


def test_it_is_small_enough_to_be_committed(tiny_bundle: Path):
    assert sum(path.stat().st_size for path in tiny_bundle.rglob("*") if path.is_file()) < 300_000
