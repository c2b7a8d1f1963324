"""What a worker is told, and refuses to be told."""

from __future__ import annotations

from pathlib import Path

import pytest

from hemo_core.errors import SettingsError
from hemo_core.settings import Sources
from hemo_worker.__main__ import settings_of
from hemo_worker.settings import WorkerSettings, worker_settings


def test_a_command_line_becomes_settings():
    settings = settings_of(["--broker=redis://b", "--root=scans=/s", "--root=out=/o", "--device=cpu", "--batch=8"])
    assert settings.roots == {"scans": Path("/s"), "out": Path("/o")}
    assert (settings.broker, settings.device, settings.batch, settings.bundle) == ("redis://b", "cpu", 8, None)


def test_the_environment_fills_the_gaps():
    environ = {
        "HEMO_BROKER": "redis://e",
        "HEMO_ROOTS": "scans=/s",
        "HEMO_WORKER_LEASE_S": "7.5",
        "HEMO_METRICS_PORT": "9",
        "HEMO_PRECISION": "int8",
    }
    settings = worker_settings(Sources(environ, {}), bundle=Path("b"))
    assert (settings.broker, settings.lease_s, settings.metrics_port, settings.precision, settings.bundle) == (
        "redis://e",
        7.5,
        9,
        "int8",
        Path("b"),
    )


def test_a_worker_needs_a_broker():
    with pytest.raises(SettingsError, match="no broker given"):
        worker_settings(Sources({}, {}))


@pytest.mark.parametrize(
    "wrong",
    [
        {"device": "tpu"},
        {"precision": "bf16"},
        {"batch": 0},
        {"threads": 0},
        {"lease_s": -1.0},
        {"readers": 0},
        {"ahead": 0},
    ],
)
def test_nonsense_is_refused(wrong):
    with pytest.raises(SettingsError):
        WorkerSettings(broker="redis://b", **wrong)
