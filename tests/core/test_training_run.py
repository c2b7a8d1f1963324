"""``run.json``: those of earlier versions are read, and a wrong type is named."""

import json
from pathlib import Path
from typing import Any

import pytest

from hemo_core.errors import ExportError
from hemo_core.training_run import TrainedOn, read_training_run

OLD = {
    "name": "hemo-ich",
    "input": {
        "height": 160,
        "width": 160,
        "windows": [{"level": 40.0, "width": 120.0}],
        "crop_margin": 0.04,
        "slice_spacing_mm": 5.0,
    },
    "scoring": {"labels": ["hemorrhage"], "beta": 1.0, "temperature": 1.25, "threshold": 0.31},
    "metrics": {"val": {}},
    "data": {
        "fingerprint": "f",
        "split_hash": "s",
        "sources": [{"source": "ct-ich", "side": "train", "patients": 9, "slices": 90, "positive_slices": 12}],
        "trained_on": {
            "patients": {"count": 9, "sha256_prefixes": "ab" * 6},
            "pictures": {"hash": "h", "count": 0, "packed": ""},
        },
    },
    "git_commit": None,
    "licence": "research use only",
    "seed": 20,
    "epochs": {"trained": 6, "kept": 6},
    "chosen_on": "out_of_fold",
    "scored_before": True,
}


def written(folder: Path, **changed: Any) -> Path:
    path = folder / "run.json"
    path.write_text(json.dumps({**OLD, **changed}), encoding="utf-8")
    return path


def test_a_run_of_an_earlier_version_names_its_finding(tmp_path: Path):
    run = read_training_run(written(tmp_path, something_newer=1), error=ExportError)
    (finding,) = run.scoring.findings
    assert (finding.name, finding.role, finding.temperature, finding.threshold) == ("hemorrhage", "primary", 1.25, 0.31)
    assert isinstance(run.data.trained_on, TrainedOn)
    assert run.input.height == 160


def test_what_is_written_is_read_again_and_holds_no_empty_section(tmp_path: Path):
    run = read_training_run(written(tmp_path), error=ExportError)
    content = run.to_json()
    assert "origin" not in content
    assert content["git_commit"] is None
    (tmp_path / "again.json").write_text(json.dumps(content), encoding="utf-8")
    assert read_training_run(tmp_path / "again.json", error=ExportError) == run


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"seed": "ten"}, r"got `str` - at `\$\.seed`"),
        ({"data": {"sources": [{"source": 3}]}}, r"\$\.data\.sources\[0\]"),
        ({"chosen_on": "test"}, r"\$\.chosen_on"),
        ({"scoring": {"labels": "hemorrhage"}}, r"\$\.scoring"),
    ],
)
def test_a_wrong_type_is_named(tmp_path: Path, changed: dict[str, Any], words: str):
    with pytest.raises(ExportError, match=rf"run\.json: malformed training run: .*{words}"):
        read_training_run(written(tmp_path, **changed), error=ExportError)


def test_a_folder_without_a_run_says_so(tmp_path: Path):
    with pytest.raises(ExportError, match="is this a training run's folder"):
        read_training_run(tmp_path / "run.json", error=ExportError)
