"""``hemo-batch bench`` on a tiny model: the three ways run, and their figures hang together."""

from __future__ import annotations

import pytest

from hemo_cli.failure import Exit
from hemo_core.phantoms import PhantomSpec, make_phantom, write_dicom


@pytest.mark.slow
@pytest.mark.tensorflow
def test_the_three_ways_are_timed_in_turns(hemo, tiny_bundle, tmp_path):
    for seed in range(2):
        spec = PhantomSpec(seed, bleed="epidural", bleed_size=0.9, slices=8, spacing_mm=14, rows=128, detail="fast")
        write_dicom(make_phantom(spec), tmp_path / "scans" / str(seed))

    ran = hemo("bench", tmp_path / "scans", "--bundle", tiny_bundle, "--rounds", 2, "--device", "cpu", "--json")

    assert ran.code == Exit.DONE, ran.err
    found = ran.json
    assert (found["scans"], found["slices"]) == (2, 16)
    assert found["explained"] > 0
    assert found["provider"] == "CPUExecutionProvider"
    assert set(found["ways"]) == {"worker", "cnn", "textbook"}
    rate = {way: timing["slices_per_second"] for way, timing in found["ways"].items()}
    assert all(len(timing["seconds"]) == 2 for timing in found["ways"].values())
    assert found["of_ceiling"] == pytest.approx(rate["worker"] / rate["cnn"])
    assert found["times_textbook"] == pytest.approx(rate["worker"] / rate["textbook"])
    assert {"read", "preprocess", "cnn", "sequence", "gradcam", "write"} <= set(found["stage_ms"])


@pytest.mark.tensorflow
def test_nothing_to_score_is_said(hemo, tiny_bundle, tmp_path):
    (tmp_path / "scans").mkdir()
    (tmp_path / "scans" / "broken.dcm").write_bytes(b"")

    ran = hemo("bench", tmp_path / "scans", "--bundle", tiny_bundle)

    assert ran.code == Exit.USAGE
    assert "no scan there can be scored" in ran.err


def test_precisions_are_timed_alone(hemo, tiny_bundle):
    ran = hemo("bench", "--bundle", tiny_bundle, "--precision", "fp32", "--json")

    assert ran.code == Exit.DONE, ran.err
    assert list(ran.json["precisions"]) == ["fp32"]
    assert set(ran.json["precisions"]["fp32"]["ms_per_slice"]) == {"1", "8", "32"}
