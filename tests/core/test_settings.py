"""Flag, then environment, then hemo.toml, then default."""

from __future__ import annotations

from pathlib import Path

import pytest

from hemo_core.errors import SettingsError
from hemo_core.settings import Sources, parse_bool, parse_roots


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "hemo.toml").write_text('broker = "redis://toml"\nroots = ["a=/a", "b=/b"]\n[worker]\nthreads = 3\n')
    return tmp_path


def test_the_nearer_source_wins(folder: Path):
    environ = {"HEMO_BROKER": "redis://environ", "HEMO_WORKER_THREADS": "4"}
    both, toml, nothing = Sources.load(environ, folder), Sources.load({}, folder), Sources({}, {})
    assert both.pick("broker", "redis://flag", "", str) == "redis://flag"
    assert both.pick("broker", None, "", str) == "redis://environ"
    assert toml.pick("broker", None, "", str) == "redis://toml"
    assert nothing.pick("broker", None, "default", str) == "default"
    assert [source.pick("worker.threads", None, 1, int) for source in (both, toml, nothing)] == [4, 3, 1]
    assert toml.pick("roots", None, {}, parse_roots) == {"a": Path("/a"), "b": Path("/b")}


def test_an_empty_variable_counts_as_not_set(folder: Path):
    assert Sources.load({"HEMO_BROKER": ""}, folder).pick("broker", None, "", str) == "redis://toml"


def test_nonsense_names_its_place(folder: Path):
    with pytest.raises(SettingsError, match="HEMO_WORKER_THREADS: 'many' cannot be used"):
        Sources.load({"HEMO_WORKER_THREADS": "many"}, folder).pick("worker.threads", None, 1, int)
    with pytest.raises(SettingsError, match=r"worker\.threads in .*hemo\.toml"):
        Sources({}, {"worker": {"threads": "x"}}, folder / "hemo.toml").pick("worker.threads", None, 1, int)


def test_a_named_file_must_exist_and_be_toml(tmp_path: Path):
    with pytest.raises(SettingsError, match="not there"):
        Sources.load({"HEMO_CONFIG": str(tmp_path / "none.toml")}, tmp_path)
    (tmp_path / "hemo.toml").write_text("= nonsense")
    with pytest.raises(SettingsError, match="cannot be read as TOML"):
        Sources.load({}, tmp_path)
    assert Sources.load({}, tmp_path / "elsewhere").table == {}


def test_words_for_yes_and_no():
    assert [parse_bool(word) for word in ("yes", "On", "1", "no", "FALSE")] == [True, True, True, False, False]
    with pytest.raises(ValueError, match="true or false"):
        parse_bool("perhaps")


@pytest.mark.parametrize("text", ["scans", "=/a", "a=", "a=/x,a=/y"])
def test_malformed_roots_are_refused(text: str):
    with pytest.raises(ValueError, match=r"root|name"):
        parse_roots(text)
