"""A bundle whose heat maps failed their check: no overlay, and why, unless someone insists."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from jobsite import write_series

from hemo_core.bundle import open_bundle, seal
from hemo_core.report import Report, load_report

pytestmark = pytest.mark.slow
WAIT_S = 300


@pytest.fixture(scope="module")
def failed(tiny_bundle: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The tiny bundle, with a failed check sealed into it."""
    folder = tmp_path_factory.mktemp("failed") / "tiny-0.0.1"
    shutil.copytree(tiny_bundle, folder)
    manifest = open_bundle(folder).content
    return seal(folder, {**manifest, "heatmaps": {"randomisation": {"passed": False}, "not_measured": {}}}).path


@pytest.fixture(scope="module")
def scans(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("scans")
    write_series(folder, ["one", "two", "three"])
    return folder


def submit(scans: Path, bundle: Path, out: Path, *flags: str, overlays: str | None = None) -> Path:
    command = (sys.executable, "-c", "from hemo_cli.main import main; main()", "submit", str(scans), *flags)
    options = ("--out", str(out), "--bundle", str(bundle), "--job", "job", "--explainer", "onnx", "--json")
    environment = {**os.environ, **({} if overlays is None else {"HEMO_OVERLAYS": overlays})}
    ran = subprocess.run(
        (*command, *options), capture_output=True, text=True, timeout=WAIT_S, check=False, env=environment
    )
    assert ran.returncode == 0, ran.stdout + ran.stderr
    return out / "job"


def explained(job: Path) -> list[Report]:
    """Reports with slices at or above the threshold."""
    reports = [load_report(path.read_bytes()) for path in sorted(job.glob("scans/*/report.json"))]
    return [report for report in reports if any(item.heatmap for item in report.slices)]


def test_no_overlay_is_printed_and_page_worklist_table_and_report_say_why(scans, failed, tmp_path):
    job = submit(scans, failed, tmp_path)
    reports = explained(job)
    assert reports
    assert not list(job.glob("scans/*/*.png"))
    for report in reports:
        assert {item.heatmap for item in report.slices} == {"withheld", None}
        assert "heatmaps_failed_check" in [note.code for note in report.quality]
        page = (job / "scans" / report.scan.scan_id / "index.html").read_text("utf-8")
        assert "heat maps failed their check" in page
        assert "randomisation check failed" in page
        assert "<img" not in page
    rows = json.loads((job / "index.html").read_text("utf-8").partition('id="data">')[2].partition("</script>")[0])
    assert "heatmaps_failed_check" in rows["texts"]["quality"]
    assert sum("heatmaps_failed_check" in row["quality"] for row in rows["rows"]) == len(reports)
    assert (job / "summary.csv").read_text("utf-8").count("heatmaps_failed_check") == len(reports)


def test_who_insists_gets_overlays_and_the_same_warning(scans, failed, tmp_path):
    job = submit(scans, failed, tmp_path, overlays="always")
    reports = explained(job)
    assert {item.heatmap for report in reports for item in report.slices} <= {"drawn", "empty_heatmap", None}
    assert len(list(job.glob("scans/*/*.png"))) == sum(
        item.heatmap == "drawn" for report in reports for item in report.slices
    )
    assert all("heatmaps_failed_check" in [note.code for note in report.quality] for report in reports)


def test_a_bundle_that_was_not_measured_draws_as_ever(scans, tiny_bundle, tmp_path):
    job = submit(scans, tiny_bundle, tmp_path)
    assert list(job.glob("scans/*/*.png"))
    assert "heatmaps_failed_check" not in (job / "summary.csv").read_text("utf-8")
    assert not list(submit(scans, tiny_bundle, tmp_path / "bare", "--overlays", "never").glob("scans/*/*.png"))


def test_flags_that_contradict_each_other_are_refused(scans, tiny_bundle, tmp_path):
    command = (sys.executable, "-c", "from hemo_cli.main import main; main()", "submit", str(scans), "--no-explain")
    ran = subprocess.run(
        (*command, "--overlays", "always", "--bundle", str(tiny_bundle), "--out", str(tmp_path)),
        capture_output=True,
        text=True,
        timeout=WAIT_S,
        check=False,
    )
    assert ran.returncode == 2
    assert "--no-explain contradicts --overlays always" in ran.stderr
