"""Options that several commands share."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import click
from click.core import ParameterSource

from hemo_cli.kinds import OutputFolder, OutputNames
from hemo_cli.settings import SETTINGS, Command
from hemo_core.errors import SettingsError, UsageError

if TYPE_CHECKING:
    from hemo_core.bundle.manifest import Precision
    from hemo_core.inference.precision import Wanted


def json_option(command: Command) -> Command:
    """``--json``: one JSON document on standard output, errors included."""
    text = "Print one JSON document instead of tables; errors too."
    return click.option("--json", "as_json", is_flag=True, help=text)(command)


def folder_option(
    text: str, default: Path | None = None, default_text: str | None = None
) -> Callable[[Command], Command]:
    """``--out`` of a command that makes no job: the argument ``folder``."""
    shown: str | bool = default_text or default is not None
    return click.option("--out", "folder", type=OutputFolder(), default=default, show_default=shown, help=text)


def bundle_argument(command: Command) -> Command:
    """An optional bundle path."""
    return click.argument("path", required=False, type=click.Path(path_type=Path))(command)


broker_option = SETTINGS["broker"].option()
bundle_option = SETTINGS["bundle"].option()
trusted_option = SETTINGS["trusted_keys"].option()
device_option = SETTINGS["device"].option()
precision_option = SETTINGS["precision"].option()
explainer_option = SETTINGS["explainer"].option()
root_option = SETTINGS["roots"].option()
out_option = SETTINGS["out"].option()


def overlays_option(command: Command) -> Command:
    """``--overlays`` and its short form ``--no-explain``."""
    command = click.option("--no-explain", is_flag=True, help="The same as --overlays never.")(command)
    return SETTINGS["overlays"].option()(command)


def outputs_option(command: Command) -> Command:
    """``--outputs``: what is written for each scan; empty if nobody says."""
    text = "What is written for each scan beside its report. May be repeated."
    return click.option(
        "--outputs",
        type=OutputNames(),
        multiple=True,
        callback=lambda _, __, lists: tuple(dict.fromkeys(name for names in lists for name in names)),
        metavar="NAME,…",
        help=f"{text} [default: report,pictures,page]",
    )(command)


def rows_option(command: Command) -> Command:
    """``--rows N``: length of the printed tables."""
    text = "Print at most so many scans of each kind."
    return click.option("--rows", type=click.IntRange(min=0), default=15, show_default=True, help=text)(command)


def on_command_line(parameter: str) -> bool:
    """Whether the user typed it, rather than a variable, the settings file or the default saying it."""
    return click.get_current_context().get_parameter_source(parameter) is ParameterSource.COMMANDLINE


def chosen_overlays(overlays: str, *, no_explain: bool) -> str:
    """What the two flags say together. Raises UsageError where they contradict each other."""
    if not no_explain:
        return overlays
    if on_command_line("overlays") and overlays != "never":
        raise UsageError(f"--no-explain contradicts --overlays {overlays}")
    return "never"


def demanded(wanted: Wanted) -> Precision | None:
    """What a job asks of its workers: nothing with ``auto``."""
    return None if wanted == "auto" else wanted


def need_broker(url: str | None) -> str:
    """A broker's URL. Raises SettingsError if nobody names one."""
    if not url:
        raise SettingsError("no broker given", hint="--broker redis://HOST:6379/0, or HEMO_BROKER, or hemo.toml")
    return url
