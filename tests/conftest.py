"""Fixtures that several components' tests share."""

from __future__ import annotations

import os
import shutil
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parents[1]
sys.path.append(str(REPOSITORY / "tests" / "support"))


@pytest.fixture(scope="session")
def real_data() -> Path:
    """The folder of public head-CT data, which is never part of the repository."""
    folder = Path(os.environ.get("HEMO_DATA", REPOSITORY.parent / "shared" / "data"))
    if not (folder / "splits.csv").is_file():
        pytest.skip(f"needs the public head-CT pack (set HEMO_DATA); none at {folder}")
    return folder


@pytest.fixture(scope="session")
def tiny_bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a bundle with a tiny model (64×64 input), exported as a real one is. Read it, do not change it."""
    if find_spec("tf2onnx") is None:  # finding does not import TensorFlow, which is to be told to be quiet first
        pytest.skip("needs the export extra")
    from tiny import write_bundle

    return write_bundle(tmp_path_factory.mktemp("tiny")).path


@pytest.fixture(scope="session")
def browser() -> str:
    """A browser that can be run without a screen."""
    found = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
    if found is None:
        pytest.skip("needs chromium, to open the pages as a reader would")
    return found
