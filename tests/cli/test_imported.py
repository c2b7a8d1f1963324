"""``export --from``: which options go together. What it makes is tested in tests/export and tests/e2e."""

from __future__ import annotations

from pathlib import Path

import pytest

from hemo_core.bundle.contract import Window


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        ([], "give either a training run's folder or --from FILE"),
        (["run", "--from", "old.h5"], "give either a training run's folder or --from FILE"),
        (["run", "--threshold", "0.3"], "those options go with --from"),
        (["--from", "old.h5", "--window", "brain"], "'brain' is no LEVEL/WIDTH"),
        (["--from", "old.h5", "--window", "40/0"], "has no width"),
        (["--from", "old.h5", "--threshold", "1"], "not in the range"),
    ],
)
def test_what_does_not_fit_together_is_a_usage_error(hemo, tmp_path: Path, arguments: list[str], told: str):
    (tmp_path / "run").mkdir()
    (tmp_path / "old.h5").touch()
    ran = hemo("export", *arguments)
    assert ran.code == 2
    assert told in ran.err


def test_only_what_was_said_counts_as_said():
    from hemo_cli.import_options import stated

    silent = dict.fromkeys(
        ("threshold", "windows", "crop", "pixels", "output_means", "slice_spacing_mm", "beta", "licence")
    )
    assert stated({**silent, "windows": ()}) == {}
    said = {"windows": (Window(40, 80),), "slice_spacing_mm": 0.0, "pixels": (0.0, 255.0)}
    assert stated({**silent, **said}) == said


@pytest.mark.tensorflow
def test_a_file_that_is_refused_leaves_no_bundle_and_says_so(hemo, tmp_path: Path):
    (tmp_path / "old.h5").write_text("not a model")
    ran = hemo("export", "--from", "old.h5", "--out", "bundles", "--json")
    assert (ran.code, ran.json["error"]["code"]) == (1, "export_failed")
    assert not (tmp_path / "bundles").exists()
