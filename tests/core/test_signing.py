"""Signatures: with a trusted key, what it did not sign is refused with a code of its own before anything is read."""

from __future__ import annotations

import json
import shutil
import stat
from pathlib import Path

import pytest
from hollow import flip, reseal, write_hollow

from hemo_core.bundle import MANIFEST, SIGNATURE, open_bundle, seal
from hemo_core.bundle.archive import pack, unpack
from hemo_core.bundle.keys import (
    PublicKey,
    make_pair,
    parse_public_key,
    read_private_key,
)
from hemo_core.bundle.sign import sign_bundle
from hemo_core.bundle.signatures import Signature, message, sign
from hemo_core.errors import (
    BundleAltered,
    BundleError,
    BundleUnsafe,
    BundleUnsigned,
    SettingsError,
    SignatureForeign,
    SignatureMalformed,
    SignatureWrong,
    UsageError,
)


def no_passphrase() -> str:
    raise AssertionError("this key is not encrypted")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return write_hollow(tmp_path / "hollow").path


@pytest.fixture(scope="module")
def key_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("keys") / "ours"
    make_pair(path)
    return path


@pytest.fixture(scope="module")
def ours(key_file: Path):
    return read_private_key(key_file, no_passphrase)


@pytest.fixture(scope="module")
def trusted(key_file: Path) -> PublicKey:
    return parse_public_key(f"{key_file}.pub")


@pytest.fixture(scope="module")
def theirs(tmp_path_factory: pytest.TempPathFactory):
    path = tmp_path_factory.mktemp("keys") / "theirs"
    make_pair(path)
    return read_private_key(path, no_passphrase)


