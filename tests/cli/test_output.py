"""A place that cannot be written to is refused before anything begins, as what it is."""

from __future__ import annotations

from pathlib import Path

import pytest

from hemo_cli.failure import Exit


@pytest.fixture
def blocked(tmp_path: Path) -> Path:
    """A folder below a file: nobody, not even root, can make it."""
    (tmp_path / "file").write_bytes(b"")
    return tmp_path / "file" / "reports"


@pytest.mark.parametrize(
    "command",
    [
        ("submit", ".", "--out"),
        ("demo", "--out"),
        ("demo", "--phantoms"),
        ("train", "--config", "c.toml", "--out"),
        ("train", "--config", "c.toml", "--cache"),
        ("crossval", "--config", "c.toml", "--out"),
        ("learning-curve", "--config", "c.toml", "--out"),
        ("leakage", "--config", "c.toml", "--out"),
        ("evaluate", ".", "--out"),
        ("export", ".", "--out"),
    ],
    ids=" ".join,
)
def test_a_folder_that_cannot_be_made_is_refused_with_its_path(hemo, blocked, command):
    Path("c.toml").write_text("", encoding="utf-8")

    ran = hemo(*command, blocked, "--json")

    assert ran.code == Exit.OUTPUT, ran.out
    assert ran.json["error"]["code"] == "sink_failed"
    assert ran.json["error"]["path"] == str(blocked.parent)


def test_out_of_the_settings_is_refused_too(hemo, blocked, monkeypatch):
    monkeypatch.setenv("HEMO_OUT", str(blocked))

    assert hemo("submit", ".").code == Exit.OUTPUT
    assert hemo("doctor", "--json").code == Exit.SCANS_FAILED
