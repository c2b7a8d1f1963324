"""The seal: what is altered, incomplete, too new or unsafe is refused before anything is loaded."""

from __future__ import annotations

import hashlib
import json
import random
import shutil
import zipfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hollow import flip, reseal, write_hollow, write_keras

import hemo_core
from hemo_core.bundle import HEAD, MANIFEST, Bundle, canonical, open_bundle, released_bundle, seal
from hemo_core.bundle.archive import pack, unpack
from hemo_core.bundle.findings import named
from hemo_core.bundle.keras import load_sealed
from hemo_core.bundle.manifest import parse_manifest
from hemo_core.errors import BundleAltered, BundleCode, BundleError, BundleMissing, BundlePath, BundleSchema
from hemo_core.inference.scoring import score_scan
from hemo_core.inference.session import Engine
from hemo_core.records import encode


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """A bundle of its own for every test. It holds no model; nothing here loads one."""
    return write_hollow(tmp_path / "copy").path


def test_a_sealed_bundle_opens_and_describes_itself(tiny_bundle):
    bundle = open_bundle(tiny_bundle)
    assert (bundle.name, bundle.version) == ("tiny", "0.0.1")
    assert bundle.digest == hashlib.sha256((tiny_bundle / MANIFEST).read_bytes()).hexdigest()
    assert bundle.input.height == 64
    assert bundle.scoring.names == ("hemorrhage",)
    assert bundle.pooled
    assert {"training", "metrics", "parity", "libraries", "onnx", "git_commit", "licence"} <= set(bundle.content)


def test_sealing_twice_gives_the_same_digest(copy):
    before = open_bundle(copy)
    assert seal(copy, before.content).digest == before.digest


