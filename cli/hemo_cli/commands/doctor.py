"""``hemo-batch doctor``: what works on this machine, and what to do about the rest."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from hemo_cli.console import out as console
from hemo_cli.console import plain, print_json
from hemo_cli.failure import Exit
from hemo_cli.options import broker_option, bundle_option, json_option, trusted_option
from hemo_cli.settings import SETTINGS
from hemo_core.checks import Check, run_checks

if TYPE_CHECKING:
    from hemo_core.bundle.keys import PublicKey

_MARKS = {"ok": "[green]ok[/]", "absent": "[yellow]absent[/]", "problem": "[bold red]problem[/]"}


@click.command()
@broker_option
@bundle_option
@trusted_option
@SETTINGS["out"].option(kind=click.Path(path_type=Path))  # it says itself what is wrong with it
@json_option
def doctor(
    broker: str | None, bundle: Path | None, trusted_keys: tuple[PublicKey, ...], out: Path, as_json: bool
) -> int:
    """Say what works on this machine and what to do.

    Checks Python, packages, codecs, Redis, the bundle, the device and the disk. Exit code 1 if something is broken.
    """
    found = run_checks(broker=broker, bundle=bundle, trusted=trusted_keys, folder=out)
    if as_json:
        print_json([check.to_json() for check in found])
    else:
        _show(found)
    return Exit.SCANS_FAILED if any(check.state == "problem" for check in found) else Exit.DONE


def _show(found: list[Check]) -> None:
    from rich.table import Table

    table = Table(box=None, pad_edge=False, show_header=False)
    for _ in range(3):
        table.add_column(overflow="fold")
    for check in found:
        table.add_row(_MARKS[check.state], plain(check.name), plain(check.detail))
        if check.hint:
            table.add_row("", "", f"[bold]→[/] {plain(check.hint)}")
    console().print(table)
