"""Run the command line in this process, as the console script does."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest

from hemo_cli.main import run
from hemo_worker import startup
from hemo_worker.settings import WorkerSettings


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
    for name in [name for name in os.environ if name.startswith("HEMO_")]:
        monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)

    def call(*args: object) -> Ran:
        capfd.readouterr()
        code = run([str(arg) for arg in args])
        printed = capfd.readouterr()
        return Ran(code, printed.out, printed.err)

    return call


@pytest.fixture
def worker_told(hemo: Callable[..., Ran], monkeypatch: pytest.MonkeyPatch) -> Callable[..., WorkerSettings]:
    """``worker_told("--batch", 8)`` → what `hemo-batch worker` would have a worker do; none is started."""
    told: list[WorkerSettings] = []

    def keep(settings: WorkerSettings) -> int:
        told.append(settings)
        return 0

    monkeypatch.setattr(startup, "run_worker", keep)

    def call(*args: object) -> WorkerSettings:
        ran = hemo("worker", *args)
        assert ran.code == 0, ran.err
        return told[-1]

    return call
