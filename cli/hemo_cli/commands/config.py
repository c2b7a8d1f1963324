"""``hemo-batch config show``: each setting, its value, and who said so."""

from __future__ import annotations

import os
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from hemo_cli.console import out, plain, print_json
from hemo_cli.options import json_option
from hemo_cli.settings import SETTINGS, Setting, load_settings

if TYPE_CHECKING:
    from hemo_core.settings import SettingsFile


@dataclass(frozen=True, slots=True)
class Effective:
    """A setting as a command without flags takes it.

    Attributes:
        name: its key in ``hemo.toml``.
        value: JSON-ready, without passwords; None where nothing is set.
        source: ``environment``, ``file`` or ``default``.
        where: the variable, or the file's path; None for a default.
    """

    name: str
    value: Any
    source: str
    where: str | None


@click.group()
def config() -> None:
    """Look at the settings."""


@config.command()
@json_option
def show(as_json: bool) -> None:
    """Say what each setting is, and where that comes from.

    A flag wins over its HEMO_… variable, that over hemo.toml (or the file that HEMO_CONFIG names), that over the
    default. Passwords are left out.
    """
    file = load_settings()
    found = [_effective(setting, file) for setting in SETTINGS.values()]
    if as_json:
        print_json({"file": None if file.path is None else str(file.path), "settings": [asdict(one) for one in found]})
        return
    _show(found)


def _effective(setting: Setting, file: SettingsFile) -> Effective:
    if raw := os.environ.get(setting.variable):
        value = setting.parse(raw, setting.variable)
        return Effective(setting.key, _printable(setting, value), "environment", setting.variable)
    if setting.key in file.values:
        value = setting.parse(file.values[setting.key], setting.key, str(file.path))
        return Effective(setting.key, _printable(setting, value), "file", str(file.path))
    return Effective(setting.key, _printable(setting, setting.default), "default", None)


def _printable(setting: Setting, value: Any) -> Any:
    """JSON-ready, in the words in which it could be set; never a password."""
    from hemo_core.bundle.keys import PublicKey
    from hemo_core.jobs.queue import safe_url

    match value:
        case str() if setting.key == "broker":
            return safe_url(value)
        case PublicKey():
            return value.text
        case (str(name), Path() as path):
            return f"{name}={path}"
        case tuple():
            return [_printable(setting, one) for one in value]
        case Path():
            return str(value)
    return value


def _show(found: list[Effective]) -> None:
    from rich.table import Table

    table = Table(box=None, pad_edge=False, header_style="bold")
    for title in ("setting", "value", "from"):
        table.add_column(title, overflow="fold")
    for one in found:
        value = ", ".join(one.value) if isinstance(one.value, list) else one.value
        shown = SETTINGS[one.name].default_text or "" if value is None else str(value)
        table.add_row(one.name, plain(shown), plain(one.where or one.source))
    out().print(table)
