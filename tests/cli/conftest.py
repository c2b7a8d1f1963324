"""Run the command line in this process, as the console script does."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest

from hemo_cli.main import run


@dataclass(frozen=True)
class Ran:
    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)


@pytest.fixture
def hemo(capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path) -> Callable[..., Ran]:
    """``hemo("bundle", "show", "--json")`` → exit code and what was printed. No settings leak in from outside."""
    for name in (
        "HEMO_BROKER",
        "HEMO_BUNDLE",
        "HEMO_OUT",
        "HEMO_DEVICE",
        "HEMO_PRECISION",
        "HEMO_EXPLAINER",
        "HEMO_OVERLAYS",
        "HEMO_ROOTS",
        "HEMO_CONFIG",
        "HEMO_TRUSTED_KEYS",
    ):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.chdir(tmp_path)

    def call(*args: object) -> Ran:
        capfd.readouterr()
        code = run([str(arg) for arg in args])
        printed = capfd.readouterr()
        return Ran(code, printed.out, printed.err)

    return call
