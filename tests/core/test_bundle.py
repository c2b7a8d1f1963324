"""The seal: what is altered, incomplete, too new or unsafe is refused before anything is loaded."""

from __future__ import annotations

import hashlib
import json
import shutil
import zipfile
from pathlib import Path

import pytest

import hemo_core.bundle
from hemo_core.bundle import MANIFEST, canonical, open_bundle, released_bundle, seal
from hemo_core.bundle_zip import pack, unpack
from hemo_core.errors import BundleAltered, BundleError, BundleMissing, BundleSchema, BundleUnsafe


@pytest.fixture
def copy(tiny_bundle: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(tiny_bundle, tmp_path / "copy"))


def flip(path: Path, position: int) -> None:
    data = bytearray(path.read_bytes())
    data[position] ^= 1
    path.write_bytes(data)


def reseal(folder: Path, **changes: object) -> None:
    """Change the manifest and seal it again, as an attacker could."""
    manifest = {**json.loads((folder / MANIFEST).read_text("utf-8")), **changes}
    manifest.pop("seal")
    manifest["seal"] = hashlib.sha256(canonical(manifest)).hexdigest()
    (folder / MANIFEST).write_bytes(canonical(manifest))


def test_a_sealed_bundle_opens_and_describes_itself(tiny_bundle):
    bundle = open_bundle(tiny_bundle)
    assert (bundle.name, bundle.version) == ("tiny", "0.0.1")
    assert bundle.digest == hashlib.sha256((tiny_bundle / MANIFEST).read_bytes()).hexdigest()
    assert bundle.input.height == 64
    assert bundle.scoring.labels == ("hemorrhage",)
    assert bundle.pooled
    assert {"training", "metrics", "parity", "libraries", "onnx", "git_commit", "licence"} <= set(bundle.manifest)


def test_sealing_twice_gives_the_same_digest(copy):
    before = open_bundle(copy)
    assert seal(copy, before.manifest).digest == before.digest


@pytest.mark.parametrize("name", ["cnn.onnx", "sequence.onnx", "head.keras", "model.keras", "MODEL_CARD.md"])
def test_one_flipped_bit_in_a_file_is_refused(copy, name):
    flip(copy / name, 20)
    with pytest.raises(BundleAltered, match=f"{name}: digest .* is not the sealed"):
        open_bundle(copy)


def test_one_flipped_bit_anywhere_in_the_manifest_is_refused(copy):
    sound = (copy / MANIFEST).read_bytes()
    for position in range(0, len(sound), 97):
        flip(copy / MANIFEST, position)
        with pytest.raises(BundleError):
            open_bundle(copy)
        (copy / MANIFEST).write_bytes(sound)


def test_an_edited_threshold_is_refused(copy):
    text = (copy / MANIFEST).read_text("utf-8")
    assert '"threshold": 0.56' in text
    (copy / MANIFEST).write_text(text.replace('"threshold": 0.56', '"threshold": 0.99'), "utf-8")
    with pytest.raises(BundleAltered, match="not what was sealed"):
        open_bundle(copy)


def test_a_missing_file_is_refused(copy):
    (copy / "head.keras").unlink()
    with pytest.raises(BundleMissing, match=r"sealed files are gone: head\.keras"):
        open_bundle(copy)


def test_an_extra_file_is_refused(copy):
    (copy / "notes.txt").write_text("hello", "utf-8")
    with pytest.raises(BundleAltered, match=r"not sealed: notes\.txt"):
        open_bundle(copy)


def test_no_bundle_there(tmp_path):
    with pytest.raises(BundleMissing, match="no such bundle"):
        open_bundle(tmp_path / "nowhere")
    with pytest.raises(BundleMissing, match=r"has no bundle\.json"):
        open_bundle(tmp_path)


def test_a_newer_schema_is_refused_with_advice(copy):
    reseal(copy, schema_version=2)
    with pytest.raises(BundleSchema, match=r"is of schema 2, this version reads 1 \(upgrade hemo-batch\)"):
        open_bundle(copy)


def test_a_malformed_manifest_is_refused(copy):
    (copy / MANIFEST).write_text("{", "utf-8")
    with pytest.raises(BundleSchema, match="is no JSON"):
        open_bundle(copy)


def test_a_malformed_contract_is_refused(copy):
    reseal(copy, scoring={"labels": ["hemorrhage"], "colour": "red"})
    with pytest.raises(BundleSchema, match="contract is malformed"):
        open_bundle(copy)


