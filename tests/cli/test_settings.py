"""A flag wins over the environment, the environment over the file; and the page that says so is complete."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from hemo_cli.failure import Exit
from hemo_core.settings import Sources
from hemo_worker.settings import worker_settings

PAGE = Path(__file__).resolve().parents[2] / "docs" / "settings.md"
VALUES = {
    "broker": "redis://h",
    "device": "cpu",
    "roots": "a=/b",
    "metrics.address": "::1",
    "bundle": "/b",
    "out": "/o",
}


def documented() -> list[tuple[str, str]]:
    return re.findall(r"^\| `([\w.]+)` \| `(HEMO_\w+)` \|", PAGE.read_text("utf-8"), re.MULTILINE)


@pytest.mark.parametrize(("key", "variable"), documented(), ids=lambda value: value)
def test_every_documented_variable_is_read(key, variable):
    value = VALUES.get(key, "7")

    found = Sources({variable: value}, {}).pick(key, None, "nothing", str)

    assert found == value


def test_every_setting_of_a_worker_is_documented():
    asked: list[str] = []

    class Recording(Sources):
        def pick(self, name, flag, default, parse):
            asked.append(name)
            return super().pick(name, flag, default, parse)

    worker_settings(Recording({"HEMO_BROKER": "redis://h"}, {}))

    assert set(asked) <= {key for key, _ in documented()}


def test_a_flag_wins_over_the_environment_and_that_over_the_file(hemo, monkeypatch):
    Path("hemo.toml").write_text('broker = "redis://127.0.0.1:1/file"\n', encoding="utf-8")
    assert "127.0.0.1:1/file" in said(hemo("status", "--json"))
    monkeypatch.setenv("HEMO_BROKER", "redis://127.0.0.1:1/environment")
    assert "127.0.0.1:1/environment" in said(hemo("status", "--json"))
    assert "127.0.0.1:1/flag" in said(hemo("status", "--broker", "redis://127.0.0.1:1/flag", "--json"))


def said(ran) -> str:
    assert ran.code == Exit.BROKER
    return ran.out


def test_nonsense_in_the_file_names_the_file(hemo):
    Path("hemo.toml").write_text("broker = \n", encoding="utf-8")

    ran = hemo("status", "--json")

    assert ran.code == Exit.USAGE
    assert ran.json["error"]["path"].endswith("hemo.toml")