def test_signing_changes_the_signature_file_alone(folder, ours, trusted):
    before = {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    digest = open_bundle(folder).digest
    signed = sign_bundle(folder, ours)
    after = {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    assert {path.name for path in set(after) - set(before)} == {SIGNATURE}
    assert {path: after[path] for path in before} == before
    assert (signed.digest, signed.signed_by) == (digest, trusted.key_id)
    assert open_bundle(folder, [trusted]).signed_by == trusted.key_id
    assert not [path for path in folder.parent.iterdir() if path != folder]


def test_the_signature_file_says_what_was_signed_and_with_which_key(folder, ours, trusted):
    signed = sign_bundle(folder, ours)
    content = json.loads((folder / SIGNATURE).read_text("utf-8"))
    assert sorted(content) == ["algorithm", "digest", "key_id", "schema_version", "signature"]
    assert (content["algorithm"], content["digest"], content["key_id"]) == ("ed25519", signed.digest, trusted.key_id)
    assert message("ab") == b"hemo-batch bundle sha256:ab\n"


def test_the_same_key_signs_the_same_bundle_alike(folder, ours):
    sign_bundle(folder, ours)
    first = (folder / SIGNATURE).read_bytes()
    sign_bundle(folder, ours)
    assert (folder / SIGNATURE).read_bytes() == first


def test_an_unsigned_bundle_is_refused_where_a_key_is_trusted(folder, trusted):
    assert open_bundle(folder).signed_by == ""
    with pytest.raises(BundleUnsigned, match="is not signed, and only signed bundles are trusted here"):
        open_bundle(folder, [trusted])


def test_a_foreign_key_is_refused_and_named(folder, theirs, trusted):
    signed = sign_bundle(folder, theirs)
    with pytest.raises(SignatureForeign, match=rf"signed by key {signed.signed_by[:16]}…, which is not trusted here"):
        open_bundle(folder, [trusted])


def test_one_of_several_trusted_keys_is_enough(folder, ours, theirs, trusted):
    other = PublicKey(theirs.public_key().public_bytes_raw())
    sign_bundle(folder, ours)
    assert open_bundle(folder, [other, trusted]).signed_by == trusted.key_id


def test_a_foreign_signature_under_a_trusted_keys_name_is_refused(folder, theirs, trusted):
    digest = open_bundle(folder).digest
    forged = Signature(digest, trusted.key_id, sign(digest, theirs).signature)
    (folder / SIGNATURE).write_bytes(forged.to_bytes())
    with pytest.raises(SignatureWrong, match=r"its signature is not key [0-9a-f]{16}…'s"):
        open_bundle(folder, [trusted])


def test_a_bundle_changed_and_sealed_again_is_not_what_was_signed(folder, ours, trusted):
    sign_bundle(folder, ours)
    reseal(folder, version="1.0.1")
    for keys in ([], [trusted]):
        with pytest.raises(SignatureWrong, match=r"its signature is about another bundle\.json"):
            open_bundle(folder, keys)


def test_a_signature_moved_to_another_bundle_is_refused(folder, ours, trusted, tmp_path):
    signed = sign_bundle(folder, ours)
    other = write_hollow(tmp_path / "other", version="2.0.0")
    assert signed.signature is not None
    moved = Signature(other.digest, trusted.key_id, signed.signature.signature)
    (other.path / SIGNATURE).write_bytes(moved.to_bytes())
    with pytest.raises(SignatureWrong):
        open_bundle(other.path, [trusted])


def test_every_altered_bit_of_the_signature_file_is_refused(folder, ours, trusted):
    sign_bundle(folder, ours)
    sound = (folder / SIGNATURE).read_bytes()
    refused = set()
    for position in range(len(sound)):
        for bit in range(8):
            flip(folder / SIGNATURE, position, bit)
            with pytest.raises(BundleError) as caught:
                open_bundle(folder, [trusted])
            refused.add(type(caught.value))
            (folder / SIGNATURE).write_bytes(sound)
    assert refused == {SignatureMalformed, SignatureForeign, SignatureWrong}


def test_every_truncated_signature_file_is_refused_even_where_no_key_is_trusted(folder, ours):
    sign_bundle(folder, ours)
    sound = (folder / SIGNATURE).read_bytes()
    for length in range(len(sound)):
        (folder / SIGNATURE).write_bytes(sound[:length])
        with pytest.raises(SignatureMalformed):
            open_bundle(folder)


@pytest.mark.parametrize("change", [{"schema_version": 2}, {"algorithm": "rsa"}, {"signature": 7}, {"more": 1}])
def test_a_signature_of_another_form_is_refused(folder, ours, change):
    sign_bundle(folder, ours)
    content = json.loads((folder / SIGNATURE).read_text("utf-8"))
    (folder / SIGNATURE).write_text(json.dumps({**content, **change}), "utf-8")
    with pytest.raises(SignatureMalformed):
        open_bundle(folder)


def test_trust_is_settled_before_any_other_file_is_read(folder, trusted):
    flip(folder / "cnn.onnx", 3)
    with pytest.raises(BundleUnsigned):
        open_bundle(folder, [trusted])


def test_a_signed_bundle_with_an_altered_file_is_refused_for_that(folder, ours, trusted):
    sign_bundle(folder, ours)
    flip(folder / "cnn.onnx", 3)
    with pytest.raises(BundleAltered, match="is not the sealed"):
        open_bundle(folder, [trusted])


def test_an_altered_bundle_is_not_signed(folder, ours):
    flip(folder / "cnn.onnx", 3)
    with pytest.raises(BundleAltered):
        sign_bundle(folder, ours)
    assert not (folder / SIGNATURE).exists()


def test_another_keys_signature_is_replaced_only_on_request(folder, ours, theirs, trusted):
    sign_bundle(folder, theirs)
    with pytest.raises(UsageError, match="is signed by another key"):
        sign_bundle(folder, ours)
    sign_bundle(folder, ours, again=True)
    assert open_bundle(folder, [trusted]).signed_by == trusted.key_id


def test_a_new_seal_drops_the_old_signature(folder, ours):
    manifest = dict(sign_bundle(folder, ours).content)
    assert seal(folder, {**manifest, "version": "1.1.0"}).signature is None


def test_a_hemo_file_carries_the_signature(folder, ours, theirs, trusted, tmp_path):
    packed = pack(sign_bundle(folder, ours), tmp_path / "a.hemo")
    cache = tmp_path / "cache"
    opened = unpack(packed, cache, [trusted])
    assert opened.signed_by == trusted.key_id
    assert open_bundle(opened.path, [trusted]).digest == open_bundle(folder).digest
    other = PublicKey(theirs.public_key().public_bytes_raw())
    with pytest.raises(SignatureForeign):
        unpack(packed, cache, [other])


def test_a_hemo_file_is_signed_in_place(folder, ours, trusted, tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    packed = pack(open_bundle(folder), tmp_path / "a.hemo")
    sign_bundle(packed, ours)
    assert open_bundle(packed, [trusted]).signed_by == trusted.key_id


def test_an_unsigned_hemo_file_leaves_nothing_in_the_cache_of_who_trusts_a_key(folder, trusted, tmp_path):
    packed = pack(open_bundle(folder), tmp_path / "a.hemo")
    with pytest.raises(BundleUnsigned):
        unpack(packed, tmp_path / "cache", [trusted])
    assert not (tmp_path / "cache").exists()


def test_signed_and_unsigned_copies_of_one_bundle_do_not_disturb_each_other(folder, ours, trusted, tmp_path):
    cache = tmp_path / "cache"
    plain = unpack(pack(open_bundle(folder), tmp_path / "plain.hemo"), cache)
    signed = unpack(pack(sign_bundle(folder, ours), tmp_path / "signed.hemo"), cache, [trusted])
    assert plain.digest == signed.digest
    assert plain.path != signed.path
    assert open_bundle(plain.path).signature is None


def test_a_private_key_is_its_owners_alone_and_never_overwritten(tmp_path):
    public, public_path = make_pair(tmp_path / "key")
    assert stat.S_IMODE((tmp_path / "key").stat().st_mode) == 0o600
    assert parse_public_key(str(public_path)) == public
    assert parse_public_key(public.text) == public
    before = (tmp_path / "key").read_bytes()
    with pytest.raises(UsageError, match="exists already"):
        make_pair(tmp_path / "key")
    assert (tmp_path / "key").read_bytes() == before
    (tmp_path / "key").unlink()
    with pytest.raises(UsageError, match="exists already"):
        make_pair(tmp_path / "key")
    assert not (tmp_path / "key").exists()


def test_a_private_key_that_others_can_read_is_not_used(tmp_path):
    make_pair(tmp_path / "key")
    (tmp_path / "key").chmod(0o640)
    with pytest.raises(UsageError, match=r"others may use this private key \(mode 0640\)") as caught:
        read_private_key(tmp_path / "key", no_passphrase)
    assert caught.value.hint == f"chmod 600 {tmp_path / 'key'}"


def test_a_private_key_may_have_a_passphrase(tmp_path):
    public, _ = make_pair(tmp_path / "key", "correct horse")
    assert b"ENCRYPTED" in (tmp_path / "key").read_bytes()
    private = read_private_key(tmp_path / "key", lambda: "correct horse")
    assert private.public_key().public_bytes_raw() == public.raw
    with pytest.raises(UsageError, match="the passphrase is wrong"):
        read_private_key(tmp_path / "key", lambda: "wrong horse")


def test_a_private_key_never_gets_into_a_bundle(folder, key_file):
    with pytest.raises(UsageError, match="no place in a bundle"):
        make_pair(folder / "evidence" / "key")
    manifest = open_bundle(folder).content
    shutil.copy(key_file, folder / "evidence" / "notes.txt")
    with pytest.raises(BundleUnsafe, match="is a private key"):
        seal(folder, manifest)


def test_a_private_key_in_the_place_of_a_public_one_is_refused_and_not_repeated(key_file):
    with pytest.raises(ValueError, match="name its public half"):
        parse_public_key(str(key_file))
    secret = key_file.read_text("utf-8")
    with pytest.raises(SettingsError) as caught:
        parse_public_key(secret)
    assert secret.splitlines()[1] not in str(caught.value)


@pytest.mark.parametrize("text", ["", "ed25519:", "ed25519:AAAA", "ed25519:!", "/no/such/key.pub", __file__])
def test_what_is_no_public_key_is_refused(text):
    with pytest.raises(ValueError, match=r"."):
        parse_public_key(text)


def test_a_key_of_another_kind_is_refused(tmp_path):
    from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, generate_private_key
    from cryptography.hazmat.primitives.serialization import (
        Encoding,
        NoEncryption,
        PrivateFormat,
        PublicFormat,
    )

    key = generate_private_key(SECP256R1())
    secret, public = tmp_path / "secret", tmp_path / "public"
    secret.touch(0o600)
    secret.write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    public.write_bytes(key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo))
    with pytest.raises(UsageError, match="is no ed25519 key"):
        read_private_key(secret, no_passphrase)
    with pytest.raises(ValueError, match="no ed25519 key"):
        parse_public_key(str(public))


def test_a_signature_is_refused_if_it_is_a_link(folder, ours, tmp_path):
    sign_bundle(folder, ours)
    (folder / SIGNATURE).rename(tmp_path / "elsewhere")
    (folder / SIGNATURE).symlink_to(tmp_path / "elsewhere")
    with pytest.raises(BundleUnsafe):
        open_bundle(folder)


def test_bundle_json_cannot_seal_itself_or_its_signature(folder):
    files = json.loads((folder / MANIFEST).read_text("utf-8"))["files"]
    for name in (MANIFEST, SIGNATURE):
        reseal(folder, files={**files, name: {"sha256": "0" * 64, "bytes": 1}})
        with pytest.raises(BundleError, match="cannot seal itself"):
            open_bundle(folder)
