"""``hemo-batch bundle keygen``, ``sign``, ``verify --key`` and ``show``, and that submit and worker honour the keys."""

from __future__ import annotations

import os
import stat
from dataclasses import replace
from pathlib import Path

import pytest
from hollow import write_hollow

from hemo_cli.failure import Exit
from hemo_cli.machine import Machine
from hemo_core.bundle import SIGNATURE
from hemo_core.bundle.keys import parse_public_key
from hemo_core.errors import BundleUnsigned, JobError
from hemo_worker.settings import WorkerSettings
from hemo_worker.startup import run_worker


@pytest.fixture(autouse=True)
def nobody_is_trusted_yet(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("HEMO_TRUSTED_KEYS", raising=False)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return write_hollow(tmp_path / "hollow").path


@pytest.fixture
def key(hemo, tmp_path: Path) -> Path:
    assert hemo("bundle", "keygen", tmp_path / "key").code == Exit.DONE
    return tmp_path / "key"


def test_keygen_sign_verify(hemo, folder, key):
    made = hemo("bundle", "sign", folder, "--key", key, "--json")
    assert made.code == Exit.DONE
    verified = hemo("bundle", "verify", folder, "--key", f"{key}.pub", "--json")
    assert verified.code == Exit.DONE
    assert verified.json["signature"] == {"state": "trusted", "key_id": made.json["key_id"], "code": ""}
    assert verified.json["digest"] == made.json["digest"]


def test_keygen_says_what_a_worker_needs_and_never_the_private_half(hemo):
    made = hemo("bundle", "keygen", "fresh", "--json")
    assert stat.S_IMODE(Path("fresh").stat().st_mode) == 0o600
    assert parse_public_key(made.json["trusted_key"]) == parse_public_key("fresh.pub")
    secret = Path("fresh").read_text("utf-8").splitlines()[1]
    again = hemo("bundle", "keygen", "fresh")
    assert again.code == Exit.USAGE
    assert "exists already" in again.err
    for ran in (made, again, hemo("bundle", "keygen", "other")):
        assert secret not in ran.out + ran.err


def test_verify_refuses_with_the_reason_as_code(hemo, folder, key, tmp_path):
    assert hemo("bundle", "keygen", tmp_path / "theirs").code == Exit.DONE
    codes = [hemo("bundle", "verify", folder, "--key", f"{key}.pub", "--json").json["error"]["code"]]
    hemo("bundle", "sign", folder, "--key", tmp_path / "theirs")
    codes.append(hemo("bundle", "verify", folder, "--key", f"{key}.pub", "--json").json["error"]["code"])
    assert hemo("bundle", "verify", folder, "--key", f"{key}.pub", "--key", tmp_path / "theirs.pub").code == Exit.DONE
    written = bytearray((folder / SIGNATURE).read_bytes())
    place = written.index(b'"signature": "') + 20
    written[place] = ord("A") if written[place] != ord("A") else ord("B")  # still base64, of other bytes
    (folder / SIGNATURE).write_bytes(written)
    codes.append(hemo("bundle", "verify", folder, "--key", tmp_path / "theirs.pub", "--json").json["error"]["code"])
    refused = hemo("bundle", "verify", folder, "--key", tmp_path / "theirs.pub")
    assert codes == ["bundle_unsigned", "signature_foreign", "signature_wrong"]
    assert refused.code == Exit.BUNDLE


def test_verify_takes_the_keys_that_workers_are_told_to_trust(hemo, folder, key, monkeypatch):
    assert hemo("bundle", "verify", folder).code == Exit.DONE
    monkeypatch.setenv("HEMO_TRUSTED_KEYS", f"{key}.pub")
    assert hemo("bundle", "verify", folder).code == Exit.BUNDLE
    hemo("bundle", "sign", folder, "--key", key)
    assert hemo("bundle", "verify", folder).code == Exit.DONE


def test_show_says_what_becomes_of_the_signature_here(hemo, folder, key, monkeypatch):
    def state() -> str:
        return str(hemo("bundle", "show", folder, "--json").json["signature"]["state"])

    states = [state()]
    hemo("bundle", "sign", folder, "--key", key)
    states.append(state())
    monkeypatch.setenv("HEMO_TRUSTED_KEYS", f"{key}.pub")
    states.append(state())
    assert "verified: this key is trusted here" in hemo("bundle", "show", folder).out
    hemo("bundle", "keygen", "other")
    monkeypatch.setenv("HEMO_TRUSTED_KEYS", "other.pub")
    assert [*states, state()] == ["unsigned", "unchecked", "trusted", "refused"]
    assert "workers here refuse it: signature_foreign" in hemo("bundle", "show", folder).out


def test_a_packed_bundle_is_signed_and_verified_like_a_folder(hemo, folder, key, tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    hemo("bundle", "pack", folder, "a.hemo")
    assert hemo("bundle", "sign", "a.hemo", "--key", key).code == Exit.DONE
    assert hemo("bundle", "verify", "a.hemo", "--key", f"{key}.pub").code == Exit.DONE


@pytest.mark.parametrize("value", ["nowhere.pub", "ed25519:AAAA"])
def test_a_key_that_is_none_is_a_usage_error(hemo, folder, value):
    ran = hemo("bundle", "verify", folder, "--key", value, "--json")
    assert ran.code == Exit.USAGE
    assert ran.json["error"]["message"].startswith("Invalid value for '--key'")


def test_submit_refuses_an_unsigned_bundle_before_it_writes_anything(hemo, folder, key):
    Path("scans").mkdir()
    ran = hemo("submit", "scans", "--bundle", folder, "--trusted-key", f"{key}.pub", "--json")
    assert ran.code == Exit.BUNDLE
    assert ran.json["error"]["code"] == "bundle_unsigned"
    assert not Path("reports").exists()


def test_a_worker_refuses_an_unsigned_bundle_before_it_looks_for_its_broker(folder, key):
    reader, writer = os.pipe()
    trusted = (parse_public_key(f"{key}.pub"),)
    settings = WorkerSettings("redis://127.0.0.1:1", bundle=folder, trusted_keys=trusted, ready_fd=writer)
    with pytest.raises(BundleUnsigned):
        run_worker(settings)
    os.close(writer)
    with os.fdopen(reader) as said:
        assert '"code": "bundle_unsigned"' in said.read()


def test_a_worker_takes_its_keys_from_flag_environment_and_file(worker_told, key, monkeypatch):
    trusted = parse_public_key(f"{key}.pub")
    arguments = ["--broker", "redis://h", "--trusted-key", trusted.text, "--trusted-key", f"{key}.pub"]
    assert worker_told(*arguments).trusted_keys == (trusted, trusted)
    monkeypatch.setenv("HEMO_TRUSTED_KEYS", f"{trusted.text}, {key}.pub,")
    assert worker_told("--broker", "redis://h").trusted_keys == (trusted, trusted)
    monkeypatch.delenv("HEMO_TRUSTED_KEYS")
    Path("hemo.toml").write_text(f'broker = "redis://h"\ntrusted_keys = ["{key}.pub"]\n', encoding="utf-8")
    assert worker_told().trusted_keys == (trusted,)


@pytest.mark.parametrize(
    ("variable", "file"),
    [
        ({"HEMO_TRUSTED_KEY": "ed25519:AAAA"}, ""),
        ({"HEMO_TRUSTED_KEYS": " , "}, ""),
        ({}, 'trusted_key = "ed25519:AAAA"'),
        ({}, "trusted_keys = []"),
        ({}, 'trusted_keys = " , "'),
        ({}, 'trusted_keys = [""]'),
    ],
)
def test_a_setting_that_would_trust_everybody_by_mistake_is_refused(hemo, monkeypatch, variable, file):
    for name, value in variable.items():
        monkeypatch.setenv(name, value)
    Path("hemo.toml").write_text(file, encoding="utf-8")

    ran = hemo("bundle", "verify")

    assert ran.code == Exit.USAGE, ran.out
    assert "key" in ran.err.lower()


def test_a_job_that_is_resumed_trusts_whom_its_submit_trusted(key, tmp_path):
    (tmp_path / "job" / ".broker").mkdir(parents=True)
    trusted = parse_public_key(f"{key}.pub")
    machine = Machine({}, tmp_path, "cpu", "auto", "auto", (trusted.text,))
    machine.save(tmp_path / "job")
    assert Machine.load(tmp_path / "job") == replace(machine, bundle=tmp_path.resolve())


@pytest.mark.parametrize("text", ["{", "[]", '{"roots": {}, "bundle": 3, "device": "cpu"}', '{"roots": {"a": 1}}'])
def test_a_malformed_record_of_the_machine_is_a_job_error(tmp_path, text):
    (tmp_path / ".broker").mkdir()
    (tmp_path / ".broker" / "local.json").write_text(text)
    with pytest.raises(JobError, match=r"local\.json: malformed record of the machine"):
        Machine.load(tmp_path)


def test_a_machine_recorded_before_there_were_precisions_is_read(tmp_path):
    (tmp_path / ".broker").mkdir()
    (tmp_path / ".broker" / "local.json").write_text('{"roots": {"scans": "/s"}, "bundle": "/b", "device": "cpu"}')
    assert Machine.load(tmp_path) == Machine({"scans": Path("/s")}, Path("/b"), "cpu")
