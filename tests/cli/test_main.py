"""Every command has help, loads late, and ends in a documented exit code."""

from __future__ import annotations

import subprocess
import sys

import click
import pytest

from hemo_cli import main
from hemo_cli.failure import Exit, exit_code
from hemo_core.errors import HemoError, all_errors

HEAVY = ("tensorflow", "keras", "onnxruntime", "celery", "matplotlib", "numpy", "pydicom", "cv2", "redis", "nibabel")


def commands() -> list[tuple[str, ...]]:
    found: list[tuple[str, ...]] = []
    context = click.Context(main.cli)
    for name in main.COMMANDS:
        command = main.cli.get_command(context, name)
        found.append((name,))
        if isinstance(command, click.Group):
            found.extend((name, inner) for inner in command.commands)
    return found


@pytest.mark.parametrize("command", commands(), ids=" ".join)
def test_every_command_explains_itself(hemo, command):
    ran = hemo(*command, "--help")

    assert ran.code == Exit.DONE
    summary = ran.out.split("\n\n")[1].strip()
    assert len(summary) > 20, ran.out


def test_the_overview_names_every_command_and_exit_code(hemo):
    ran = hemo("--help")

    assert all(f"\n  {name} " in ran.out for name in main.COMMANDS)
    assert "0 done, 1 some scans failed, 2 usage, 3 broker unreachable, 4 bundle refused, 5 device" in ran.out
    assert "6 output refused" in ran.out


def test_help_imports_nothing_heavy():
    program = (
        "import sys; from hemo_cli.main import run; code = run(['--help']);"
        f"print([name for name in {HEAVY} if name in sys.modules], file=sys.stderr); sys.exit(code)"
    )

    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)

    assert done.stderr.strip() == "[]"


def test_an_unknown_command_is_a_usage_error(hemo):
    ran = hemo("sumbit", "x")

    assert ran.code == Exit.USAGE
    assert "No such command 'sumbit'" in ran.err


def test_a_usage_error_is_json_with_json(hemo):
    ran = hemo("bundle", "show", "--json", "--no-such-flag")

    assert ran.code == Exit.USAGE
    assert ran.json["error"]["code"] == "usage"
    assert ran.err == ""


@pytest.mark.parametrize("error", list(all_errors()), ids=lambda error: error.code)
def test_every_error_of_the_tree_gets_its_exit_code_and_says_what_to_do(error, capsys):
    problem = error("it broke [not markup]", path="a/[b].dcm", hint="mend it")

    assert exit_code(problem, as_json=False) == error.exit_code
    printed = capsys.readouterr()
    assert printed.out == ""
    assert error.code in printed.err
    assert "it broke [not markup]" in printed.err
    assert "a/[b].dcm" in printed.err
    assert "mend it" in printed.err


def test_exit_codes_are_those_of_the_help():
    codes = {error.exit_code for error in all_errors()}

    assert codes == {Exit.SCANS_FAILED, Exit.USAGE, Exit.BROKER, Exit.BUNDLE, Exit.DEVICE, Exit.OUTPUT}


def test_control_characters_of_a_file_name_never_reach_the_terminal(capsys):
    exit_code(HemoError("bad", path="evil\x1b[2Jname"), as_json=False)

    assert "\x1b[2J" not in capsys.readouterr().err


def test_a_bug_prints_its_traceback_and_asks_for_a_report(capsys):
    try:
        raise ZeroDivisionError("division by zero")
    except ZeroDivisionError as error:
        code = exit_code(error, as_json=False)

    assert code == Exit.BUG
    assert "Traceback" in (printed := capsys.readouterr().err)
    assert "please report it" in printed


def test_ctrl_c_is_not_a_traceback(capsys):
    assert exit_code(KeyboardInterrupt(), as_json=False) == Exit.INTERRUPTED
    assert "Traceback" not in capsys.readouterr().err
