"""What a bundle says about its heat maps."""

from __future__ import annotations

import pytest
from hollow import write_hollow


@pytest.mark.parametrize(
    ("heatmaps", "check"),
    [
        (None, "not_measured"),
        ({"randomisation": {"passed": True}}, "passed"),
        ({"randomisation": {"passed": False}}, "failed"),
        ({"not_measured": {"randomisation": "too few slices"}}, "not_measured"),
        ({"randomisation": {"passed": "yes"}}, "not_measured"),
        ([], "not_measured"),
    ],
)
def test_a_check_is_passed_or_failed_only_if_the_bundle_says_so(tmp_path, heatmaps, check):
    changes = {} if heatmaps is None else {"heatmaps": heatmaps}
    assert write_hollow(tmp_path / "hollow", **changes).heatmap_check == check
