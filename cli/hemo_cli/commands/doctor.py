"""``hemo-batch doctor``: what works on this machine, and what to do about the rest."""

from __future__ import annotations

from pathlib import Path

import click

from hemo_cli.console import out as console
from hemo_cli.console import plain, print_json
from hemo_cli.failure import Exit
from hemo_cli.options import (
    broker_option,
    bundle_option,
    json_option,
    out_option,
    out_setting,
    path_setting,
    setting,
    trusted_setting,
)
from hemo_core.checks import Check, run_checks

_MARKS = {"ok": "[green]ok[/]", "absent": "[yellow]absent[/]", "problem": "[bold red]problem[/]"}


@click.command()
@broker_option
@bundle_option
@out_option
@json_option
def doctor(broker: str | None, bundle: Path | None, out: Path | None, as_json: bool) -> int:
    """Say what works on this machine and what to do.

    Checks Python, packages, codecs, Redis, the bundle, the device and the disk. Exit code 1 if something is broken.
    """
    found = run_checks(
        broker=setting("broker", broker),
        bundle=path_setting("bundle", bundle),
        trusted=trusted_setting(None),
        folder=out_setting(out),
    )
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
