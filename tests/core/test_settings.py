"""``hemo.toml`` and the names of variables: what is unknown is refused, with the nearest right one."""

from __future__ import annotations

from pathlib import Path

import pytest

from hemo_core.errors import SettingsError
from hemo_core.settings import check_variables, read_settings_file, variable_of

KNOWN = ("broker", "roots", "worker.threads")


def written(folder: Path, text: str) -> Path:
    (folder / "hemo.toml").write_text(text, "utf-8")
    return folder


def test_tables_become_dotted_keys_and_values_become_texts(tmp_path):
    folder = written(tmp_path, 'broker = "redis://toml"\nroots = ["a=/a", "b=/b"]\n[worker]\nthreads = 3\n')

    file = read_settings_file({}, folder, KNOWN)

    assert file.path == folder / "hemo.toml"
    assert file.values == {"broker": "redis://toml", "roots": ["a=/a", "b=/b"], "worker.threads": "3"}


def test_without_a_file_nothing_is_set(tmp_path):
    assert read_settings_file({}, tmp_path, KNOWN).values == {}


def test_a_named_file_must_exist_and_be_toml(tmp_path):
    with pytest.raises(SettingsError, match="not there"):
        read_settings_file({"HEMO_CONFIG": str(tmp_path / "none.toml")}, tmp_path, KNOWN)
    with pytest.raises(SettingsError, match="cannot be read as TOML"):
        read_settings_file({}, written(tmp_path, "= nonsense"), KNOWN)


@pytest.mark.parametrize(
    ("text", "near"),
    [("brokr = 'x'", "broker"), ("[worker]\nthread = 1", "worker.threads"), ("threads = 1", "worker.threads")],
)
def test_an_unknown_key_names_the_nearest_right_one(tmp_path, text, near):
    with pytest.raises(SettingsError, match="is no setting") as caught:
        read_settings_file({}, written(tmp_path, text), KNOWN)

    assert caught.value.hint == f"did you mean {near}?"
    assert caught.value.path == str(tmp_path / "hemo.toml")


def test_a_key_like_no_other_is_told_all_of_them(tmp_path):
    with pytest.raises(SettingsError) as caught:
        read_settings_file({}, written(tmp_path, "zzz = 1"), KNOWN)

    assert all(key in caught.value.hint for key in KNOWN)


@pytest.mark.parametrize("text", ["broker = ''", "roots = []"])
def test_an_empty_value_is_refused(tmp_path, text):
    with pytest.raises(SettingsError, match="is empty"):
        read_settings_file({}, written(tmp_path, text), KNOWN)


def test_an_unknown_variable_names_the_nearest_right_one():
    with pytest.raises(SettingsError, match="HEMO_BROKR in the environment") as caught:
        check_variables({"HEMO_BROKR": "x"}, KNOWN)

    assert caught.value.hint == "did you mean HEMO_BROKER?"


def test_variables_that_say_nothing_or_are_not_ours_are_let_be():
    kubernetes = {"HEMO_REDIS_SERVICE_HOST": "10.0.0.1", "HEMO_REDIS_PORT_6379_TCP": "tcp://10.0.0.1:6379"}

    check_variables({variable_of(key): "x" for key in KNOWN} | kubernetes, KNOWN)
    check_variables({"HEMO_BROKR": "", "HEMO_TF_THREADS": "2", "HEMOGLOBIN": "1"}, KNOWN)
