"""What no worker can be told."""

from __future__ import annotations

import pytest

from hemo_core.errors import SettingsError
from hemo_worker.settings import WorkerSettings


@pytest.mark.parametrize(
    "wrong",
    [{"batch": 0}, {"threads": 0}, {"lease_s": -1.0}, {"readers": 0}, {"ahead": 0}],
    ids=lambda wrong: next(iter(wrong)),
)
def test_nonsense_is_refused(wrong):
    with pytest.raises(SettingsError):
        WorkerSettings(broker="redis://b", **wrong)
