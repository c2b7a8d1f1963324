"""``docs/bundle.md`` is true: its commands verify a bundle without this program, and refuse what it refuses."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest
from hollow import flip, write_hollow

from hemo_cli.failure import Exit
from hemo_core import errors
from hemo_core.bundle import CNN, SIGNATURE, open_bundle

PAGE = (Path(__file__).resolve().parents[2] / "docs" / "bundle.md").read_text("utf-8")
BY_HAND = PAGE.partition("\n## By hand\n")[2].partition("```sh\n")[2].partition("```")[0]


@pytest.fixture
def signed(hemo, tmp_path: Path) -> Path:
    folder = write_hollow(tmp_path / "my-model-1.0.0").path
    assert hemo("bundle", "keygen", "release-key").code == Exit.DONE
    assert hemo("bundle", "sign", folder, "--key", "release-key").code == Exit.DONE
    return folder


def by_hand(folder: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["sh", "-e", "-c", BY_HAND], cwd=folder, capture_output=True, text=True, check=False, timeout=60
    )


def test_the_documented_commands_agree_with_us(signed):
    bundle = open_bundle(signed)
    done = by_hand(signed)
    assert done.returncode == 0, done.stderr
    seal, sealed, verified, key, key_id = done.stdout.splitlines()
    assert seal == sealed == bundle.content["seal"]
    assert "Verified Successfully" in verified
    assert bundle.signature is not None
    assert key == key_id == bundle.signature.key_id


@pytest.mark.parametrize("name", [CNN, "evidence/metrics.json"])
def test_by_hand_an_altered_file_is_found(signed, name):
    flip(signed / name, 1)
    done = by_hand(signed)
    assert done.returncode != 0 or "FAILED" in done.stdout
    assert f"{name}: FAILED" in done.stdout


def test_by_hand_a_wrong_signature_is_found(signed, hemo):
    assert hemo("bundle", "keygen", "other-key").code == Exit.DONE
    assert hemo("bundle", "sign", signed, "--key", "other-key", "--again").code == Exit.DONE
    done = by_hand(signed)
    assert done.returncode != 0
    assert "Verified Successfully" not in done.stdout


def test_a_key_that_openssl_made_signs_and_is_trusted(signed, hemo, tmp_path):
    private, public = tmp_path / "openssl-key", tmp_path / "openssl-key.pub"
    private.touch(0o600)
    for command in (
        ["genpkey", "-algorithm", "ed25519", "-out", private],
        ["pkey", "-in", private, "-pubout", "-out", public],
    ):
        subprocess.run(["openssl", *map(str, command)], check=True, capture_output=True, timeout=60)
    (signed / SIGNATURE).unlink()
    assert hemo("bundle", "sign", signed, "--key", private).code == Exit.DONE
    assert hemo("bundle", "verify", signed, "--key", public).code == Exit.DONE


def test_every_code_is_documented():
    documented = set(re.findall(r"^\| `((?:bundle|signature)_\w+)` \|", PAGE, re.MULTILINE))
    codes = {error.code for error in errors.all_errors(errors.BundleError)}
    assert documented == {code for code in codes if re.match("bundle_|signature_", code)} - {
        "bundle_refused",
        "bundle_untrusted",
    }
