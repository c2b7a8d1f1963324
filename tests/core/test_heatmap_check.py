"""What a bundle says about its heat maps."""

from __future__ import annotations

import pytest
from hollow import write_hollow

from hemo_core.jobs import JobHeader, JobOptions


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


def test_a_job_tells_older_workers_nothing_of_options_it_does_not_use():
    facts = {"created": "2026-01-05T10:20:30Z", "roots": ("scans",), "total": 1, "chunk_size": 1}
    model = {"bundle_name": "b", "bundle_version": "1.0.0", "bundle_digest": "d"}
    plain = JobHeader(job="j", **facts, **model, output_root="out", output_path="j")
    asked = JobHeader.loads(
        JobHeader(
            job="j", **facts, **model, output_root="out", output_path="j", options=JobOptions(unverified_overlays=True)
        ).dumps()
    )
    assert "unverified_overlays" not in plain.dumps()
    assert JobHeader.loads(plain.dumps()) == plain
    assert asked.options.unverified_overlays
