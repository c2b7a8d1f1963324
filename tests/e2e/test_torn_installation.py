"""A worker whose explaining half does not load stops with the cause, and fails no scan."""

from __future__ import annotations

import pytest
from jobsite import TORN, Site, write_series
from torn_worker import CAUSE

from hemo_core.errors import DeviceError
from hemo_core.jobs import JobStore
from hemo_core.jobs.private_broker import PrivateBroker

pytestmark = pytest.mark.slow


def test_a_torn_tensorflow_stops_the_worker_with_the_cause(site: Site, tmp_path):
    (tmp_path / "out").mkdir()
    write_series(tmp_path / "scans" / "series", [f"s{number}" for number in range(4)])
    with PrivateBroker(tmp_path / "broker") as own:
        alone = Site(tmp_path, JobStore(own.url, patience_s=20), site.bundle)
        alone.submit("torn", "series")
        with alone.worker("--explainer=tf", entry=TORN) as worker:
            assert worker.process.wait(120) == DeviceError.exit_code
            with pytest.raises(DeviceError, match=CAUSE):
                worker.check()
        assert alone.store.progress("torn").failed == 0
    assert not [data for data in alone.reports("torn").values() if b'"failed"' in data]
