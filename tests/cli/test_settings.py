"""A flag wins over the environment, that over the file; what is wrong is said in the command that was typed."""

from __future__ import annotations

import re
from pathlib import Path

import click
import pytest

from hemo_cli import main
from hemo_cli.failure import Exit
from hemo_cli.settings import SETTINGS
from hemo_core.bundle.keys import PublicKey
from hemo_core.settings import check_variables

PAGE = Path(__file__).resolve().parents[2] / "docs" / "settings.md"
KEY = PublicKey(bytes(range(32))).text
VALUES = {
    "broker": "redis://h",
    "bundle": "/b",
    "trusted_keys": KEY,
    "device": "cpu",
    "precision": "int8",
    "explainer": "onnx",
    "overlays": "never",
    "roots": "a=/b",
    "out": "o",
    "metrics.address": "::1",
}


def options() -> list[tuple[str, click.Option]]:
    """Every option of every command, with the command's name."""
    context, found = click.Context(main.cli), []
    for name in main.COMMANDS:
        command = main.cli.get_command(context, name)
        inner = command.commands.items() if isinstance(command, click.Group) else [("", command)]
        found += [(f"{name} {sub}".strip(), option) for sub, one in inner for option in one.params]
    return found


def test_every_setting_is_documented_with_its_variable():
    documented = re.findall(r"^\| `([\w.]+)` \| `(HEMO_\w+)` \|", PAGE.read_text("utf-8"), re.MULTILINE)

    assert documented == [(key, setting.variable) for key, setting in SETTINGS.items()]


def test_no_variable_that_the_project_itself_sets_or_reads_is_refused():
    root = PAGE.parents[1]
    files = [root / "Makefile", *root.glob("docker/*"), *root.glob("deploy/**/*"), *root.glob(".ci/*")]
    files += [path for room in ("core", "trainer", "export", "worker") for path in root.glob(f"{room}/**/*.py")]
    texts = [path.read_text("utf-8") for path in files if path.is_file()]

    names = {name for text in texts for name in re.findall(r"(?<![A-Z_])HEMO_[A-Z][A-Z_]*[A-Z]", text)}

    assert {"HEMO_TF_THREADS", "HEMO_SCANS", "HEMO_TEST_WHEEL"} <= names
    check_variables(dict.fromkeys(names, "x"), SETTINGS)


def test_every_setting_is_an_option_and_no_other_option_takes_its_name():
    by_parameter = {setting.parameter: setting for setting in SETTINGS.values()}
    heard = set()
    for command, option in options():
        if option.name in by_parameter:
            assert option.envvar == by_parameter[option.name].variable, (command, option.name)
            heard.add(option.name)

    assert heard == set(by_parameter)


@pytest.mark.parametrize("key", [key for key in SETTINGS if key not in ("overlays", "out")])
def test_a_worker_hears_the_variable_and_the_file(worker_told, monkeypatch, key):
    field = {"metrics.port": "metrics_port", "metrics.address": "metrics_address"}.get(key, key.removeprefix("worker."))
    value = VALUES.get(key, "7")
    broker = () if key == "broker" else ("--broker", "redis://b")
    plain = getattr(worker_told("--broker", "redis://b"), field)

    monkeypatch.setenv(SETTINGS[key].variable, value)
    by_variable = getattr(worker_told(*broker), field)
    monkeypatch.delenv(SETTINGS[key].variable)
    table, _, name = key.rpartition(".")
    Path("hemo.toml").write_text((f"[{table}]\n" if table else "") + f'{name} = "{value}"\n', encoding="utf-8")
    by_file = getattr(worker_told(*broker), field)

    assert by_variable == by_file != plain


def test_a_flag_wins_over_the_environment_and_that_over_the_file(hemo, monkeypatch):
    Path("hemo.toml").write_text('broker = "redis://127.0.0.1:1/file"\n', encoding="utf-8")
    assert "127.0.0.1:1/file" in said(hemo("status", "--json"))
    monkeypatch.setenv("HEMO_BROKER", "redis://127.0.0.1:1/environment")
    assert "127.0.0.1:1/environment" in said(hemo("status", "--json"))
    assert "127.0.0.1:1/flag" in said(hemo("status", "--broker", "redis://127.0.0.1:1/flag", "--json"))


def said(ran) -> str:
    assert ran.code == Exit.BROKER
    return ran.out


def test_nonsense_in_the_file_names_the_file(hemo):
    Path("hemo.toml").write_text("broker = \n", encoding="utf-8")

    ran = hemo("status", "--json")

    assert ran.code == Exit.USAGE
    assert ran.json["error"]["path"].endswith("hemo.toml")