@pytest.mark.parametrize("name", ["../outside", "/etc/passwd", "a/../../b", "a\\b", "./c"])
def test_a_path_outside_the_bundle_is_refused(copy, name):
    files = json.loads((copy / MANIFEST).read_text("utf-8"))["files"]
    reseal(copy, files={**files, name: {"sha256": "0" * 64, "bytes": 1}})
    with pytest.raises(BundleUnsafe, match="outside the bundle"):
        open_bundle(copy)


@pytest.mark.parametrize("name", ["cnn.onnx", MANIFEST])
def test_a_link_is_refused_even_to_the_right_bytes(copy, tmp_path, name):
    (copy / name).rename(tmp_path / "elsewhere")
    (copy / name).symlink_to(tmp_path / "elsewhere")
    with pytest.raises(BundleUnsafe):
        open_bundle(copy)


@pytest.mark.parametrize(
    ("layer", "message"),
    [
        ({"class_name": "Lambda", "module": "keras.layers"}, "Lambda layer"),
        ({"class_name": "system", "module": "os"}, "foreign module os"),
    ],
)
def test_a_keras_file_that_could_run_code_is_refused(copy, layer, message):
    with zipfile.ZipFile(copy / "head.keras", "w") as archive:
        archive.writestr("config.json", json.dumps({"class_name": "Functional", "config": {"layers": [layer]}}))
    with pytest.raises(BundleUnsafe, match=message):
        seal(copy, json.loads((copy / MANIFEST).read_text("utf-8")))


def test_a_file_swapped_after_opening_is_refused(copy):
    bundle = open_bundle(copy)
    flip(copy / "cnn.onnx", 50)
    with pytest.raises(BundleAltered):
        bundle.read("cnn.onnx")


def test_packed_and_unpacked_it_is_the_same_bundle(tiny_bundle, tmp_path):
    bundle = open_bundle(tiny_bundle)
    first, second = pack(bundle, tmp_path / "a.hemo"), pack(bundle, tmp_path / "b.hemo")
    assert first.read_bytes() == second.read_bytes()
    opened = unpack(first, tmp_path / "cache")
    assert opened.digest == bundle.digest
    assert opened.path == tmp_path / "cache" / bundle.digest
    assert unpack(first, tmp_path / "cache").path == opened.path
    assert [folder.name for folder in (tmp_path / "cache").iterdir()] == [bundle.digest]


def test_a_hemo_file_opens_by_way_of_the_users_cache(tiny_bundle, tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    packed = pack(open_bundle(tiny_bundle), tmp_path / "a.hemo")
    assert open_bundle(packed).path.is_relative_to(tmp_path / "cache")


def test_a_damaged_cache_is_unpacked_again(tiny_bundle, tmp_path):
    packed = pack(open_bundle(tiny_bundle), tmp_path / "a.hemo")
    cached = unpack(packed, tmp_path / "cache").path
    flip(cached / "cnn.onnx", 9)
    assert unpack(packed, tmp_path / "cache").path == cached


def test_a_hemo_file_with_a_stowaway_writes_nothing(tiny_bundle, tmp_path):
    packed = pack(open_bundle(tiny_bundle), tmp_path / "a.hemo")
    with zipfile.ZipFile(packed, "a") as archive:
        archive.writestr("../../evil", "x")
    with pytest.raises(BundleAltered, match="other files than were sealed"):
        unpack(packed, tmp_path / "cache")
    assert not (tmp_path / "cache").exists()


def test_a_hemo_member_longer_than_sealed_is_cut_off(tiny_bundle, tmp_path):
    packed = tmp_path / "bomb.hemo"
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        for file in tiny_bundle.iterdir():
            archive.writestr(file.name, b"\0" * 50_000_000 if file.name == "cnn.onnx" else file.read_bytes())
    with pytest.raises(BundleAltered, match=r"cnn\.onnx is longer than was sealed"):
        unpack(packed, tmp_path / "cache")


def test_a_truncated_hemo_file_is_refused(tiny_bundle, tmp_path):
    packed = pack(open_bundle(tiny_bundle), tmp_path / "a.hemo")
    packed.write_bytes(packed.read_bytes()[:-100])
    with pytest.raises(BundleAltered, match="is damaged, or no bundle"):
        unpack(packed, tmp_path / "cache")


def test_the_newest_released_bundle_is_taken(tmp_path, monkeypatch):
    monkeypatch.setattr(hemo_core.bundle, "__file__", str(tmp_path / "hemo_core" / "bundle.py"))
    with pytest.raises(BundleMissing, match="--bundle"):
        released_bundle()
    for version in ("0.9.0", "0.10.0-rc1", "0.10.0", "0.2.0"):
        folder = tmp_path / "hemo_core" / "released" / f"model-{version}"
        folder.mkdir(parents=True)
        (folder / MANIFEST).write_text("{}", "utf-8")
    assert released_bundle().name == "model-0.10.0"
