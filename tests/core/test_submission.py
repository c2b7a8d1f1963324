"""What a submit checks before anything is written."""

from __future__ import annotations

from pathlib import Path

import pytest
from hollow import write_hollow

from hemo_core.errors import PrecisionRefused, SettingsError, UsageError
from hemo_core.jobs import JobOptions
from hemo_core.jobs.submission import Submission, prepare_submission
from hemo_core.scans.discover import Discovery, discover


def search(path: Path, root_name: str) -> Discovery:
    return discover(path, root_name=root_name)


@pytest.fixture
def scans(tmp_path: Path) -> Path:
    folder = tmp_path / "archive" / "2026" / "night"
    folder.mkdir(parents=True)
    (folder / "a.png").write_bytes(b"\x89PNG\r\n\x1a\n")
    return folder


def prepared(tmp_path: Path, scans: Path, **asked) -> Submission:
    bundle = tmp_path / "hollow"
    if not bundle.is_dir():
        write_hollow(bundle)
    return prepare_submission(scans, tmp_path / "out", search, bundle=bundle, **asked)


def test_a_folder_that_no_root_holds_is_a_root_of_its_own(tmp_path: Path, scans: Path) -> None:
    made = prepared(tmp_path, scans, job="night")
    assert made.mounts == {"out": tmp_path / "out", "scans": scans}
    assert made.job_dir == tmp_path / "out" / "night"
    assert [ref.path for ref in made.refs()] == ["a.png"]


def test_the_innermost_root_counts_and_paths_are_below_it(tmp_path: Path, scans: Path) -> None:
    roots = {"archive": tmp_path / "archive", "year": tmp_path / "archive" / "2026"}
    made = prepared(tmp_path, scans, roots=roots)
    assert [(ref.root, ref.path, ref.files) for ref in made.refs()] == [("year", "night/a.png", ("night/a.png",))]


@pytest.mark.parametrize("job", ["../evil", "a/b", ".hidden", "x" * 101])
def test_a_name_that_leads_elsewhere_is_a_usage_error(tmp_path: Path, scans: Path, job: str) -> None:
    with pytest.raises(UsageError, match="cannot be a job id") as caught:
        prepared(tmp_path, scans, job=job)
    assert caught.value.exit_code == 2


def test_an_output_outside_its_root_is_a_usage_error(tmp_path: Path, scans: Path) -> None:
    with pytest.raises(SettingsError, match="is not below the root 'out'"):
        prepared(tmp_path, scans, roots={"out": tmp_path / "elsewhere"})


def test_a_precision_that_the_bundle_lacks_is_refused_before_anything_is_written(tmp_path: Path, scans: Path) -> None:
    with pytest.raises(PrecisionRefused):
        prepared(tmp_path, scans, options=JobOptions(precision="int8"))
    assert not (tmp_path / "out").exists()