@pytest.mark.parametrize(
    ("text", "message", "hint"),
    [
        ('device = "cpuu"', "device: 'cpuu' is not one of 'auto', 'cpu', 'cuda'.", "did you mean cpu?"),
        ("[worker]\nbatch = 3.5", "worker.batch: '3.5' is not a valid", None),
        ("[worker]\nbatch = true", "worker.batch: 'True' is not a valid", None),
        ("[worker]\nlease_s = 0", "worker.lease_s: 0.0 is not in the range", None),
        ('device = ["cpu"]', "device takes one value, not a list", None),
        ('bundle = ["a", "b"]', "bundle takes one value, not a list", None),
        ('roots = ["a"]', "roots: 'a' is not NAME=PATH", None),
        ("devise = 1", "devise is no setting", "did you mean device?"),
    ],
)
def test_submit_itself_refuses_a_wrong_entry_of_the_file(hemo, text, message, hint):
    Path("hemo.toml").write_text(text, encoding="utf-8")
    Path("scans").mkdir()

    ran = hemo("submit", "scans", "--json")

    assert ran.code == Exit.USAGE
    assert ran.json["error"]["message"].startswith(message)
    assert ran.json["error"]["hint"] == hint
    assert ran.json["error"]["path"].endswith("hemo.toml")


@pytest.mark.parametrize(
    ("variable", "value", "words"),
    [
        ("HEMO_DEVICE", "tpu", "HEMO_DEVICE: 'tpu' is not one of"),
        ("HEMO_WORKER_THREADS", "many", "HEMO_WORKER_THREADS: 'many' is not a valid"),
        ("HEMO_DEVCE", "cpu", "did you mean HEMO_DEVICE?"),
        ("HEMO_TRUSTED_KEY", "ed25519:AAAA", "did you mean HEMO_TRUSTED_KEYS?"),
    ],
)
def test_submit_itself_refuses_a_wrong_variable(hemo, monkeypatch, variable, value, words):
    monkeypatch.setenv(variable, value)
    Path("scans").mkdir()

    ran = hemo("submit", "scans")

    assert ran.code == Exit.USAGE
    assert words in ran.err


def test_an_empty_variable_says_nothing(hemo, monkeypatch):
    monkeypatch.setenv("HEMO_BROKER", "")
    monkeypatch.setenv("HEMO_TRUSTED_KEYS", "")

    assert hemo("config", "show").code == Exit.DONE


def test_a_wrong_setting_keeps_nobody_from_reading_the_help(hemo):
    Path("hemo.toml").write_text('device = "tpu"\n', encoding="utf-8")

    for command in (["--help"], ["submit", "scans", "--help"], ["bundle", "show", "-h"], ["--version"]):
        assert hemo(*command).code == Exit.DONE, command


def test_two_roots_of_one_name_are_refused(hemo):
    Path("scans").mkdir()

    ran = hemo("submit", "scans", "--root", "a=/x", "--root", "a=/y", "--json")

    assert ran.code == Exit.USAGE
    assert "'--root'" in ran.json["error"]["message"]


def test_config_show_says_each_value_and_who_said_it(hemo, monkeypatch):
    Path("hemo.toml").write_text(f'device = "cpu"\ntrusted_keys = ["{KEY}"]\n[worker]\nbatch = 4\n', encoding="utf-8")
    monkeypatch.setenv("HEMO_BROKER", "redis://reader:secret@queue:6379/0")
    monkeypatch.setenv("HEMO_ROOTS", "scans=/mnt/scans")
    monkeypatch.setenv("HEMO_WORKER_BATCH", "8")

    ran = hemo("config", "show", "--json")

    file = str(Path.cwd() / "hemo.toml")
    found = {one.pop("name"): one for one in ran.json["settings"]}
    assert ran.json["file"] == file
    assert list(found) == list(SETTINGS)
    assert found["device"] == {"value": "cpu", "source": "file", "where": file}
    assert found["trusted_keys"] == {"value": [KEY], "source": "file", "where": file}
    assert found["broker"]["value"] == "redis://reader@queue:6379/0"
    assert found["roots"] == {"value": ["scans=/mnt/scans"], "source": "environment", "where": "HEMO_ROOTS"}
    assert found["worker.batch"] == {"value": 8, "source": "environment", "where": "HEMO_WORKER_BATCH"}
    assert found["out"] == {"value": "reports", "source": "default", "where": None}
    table = hemo("config", "show").out
    assert "secret" not in ran.out + table
    assert re.search(r"^worker\.batch +8 +HEMO_WORKER_BATCH", table, re.MULTILINE)


def test_config_show_names_the_variable_that_holds_no_key(hemo, monkeypatch):
    monkeypatch.setenv("HEMO_TRUSTED_KEYS", "ed25519:AAAA")

    ran = hemo("config", "show")

    assert ran.code == Exit.USAGE
    assert "HEMO_TRUSTED_KEYS: an ed25519 key has 32 bytes" in ran.err


def test_a_key_that_the_file_misnames_is_told_with_the_file(hemo):
    Path("hemo.toml").write_text('trusted_keys = ["nowhere.pub"]\n', encoding="utf-8")

    ran = hemo("bundle", "verify", "--json")

    assert ran.code == Exit.USAGE
    assert ran.json["error"]["path"].endswith("hemo.toml")
    assert ran.json["error"]["message"].startswith("trusted_keys: no key can be read there")


def test_config_show_shows_a_place_that_cannot_be_written_to(hemo, monkeypatch):
    Path("file").touch()
    monkeypatch.setenv("HEMO_OUT", "file/reports")

    ran = hemo("config", "show", "--json")

    assert ran.code == Exit.DONE
    assert {"name": "out", "value": "file/reports", "source": "environment", "where": "HEMO_OUT"} in ran.json[
        "settings"
    ]
