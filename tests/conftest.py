"""Fixtures that several components' tests share."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parents[1]


@pytest.fixture(scope="session")
def real_data() -> Path:
    """The folder of public head-CT data, which is never part of the repository."""
    folder = Path(os.environ.get("HEMO_DATA", REPOSITORY.parent / "shared" / "data"))
    if not (folder / "splits.csv").is_file():
        pytest.skip(f"needs the public head-CT pack (set HEMO_DATA); none at {folder}")
    return folder
