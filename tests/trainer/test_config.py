"""Configurations: what is refused, and what a run notes of its own origin. None of it needs TensorFlow."""

import subprocess
from pathlib import Path

import pytest

from hemo_core.errors import SettingsError
from hemo_trainer.config import load_config
from hemo_trainer.runs import finish

REPOSITORY = Path(__file__).resolve().parents[2]


def test_unusable_configurations_say_what_is_wrong(tmp_path: Path):
    path = tmp_path / "bad.toml"
    path.write_text('[[sources]]\nlayout = "folder"\npath = "x"\n[fit]\nepoch = 3\n')
    with pytest.raises(SettingsError, match=r"bad\.toml: fit: unknown key 'epoch' \(did you mean 'epochs'\?\)"):
        load_config(path)
    path.write_text("name = 3\n")
    with pytest.raises(SettingsError, match="names no data"):
        load_config(path)
    with pytest.raises(SettingsError, match="cannot be read as TOML"):
        load_config(tmp_path / "absent.toml")


@pytest.mark.parametrize(
    ("lines", "words"),
    [
        ('[fit]\nepochs = "ten"', r"expected `int`, got `str` - at `\$\.fit\.epochs`"),
        ("[fit]\nepochs = true", r"expected `int`, got `bool` - at `\$\.fit\.epochs`"),
        ("[lesions]\ncontrast = [0.2]", r"length 2.*\$\.lesions\.contrast"),
        ('[architecture]\ncnn = "lite"', r"architecture\.cnn: unknown name 'lite' \(did you mean 'lite0'\?\)"),
        ("[[input.windows]]\nlevle = 40", r"input\.windows\[0\]: unknown key 'levle' \(did you mean 'level'\?\)"),
        ('[[sources]]\nlayout = "folders"\npath = "y"', r"unknown layout 'folders' \(did you mean 'folder'\?\)"),
        ("[fitt]\nepochs = 3", r"unknown key 'fitt' \(did you mean 'fit'\?\)"),
    ],
)
def test_a_wrong_value_is_refused_with_its_file_section_and_key(tmp_path: Path, lines: str, words: str):
    path = tmp_path / "bad.toml"
    path.write_text(f'[[sources]]\nlayout = "folder"\npath = "x"\n{lines}\n')
    with pytest.raises(SettingsError, match=rf"bad\.toml: .*{words}"):
        load_config(path)


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("findings = []", "findings: names none"),
        ('findings = ["mass_effect"]\n[lesions]\nrate = 0.1', r"lesions\.rate: what is painted is no mass_effect"),
    ],
)
def test_findings_that_cannot_be_trained_are_refused(tmp_path: Path, line: str, words: str):
    path = tmp_path / "bad.toml"
    path.write_text(f'sources = [{{layout = "folder", path = "x"}}]\n{line}\n')
    with pytest.raises(SettingsError, match=words):
        load_config(path)


def test_whole_numbers_stand_for_floats_and_lists_for_tuples(tmp_path: Path):
    path = tmp_path / "good.toml"
    path.write_text('[[sources]]\nlayout = "folder"\npath = "x"\n[split]\nval = 1\n[architecture]\nstages = [4, 6]\n')
    config = load_config(path)
    assert (config.split.val, config.architecture.stages) == (1.0, (4, 6))
    assert (config.name, config.sources[0].path) == ("good", str(tmp_path / "x"))


def test_the_commit_of_a_repository_that_holds_only_the_environment_is_not_taken(tmp_path: Path, monkeypatch):
    installed = tmp_path / ".venv/site-packages/hemo_trainer/runs/finish.py"
    installed.parent.mkdir(parents=True)
    installed.touch()
    git = ["git", "-C", str(tmp_path), "-c", "user.name=x", "-c", "user.email=x@example.org"]
    for command in (["init", "-q"], ["commit", "-q", "--allow-empty", "-m", "theirs"]):
        subprocess.run([*git, *command], check=True)
    with monkeypatch.context() as patch:
        patch.setattr(finish, "__file__", str(installed))
        assert finish._git_commit() is None
        subprocess.run([*git, "add", "-f", "."], check=True)
        assert finish._git_commit() is None, "not even where they track their environment"
    of_the_checkout = (REPOSITORY / ".git").exists() and Path(finish.__file__).is_relative_to(REPOSITORY / "trainer")
    assert len(finish._git_commit() or "") == (40 if of_the_checkout else 0), "of a wheel, none is known"
