"""Fixtures that several components' tests share, and what a test may need, take and leave behind."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

import pytest
from needs import absent

from hemo_core.bundle import open_bundle
from hemo_core.processes import few_threads

REPOSITORY = Path(__file__).resolve().parents[1]
TINY = REPOSITORY / "tests" / "data" / "tiny-0.0.1"


def pytest_configure() -> None:
    """Tests side by side, and the processes that they start, take one thread each."""
    if "PYTEST_XDIST_WORKER" in os.environ:
        os.environ.setdefault("TF_NUM_INTRAOP_THREADS", "1")
        few_threads()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Files with slow tests come first: a file is given to one process, and the last ones should be short."""
    slow = {item.path for item in items if item.get_closest_marker("slow")}
    items.sort(key=lambda item: item.path not in slow)


def pytest_runtest_setup(item: pytest.Item) -> None:
    if item.get_closest_marker("tensorflow") and (find_spec("tensorflow") is None or find_spec("tf2onnx") is None):
        absent("the extras [train] and [export]")


@pytest.fixture(autouse=True)
def no_tensorflow(request: pytest.FixtureRequest) -> Iterator[None]:
    """Only a test that is marked so may load TensorFlow, which takes longer than most tests."""
    before = "tensorflow" in sys.modules
    yield
    loaded = "tensorflow" in sys.modules and not before
    assert not loaded or request.node.get_closest_marker("tensorflow"), "mark this test with pytest.mark.tensorflow"


@pytest.fixture(scope="session", autouse=True)
def nothing_left_behind() -> Iterator[None]:
    """At the end no process that a test started is still running, and the committed bundle is what it was."""
    yield
    open_bundle(TINY)
    assert _children() == {}


def _children() -> dict[int, str]:
    """Pid and command of each child of this process that runs, Python's own helper for shared memory apart."""
    found = {}
    for listed in Path("/proc/self/task").glob("*/children"):
        for pid in listed.read_text("ascii").split():
            command = Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
            if command and "multiprocessing" not in command:  # a child that ended has no command line
                found[int(pid)] = command
    return found


@pytest.fixture(scope="session")
def real_data() -> Path:
    """The folder of public head-CT data, which is never part of the repository."""
    folder = Path(os.environ.get("HEMO_DATA", REPOSITORY.parent / "shared" / "data"))
    if not (folder / "splits.csv").is_file():
        pytest.skip(f"needs the public head-CT pack (set HEMO_DATA); none at {folder}")
    return folder


@pytest.fixture(scope="session")
def tiny_bundle() -> Path:
    """The folder of the committed bundle of a tiny model (64×64 input). Read it; a test that changes it copies it."""
    return TINY


@pytest.fixture(scope="session")
def browser() -> str:
    """A browser that can be run without a screen."""
    found = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
    return found or absent("chromium, to open the pages as a reader would")
