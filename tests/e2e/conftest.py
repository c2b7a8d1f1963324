"""One broker and one tiny model for all jobs; each test has its own scans and jobs."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from jobsite import Site

from hemo_core.bundle import open_bundle
from hemo_core.jobs import JobStore
from hemo_core.jobs.private_broker import PrivateBroker


@pytest.fixture(scope="session")
def broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PrivateBroker]:
    with PrivateBroker(tmp_path_factory.mktemp("broker")) as broker:
        yield broker


@pytest.fixture(scope="session")
def site(broker: PrivateBroker, tmp_path_factory: pytest.TempPathFactory, tiny_bundle: Path) -> Site:
    folder = tmp_path_factory.mktemp("site")
    for name in ("crowd", "demo", "few", "killer", "gone"):
        (folder / "scans" / name).mkdir(parents=True)
    (folder / "out").mkdir()
    return Site(folder, JobStore(broker.url, patience_s=20), open_bundle(tiny_bundle))