def test_one_flipped_bit_in_any_file_is_refused(tiny_bundle, tmp_path):
    copy = shutil.copytree(tiny_bundle, tmp_path / "copy")
    names = list(open_bundle(copy).content["files"])
    assert {"cnn.onnx", "sequence.onnx", "head.keras", "model.keras", "MODEL_CARD.md"} <= set(names)
    for name in names:
        sound = (copy / name).read_bytes()
        for position in (0, len(sound) // 2, len(sound) - 1):
            flip(copy / name, position)
            with pytest.raises(BundleAltered, match=f"{name}: digest .* is not the sealed"):
                open_bundle(copy)
            (copy / name).write_bytes(sound)
    open_bundle(copy)


def test_one_flipped_bit_anywhere_in_the_manifest_is_refused(copy):
    sound = (copy / MANIFEST).read_bytes()
    for position in range(len(sound)):
        altered = bytearray(sound)
        altered[position] ^= 1 << position % 8
        with pytest.raises(BundleError):
            parse_manifest(bytes(altered), MANIFEST)


def test_an_edited_threshold_is_refused(copy):
    text = (copy / MANIFEST).read_text("utf-8")
    assert '"threshold": 0.5' in text
    (copy / MANIFEST).write_text(text.replace('"threshold": 0.5', '"threshold": 0.9'), "utf-8")
    with pytest.raises(BundleAltered, match="not what was sealed"):
        open_bundle(copy)


def test_no_bundle_there(tmp_path):
    with pytest.raises(BundleMissing, match="no such bundle"):
        open_bundle(tmp_path / "nowhere")
    with pytest.raises(BundleMissing, match=r"has no bundle\.json"):
        open_bundle(tmp_path)


def test_a_malformed_contract_is_refused(copy):
    finding = encode(named("hemorrhage", "primary"))
    for findings, said in (
        ([], "exactly one finding is primary, not 0"),
        ([finding, finding], "findings of one name"),
        ([{**finding, "role": "detail"}], "exactly one finding is primary, not 0"),
        ([{**finding, "threshold": "high"}], r"findings\[0\]\.threshold"),
        ([{**finding, "temperature": 0.0}], "temperature 0"),
        ([{**finding, "name": "review"}], "cannot be called 'review'"),
        ([{key: value for key, value in finding.items() if key != "threshold"}], "threshold"),
    ):
        reseal(copy, scoring={"beta": 1.0, "findings": findings})
        with pytest.raises(BundleSchema, match=f"malformed bundle.json: .*{said}"):
            open_bundle(copy)


def test_a_bundle_of_schema_1_scores_as_it_did(copy):
    """It had one temperature and one threshold for all labels, the first of which decided."""
    shared = {"temperature": 0.689015, "threshold": 0.137109}
    scoring = {"beta": 4.0, "labels": ["hemorrhage", "left_sided"], **shared}
    reseal(copy, schema_version=1, labels=scoring["labels"], scoring=scoring)
    opened = open_bundle(copy).scoring
    assert (opened.names, opened.beta, opened.channel) == (("hemorrhage", "left_sided"), 4.0, 0)
    assert [(one.temperature, one.threshold) for one in opened.findings] == [(0.689015, 0.137109)] * 2
    assert [(one.text, one.snomed_code) for one in opened.findings] == [("hemorrhage", "1386000"), ("left sided", None)]
    assert score_scan([[-1.0, 9.0], [0.5, 9.0]], opened).probability == 0.6726710179444655


def test_a_field_that_a_newer_version_added_is_ignored(copy):
    finding = {**encode(named("hemorrhage", "primary")), "colour": "red"}
    reseal(copy, scoring={"beta": 1.0, "findings": [finding], "gamma": 2.0})
    assert open_bundle(copy).scoring.threshold == 0.5


def test_a_length_that_is_not_the_files_is_refused(copy):
    files = json.loads((copy / MANIFEST).read_text("utf-8"))["files"]
    reseal(copy, files={**files, HEAD: {**files[HEAD], "bytes": 1}})
    with pytest.raises(BundleSchema, match="states another length than it has"):
        open_bundle(copy)


@pytest.mark.parametrize(
    "raw",
    [b"", b"[]", b"nonsense", b"\xff", b"[" * 100_000, b'{"schema_version": NaN}', b'{"schema_version": Infinity}'],
)
def test_whatever_is_no_json_object_is_malformed(raw):
    with pytest.raises(BundleError) as caught:
        parse_manifest(raw, MANIFEST)
    assert caught.value.code == "bundle_malformed"


@pytest.mark.parametrize("member", ['"metrics": 1e999', '"metrics": "\\ud800"', '"metrics": 1, "metrics": 1'])
def test_what_has_no_canonical_spelling_is_refused(member):
    with pytest.raises(BundleError):
        parse_manifest(f'{{{member}, "schema_version": 1}}'.encode(), MANIFEST)


@pytest.mark.parametrize(
    "name", ["../outside", "/etc/passwd", "a/../../b", "a\\b", "./c", "a//b", "a/", "", "a\n", "x" * 256, "cnn.onnx/x"]
)
def test_a_path_outside_the_bundle_is_refused(copy, name):
    files = json.loads((copy / MANIFEST).read_text("utf-8"))["files"]
    reseal(copy, files={**files, name: {"sha256": "0" * 64, "bytes": 1}})
    with pytest.raises(BundlePath, match="outside the bundle"):
        open_bundle(copy)


@pytest.mark.parametrize("name", ["cnn.onnx", MANIFEST])
def test_a_link_is_refused_even_to_the_right_bytes(copy, tmp_path, name):
    (copy / name).rename(tmp_path / "elsewhere")
    (copy / name).symlink_to(tmp_path / "elsewhere")
    with pytest.raises(BundleError) as caught:
        open_bundle(copy)
    assert caught.value.code == "bundle_link"


@pytest.mark.parametrize(
    ("layer", "message"),
    [
        ({"class_name": "Lambda", "module": "keras.layers"}, "Lambda layer"),
        ({"class_name": "layers.Lambda", "module": "keras"}, "Lambda layer"),
        ({"class_name": "Dense", "module": "keras.layers", "registered_name": "keras>Lambda"}, "Lambda layer"),
        ({"class_name": "__lambda__", "config": {"value": ["", None, None]}}, "__lambda__ layer"),
        ({"class_name": "system", "module": "os"}, "foreign module os"),
        (
            {"class_name": "function", "module": "hemo_core.bundle.archive", "config": "unpack"},
            "foreign module hemo_core",
        ),
        ({"class_name": "get_file", "module": "keras.utils"}, "no part of a model"),
        ({"class_name": "utils.get_file", "module": "keras"}, "no part of a model"),
        ({"class_name": "enable_unsafe_deserialization", "module": "keras.config"}, "no part of a model"),
        ({"class_name": "Dense", "module": ["keras"]}, "foreign module"),
    ],
)
def test_a_keras_file_that_could_run_code_is_refused(copy, layer, message):
    write_keras(copy / HEAD, layer)
    with pytest.raises(BundleCode, match=message):
        seal(copy, json.loads((copy / MANIFEST).read_text("utf-8")))


@pytest.mark.parametrize("config", [b"{", b"[" * 100_000, b"\xff"])
def test_a_keras_file_that_cannot_be_read_is_refused(copy, config):
    with zipfile.ZipFile(copy / HEAD, "w") as archive:
        archive.writestr("config.json", config)
    with pytest.raises(BundleError, match=r"no readable \.keras file"):
        seal(copy, json.loads((copy / MANIFEST).read_text("utf-8")))


def variant(released: bool = True, **changes: Any) -> dict[str, Any]:
    return {"cnn": "cnn.onnx", "sequence": "sequence.onnx", "released": released, **changes}


def test_variants_that_are_sealed_or_say_why_they_are_not_are_read(copy):
    failed = {"released": False, "reason": "12 % of the labels flip", "gates": {}}
    reseal(copy, variants={"fp32": variant(), "fp16": variant(benchmark={}), "int8": failed})
    assert open_bundle(copy).content["variants"]["int8"]["reason"].startswith("12 %")


@pytest.mark.parametrize(
    ("variants", "message"),
    [
        ([], r"expected `object`, got `array` - at `\$\.variants`"),
        ({"fp32": 1}, "expected `object`, got `int`"),
        ({"fp32": variant(), "fp8": variant()}, "invalid enum value 'fp8'"),
        ({"fp32": variant(), "fp16": variant(cnn="cnn.fp16.onnx")}, "fp16 names no sealed file as cnn"),
        ({"fp32": variant(), "fp16": variant(sequence=None)}, r"got `null` - at `\$\.variants\[\.\.\.\]\.sequence`"),
        ({"fp32": variant(), "fp16": {"cnn": "cnn.onnx"}}, "missing required field `released`"),
        ({"fp32": variant(), "int8": variant(released=False)}, "does not say why"),
        ({"fp16": variant()}, r"fp32 is not cnn\.onnx and sequence\.onnx"),
        ({"fp32": variant(released=False, reason="slow")}, r"fp32 is not cnn\.onnx"),
        ({"fp32": variant(cnn="MODEL_CARD.md")}, r"fp32 is not cnn\.onnx"),
    ],
)
def test_malformed_variants_are_refused(copy, variants, message):
    reseal(copy, variants=variants)
    with pytest.raises(BundleSchema, match=message):
        open_bundle(copy)


def test_a_file_swapped_after_opening_is_refused(copy):
    bundle = open_bundle(copy)
    flip(copy / "cnn.onnx", 5)
    with pytest.raises(BundleAltered):
        bundle.read("cnn.onnx")
    flip(copy / HEAD, 5)
    with pytest.raises(BundleAltered):
        load_sealed(bundle, HEAD)


def test_packed_and_unpacked_it_is_the_same_bundle(copy, tmp_path):
    bundle = open_bundle(copy)
    first, second = pack(bundle, tmp_path / "a.hemo"), pack(bundle, tmp_path / "b.hemo")
    assert first.read_bytes() == second.read_bytes()
    opened = unpack(first, tmp_path / "cache")
    assert opened.digest == bundle.digest
    assert opened.path == tmp_path / "cache" / bundle.digest
    assert unpack(first, tmp_path / "cache").path == opened.path
    assert [folder.name for folder in (tmp_path / "cache").iterdir()] == [bundle.digest]


def test_a_hemo_file_opens_by_way_of_the_users_cache(copy, tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    packed = pack(open_bundle(copy), tmp_path / "a.hemo")
    assert open_bundle(packed).path.is_relative_to(tmp_path / "cache")


def test_a_damaged_cache_is_unpacked_again(copy, tmp_path):
    packed = pack(open_bundle(copy), tmp_path / "a.hemo")
    cached = unpack(packed, tmp_path / "cache").path
    flip(cached / "cnn.onnx", 9)
    assert unpack(packed, tmp_path / "cache").path == cached


def test_a_cached_copy_that_was_replaced_by_another_sound_bundle_is_unpacked_again(copy, tmp_path):
    packed = pack(open_bundle(copy), tmp_path / "a.hemo")
    cached = unpack(packed, tmp_path / "cache")
    reseal(cached.path, version="6.6.6")
    assert unpack(packed, tmp_path / "cache").digest == cached.digest


def test_an_unsafe_hemo_file_writes_nothing(copy, tmp_path):
    packed = pack(open_bundle(copy), tmp_path / "a.hemo")
    with zipfile.ZipFile(packed, "a") as archive:
        archive.writestr("../../evil", "x")
    with pytest.raises(BundlePath):
        unpack(packed, tmp_path / "cache")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.hemo", "copy"]


def test_a_hemo_member_of_another_length_than_sealed_is_refused(copy, tmp_path):
    packed = repack(open_bundle(copy), tmp_path, {"cnn.onnx": b"longer than was sealed!"})
    with pytest.raises(BundleAltered, match=r"cnn\.onnx has 23 bytes, not the sealed 22"):
        unpack(packed, tmp_path / "cache")
    assert not (tmp_path / "cache").exists()


def test_no_altered_byte_of_a_hemo_file_gets_through(copy, tmp_path):
    bundle = open_bundle(copy)
    sound = pack(bundle, tmp_path / "a.hemo").read_bytes()
    dice, passed = random.Random(1), 0  # noqa: S311 - no secret
    for _ in range(400):
        altered = bytearray(sound)
        altered[dice.randrange(len(sound))] ^= 1 << dice.randrange(8)
        (tmp_path / "b.hemo").write_bytes(altered)
        try:
            found = unpack(tmp_path / "b.hemo", tmp_path / "cache")
        except BundleError:
            continue
        finally:
            shutil.rmtree(tmp_path / "cache", ignore_errors=True)
        passed += 1  # a time stamp, say: nothing that reaches the bundle
        assert found.digest == bundle.digest
    assert passed < 200


def test_a_truncated_hemo_file_is_refused(copy, tmp_path):
    packed = pack(open_bundle(copy), tmp_path / "a.hemo")
    sound = packed.read_bytes()
    for length in range(0, len(sound), 61):
        packed.write_bytes(sound[:length])
        with pytest.raises(BundleAltered, match="is damaged, or no bundle"):
            unpack(packed, tmp_path / "cache")


def repack(bundle: Bundle, folder: Path, changes: dict[str, bytes]) -> Path:
    """A ``.hemo`` file with other content than its ``bundle.json`` says."""
    packed = folder / "repacked.hemo"
    with zipfile.ZipFile(packed, "w") as archive:
        for name in (MANIFEST, *bundle.content["files"]):
            archive.writestr(name, changes.get(name, (bundle.path / name).read_bytes()))
    return packed


def test_the_newest_released_bundle_is_taken(tmp_path, monkeypatch):
    monkeypatch.setattr(hemo_core, "__file__", str(tmp_path / "hemo_core" / "__init__.py"))
    with pytest.raises(BundleMissing, match="--bundle"):
        released_bundle()
    for version in ("0.9.0", "0.10.0-rc1", "0.10.0", "0.2.0"):
        folder = tmp_path / "hemo_core" / "released" / f"model-{version}"
        folder.mkdir(parents=True)
        (folder / MANIFEST).write_text("{}", "utf-8")
    assert released_bundle().name == "model-0.10.0"


def test_the_released_bundle_in_its_old_form_opens_and_scores_the_same(tmp_path):
    """Its weights were not touched: from version 2 the very manifest of version 1 can be written."""
    newest = open_bundle(released_bundle())
    (finding,) = newest.scoring.findings
    scoring = {"beta": newest.scoring.beta, "labels": [finding.name]}
    scoring |= {"temperature": finding.temperature, "threshold": finding.threshold}
    content = {**newest.content, "schema_version": 1, "labels": [finding.name], "scoring": scoring}
    folder = Path(shutil.copytree(newest.path, tmp_path / "old"))
    seal_1 = "d499512a2457dc8b5a843004e52dc1da970f5b5a2ad44821f3ccd48c349e9b35"
    (folder / MANIFEST).write_bytes(canonical({**content, "seal": seal_1}))
    oldest = open_bundle(folder)
    assert oldest.scoring == replace(newest.scoring, findings=(replace(finding, auc=None),))
    slices = np.random.default_rng(0).random((5, 160, 160, 1), np.float32)
    scores = []
    for bundle in (oldest, newest):
        engine = Engine(bundle, device="cpu", threads=1)
        scores.append(score_scan(engine.sequence(engine.cnn(slices).embeddings), bundle.scoring))
    assert scores[0].probability == scores[1].probability
    assert scores[0].label == scores[1].label
