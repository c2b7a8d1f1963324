"""The base install, no extras: submit from a small machine to a broker whose workers are elsewhere."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path
from typing import Any

import pytest
from needs import absent

from hemo_core.jobs.private_broker import PrivateBroker
from hemo_core.phantoms import PhantomSpec, make_phantom, write_dicom

REPOSITORY = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def base_install() -> Path:
    """The folder of an environment with the wheel and nothing but its base dependencies; `make test` makes one."""
    named = os.environ.get("HEMO_BASE_INSTALL")
    if not named:
        absent("an environment without extras (HEMO_BASE_INSTALL); `make test` makes one")
    return REPOSITORY / named


@pytest.fixture
def small(base_install: Path, tmp_path: Path) -> Any:
    """Run ``hemo-batch`` of the base install in an empty folder."""

    def call(*args: object, code: int = 0) -> str:
        command = [str(base_install / "bin" / "hemo-batch"), *map(str, args)]
        clean = {name: value for name, value in os.environ.items() if not name.startswith(("HEMO_", "PYTHON"))}
        done = subprocess.run(command, cwd=tmp_path, env=clean, capture_output=True, text=True, check=False)
        assert done.returncode == code, done.stdout + done.stderr
        return done.stdout

    return call


@pytest.fixture
def scans(tmp_path: Path) -> Path:
    write_dicom(make_phantom(PhantomSpec(1, rows=128, slices=8, detail="fast")), tmp_path / "scans" / "one")
    return tmp_path / "scans"


def test_the_base_install_has_neither_tensorflow_nor_onnxruntime(base_install):
    program = "import importlib.util as u; print([n for n in ('tensorflow', 'onnxruntime', 'keras') if u.find_spec(n)])"
    python = str(base_install / "bin" / "python")

    assert subprocess.run([python, "-c", program], capture_output=True, text=True, check=True).stdout.strip() == "[]"


def test_help_and_inspect_work(small, scans):
    assert "submit" in small("--help")
    assert json.loads(small("inspect", scans, "--json"))["scans"][0]["would"] == "score"


def test_submit_and_status_work_on_a_remote_broker(small, scans, tiny_bundle, tmp_path):
    with PrivateBroker(tmp_path / "broker") as broker:
        where = ("--broker", broker.url)
        sent = small("submit", scans, *where, "--bundle", tiny_bundle, "--job", "far", "--no-wait", "--json")
        status = json.loads(small("status", "far", *where, "--json"))
        cancelled = json.loads(small("cancel", "far", *where, "--json"))

    assert json.loads(sent)["job"] == "far"
    assert (status["total"], status["open"]) == (1, 1)
    assert cancelled["state"] == "cancelled"


def test_scoring_here_names_the_extra_that_is_missing(small, scans, tiny_bundle):
    error = json.loads(small("submit", scans, "--bundle", tiny_bundle, "--json", code=2))["error"]

    assert error["code"] == "missing_extra"
    assert "hemo-batch[worker]" in error["hint"]
