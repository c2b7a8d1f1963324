"""``hemo-batch bundle`` on a real, tiny bundle."""

from __future__ import annotations

import shutil

from hemo_cli.failure import Exit


def test_show_says_what_decides_a_label(hemo, tiny_bundle):
    shown = hemo("bundle", "show", tiny_bundle, "--json")

    assert shown.code == Exit.DONE
    assert shown.json["scoring"]["findings"][0]["name"] == "hemorrhage"
    assert 0 < shown.json["scoring"]["findings"][0]["threshold"] < 1
    told = hemo("bundle", "show", tiny_bundle).out
    assert "threshold" in told
    assert "their quality was not measured" in told


def test_verify_accepts_what_was_sealed(hemo, tiny_bundle):
    ran = hemo("bundle", "verify", tiny_bundle, "--json")

    assert ran.code == Exit.DONE
    assert ran.json["verified"] is True
    assert len(ran.json["digest"]) == 64


def test_verify_refuses_an_altered_bundle(hemo, tiny_bundle, tmp_path):
    copy = tmp_path / "copy"
    shutil.copytree(tiny_bundle, copy)
    with (copy / "cnn.onnx").open("r+b") as graph:
        graph.seek(100)
        graph.write(b"\0")

    ran = hemo("bundle", "verify", copy)

    assert ran.code == Exit.BUNDLE
    assert "bundle_altered" in ran.err
    assert "cnn.onnx" in ran.err


def test_a_packed_bundle_is_the_same_bundle(hemo, tiny_bundle, tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))

    packed = hemo("bundle", "pack", tiny_bundle, tmp_path / "tiny.hemo", "--json")

    assert packed.code == Exit.DONE
    digests = [hemo("bundle", "verify", path, "--json").json["digest"] for path in (tiny_bundle, packed.json["path"])]
    assert digests[0] == digests[1]


def test_a_path_without_a_bundle_is_refused(hemo, tmp_path):
    ran = hemo("bundle", "show", tmp_path / "nothing", "--json")

    assert ran.code == Exit.BUNDLE
    assert ran.json["error"]["code"] == "bundle_missing"
