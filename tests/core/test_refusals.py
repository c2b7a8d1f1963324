"""Every code with which a bundle is refused, and a bundle that is refused with it."""

from __future__ import annotations

import json
import stat
import warnings
import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path
from types import MappingProxyType

import pytest
from hollow import flip, reseal, reseal_files, write_hollow, write_keras

from hemo_core.bundle import CNN, HEAD, MANIFEST, SIGNATURE, open_bundle
from hemo_core.bundle.archive import pack, unpack
from hemo_core.bundle.keys import PublicKey, make_pair, read_private_key
from hemo_core.bundle.sign import sign_bundle
from hemo_core.bundle.signatures import Signature
from hemo_core.errors import BundleError, BundleUntrusted, all_errors

ABSTRACT = {"bundle_refused", "bundle_untrusted"}
NOT_OF_THE_SEAL = {"precision_refused", "head_unknown"}
MIB = 1024 * 1024


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return write_hollow(tmp_path / "hollow").path


def manifest_of(folder: Path) -> dict[str, object]:
    return dict(json.loads((folder / MANIFEST).read_text("utf-8")))


def missing(folder: Path) -> None:
    (folder / MANIFEST).unlink()


def incomplete(folder: Path) -> None:
    (folder / HEAD).unlink()


def altered(folder: Path) -> None:
    flip(folder / CNN, 7)


def stowaway(folder: Path) -> None:
    (folder / "evidence" / "notes.txt").write_text("hello", "utf-8")


def malformed(folder: Path) -> None:
    (folder / MANIFEST).write_text('{"name": ', "utf-8")


def newer(folder: Path) -> None:
    (folder / MANIFEST).write_text('{"schema_version": 3, "spelt": "otherwise"}', "utf-8")


def schema(folder: Path) -> None:
    reseal(folder, scoring={"labels": ["hemorrhage"], "colour": "red"})


def lambda_layer(folder: Path) -> None:
    write_keras(folder / HEAD, {"class_name": "Lambda", "module": "keras.layers"})
    reseal_files(folder)


def no_keras_file(folder: Path) -> None:
    (folder / HEAD).write_bytes(b"no zip at all")
    reseal_files(folder)


def outside(folder: Path) -> None:
    reseal(folder, files={**manifest_of(folder)["files"], "../passwd": {"sha256": "0" * 64, "bytes": 1}})  # type: ignore[dict-item]


def link(folder: Path) -> None:
    (folder / CNN).rename(folder.parent / "elsewhere")
    (folder / CNN).symlink_to(folder.parent / "elsewhere")


def bomb(folder: Path) -> None:
    with zipfile.ZipFile(folder / HEAD, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("config.json", "{}")
        archive.writestr("model.weights.h5", bytes(32 * MIB))
    reseal_files(folder)


def duplicate(folder: Path) -> None:
    with zipfile.ZipFile(folder / HEAD, "a") as archive, pytest.warns(UserWarning, match="Duplicate name"):
        archive.writestr("config.json", "{}")
    reseal_files(folder)


FOLDERS: Mapping[str, Callable[[Path], None]] = MappingProxyType(
    {
        "bundle_missing": missing,
        "bundle_incomplete": incomplete,
        "bundle_altered": altered,
        "bundle_stowaway": stowaway,
        "bundle_malformed": malformed,
        "bundle_newer": newer,
        "bundle_schema": schema,
        "bundle_code": lambda_layer,
        "bundle_unsafe": no_keras_file,
        "bundle_path": outside,
        "bundle_link": link,
        "bundle_bomb": bomb,
        "bundle_duplicate": duplicate,
    }
)


@pytest.mark.parametrize(("code", "spoil"), FOLDERS.items(), ids=FOLDERS)
def test_a_folder_is_refused_with_its_own_code(folder, code, spoil):
    spoil(folder)
    with pytest.raises(BundleError) as caught:
        open_bundle(folder)
    assert caught.value.code == code
    assert caught.value.exit_code == 4
    assert caught.value.path


def add(packed: Path, name: str, content: bytes = b"x", mode: int = 0o644) -> None:
    info = zipfile.ZipInfo(name)
    info.external_attr = mode << 16
    with zipfile.ZipFile(packed, "a", zipfile.ZIP_DEFLATED) as archive, warnings.catch_warnings(action="ignore"):
        archive.writestr(info, content, zipfile.ZIP_DEFLATED)


def rebuilt(packed: Path, without: str, method: int = zipfile.ZIP_DEFLATED) -> None:
    """The same zip without one member, or packed with another method."""
    with zipfile.ZipFile(packed) as archive:
        members = {name: archive.read(name) for name in archive.namelist() if name != without}
    with zipfile.ZipFile(packed, "w", method) as archive:
        for name, content in members.items():
            archive.writestr(name, content)


def declared_encrypted(packed: Path) -> None:
    data = bytearray(packed.read_bytes())
    data[data.rindex(b"PK\x01\x02") + 8] |= 1  # flags of the last member in the central directory (APPNOTE 4.3.12)
    packed.write_bytes(data)


def replaced(packed: Path, name: str, content: bytes) -> None:
    rebuilt(packed, name)
    add(packed, name, content)


ARCHIVES: tuple[tuple[str, str, Callable[[Path], None]], ...] = (
    ("zip-slip", "bundle_path", lambda packed: add(packed, "../../evil")),
    ("an absolute path", "bundle_path", lambda packed: add(packed, "/tmp/evil")),  # noqa: S108
    ("a backslash", "bundle_path", lambda packed: add(packed, "..\\evil")),
    ("a symbolic link", "bundle_link", lambda packed: add(packed, "link", b"/etc/passwd", stat.S_IFLNK | 0o777)),
    ("a device", "bundle_link", lambda packed: add(packed, "null", b"", stat.S_IFCHR | 0o666)),
    ("two files of one name", "bundle_duplicate", lambda packed: add(packed, CNN)),
    ("two bundle.json", "bundle_duplicate", lambda packed: add(packed, MANIFEST, b"{}")),
    ("a bomb by ratio", "bundle_bomb", lambda packed: add(packed, "zeros", bytes(32 * MIB))),
    ("a stowaway", "bundle_stowaway", lambda packed: add(packed, "notes.txt")),
    ("a folder of its own", "bundle_stowaway", lambda packed: add(packed, "empty/", b"")),
    ("a missing file", "bundle_incomplete", lambda packed: rebuilt(packed, HEAD)),
    ("no bundle.json", "bundle_missing", lambda packed: rebuilt(packed, MANIFEST)),
    ("malformed JSON", "bundle_malformed", lambda packed: replaced(packed, MANIFEST, b"{")),
    ("a newer schema", "bundle_newer", lambda packed: replaced(packed, MANIFEST, b'{"schema_version": 3}')),
    ("another length", "bundle_altered", lambda packed: replaced(packed, CNN, b"short")),
    ("another packing method", "bundle_unsafe", lambda packed: rebuilt(packed, "", zipfile.ZIP_BZIP2)),
    ("an encrypted member", "bundle_unsafe", declared_encrypted),
    ("no zip", "bundle_damaged", lambda packed: packed.write_bytes(b"PK no zip")),
    ("a torn zip", "bundle_damaged", lambda packed: packed.write_bytes(packed.read_bytes()[:-30])),
    ("a torn signature", "signature_malformed", lambda packed: add(packed, SIGNATURE, b'{"algorithm": "ed')),
)


@pytest.mark.parametrize(("code", "spoil"), [case[1:] for case in ARCHIVES], ids=[case[0] for case in ARCHIVES])
def test_a_hemo_file_is_refused_with_its_own_code_and_nothing_is_written(folder, tmp_path, code, spoil):
    packed = pack(open_bundle(folder), tmp_path / "a.hemo")
    spoil(packed)
    before = sorted(tmp_path.rglob("*"))
    with pytest.raises(BundleError) as caught:
        unpack(packed, tmp_path / "cache")
    assert caught.value.code == code
    assert sorted(tmp_path.rglob("*")) == before


def test_a_hemo_file_of_more_than_2_gib_is_refused_by_what_it_announces(folder, tmp_path):
    packed = pack(open_bundle(folder), tmp_path / "a.hemo")
    data = bytearray(packed.read_bytes())
    directory = data.index(b"PK\x01\x02")
    data[directory + 24 : directory + 28] = (2 * 1024 * MIB + 1).to_bytes(4, "little")  # uncompressed size
    packed.write_bytes(data)
    with pytest.raises(BundleError, match="more than 2 GiB") as caught:
        unpack(packed, tmp_path / "cache")
    assert caught.value.code == "bundle_bomb"


def test_a_hemo_member_that_unpacks_to_other_bytes_is_refused(folder, tmp_path):
    packed = pack(open_bundle(folder), tmp_path / "a.hemo")
    replaced(packed, CNN, (folder / CNN).read_bytes().swapcase())
    with pytest.raises(BundleError) as caught:
        unpack(packed, tmp_path / "cache")
    assert caught.value.code == "bundle_altered"
    assert list((tmp_path / "cache").iterdir()) == []


def make_key(folder: Path, name: str):
    public, _ = make_pair(folder / name)
    return read_private_key(folder / name, str), public


def unsigned(folder: Path, _: PublicKey) -> None:
    assert not (folder / SIGNATURE).exists()


def foreign(folder: Path, _: PublicKey) -> None:
    sign_bundle(folder, make_key(folder.parent, "theirs")[0], again=True)


def wrong(folder: Path, trusted: PublicKey) -> None:
    digest = open_bundle(folder).digest
    (folder / SIGNATURE).write_bytes(Signature(digest, trusted.key_id, bytes(64)).to_bytes())


def truncated(folder: Path, _: PublicKey) -> None:
    sign_bundle(folder, make_key(folder.parent, "any")[0])
    (folder / SIGNATURE).write_bytes((folder / SIGNATURE).read_bytes()[:-20])


SIGNATURES: Mapping[str, Callable[[Path, PublicKey], None]] = MappingProxyType(
    {
        "bundle_unsigned": unsigned,
        "signature_foreign": foreign,
        "signature_wrong": wrong,
        "signature_malformed": truncated,
    }
)


@pytest.mark.parametrize(("code", "spoil"), SIGNATURES.items(), ids=SIGNATURES)
def test_an_untrusted_bundle_is_refused_with_its_own_code(folder, tmp_path, code, spoil):
    _, trusted = make_key(tmp_path, "ours")
    spoil(folder, trusted)
    with pytest.raises(BundleUntrusted) as caught:
        open_bundle(folder, [trusted])
    assert caught.value.code == code


def test_no_code_is_without_a_bundle_that_is_refused_with_it():
    shown = {*FOLDERS, *SIGNATURES, *(code for _, code, _ in ARCHIVES)}

    assert shown | ABSTRACT | NOT_OF_THE_SEAL == {error.code for error in all_errors(BundleError)}
