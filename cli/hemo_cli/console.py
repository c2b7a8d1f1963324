"""How the commands speak: people read tables, programs read one JSON document on standard output."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rich.console import Console

_PIPED_WIDTH = 140


def out() -> Console:
    """The console for results."""
    return _console(stderr=False)


def err() -> Console:
    """The console for progress, hints and errors; it never mixes with results."""
    return _console(stderr=True)


def _console(*, stderr: bool) -> Console:
    from rich.console import Console

    class PipeConsole(Console):
        """Leaves a closed pipe to :mod:`hemo_cli.failure`; rich would end the process with code 1."""

        def on_broken_pipe(self) -> None:
            raise BrokenPipeError

    stream = sys.stderr if stderr else sys.stdout
    width = None if stream.isatty() else _PIPED_WIDTH
    return PipeConsole(stderr=stderr, width=width, highlight=False, soft_wrap=not stream.isatty())


def plain(text: object) -> str:
    """Text from outside, such as a file name, made safe to print: no markup, no terminal control characters."""
    from rich.markup import escape

    from hemo_core.text import visible

    return escape(visible(str(text)))


def print_json(value: Mapping[str, Any] | Sequence[Any]) -> None:
    """The one JSON document of a command."""
    ascii_only = not sys.stdout.encoding.lower().startswith("utf")
    sys.stdout.write(json.dumps(value, indent=2, ensure_ascii=ascii_only) + "\n")


def print_fields(title: str, rows: Mapping[str, object]) -> None:
    """A two-column table of names and values."""
    from rich.table import Table

    table = Table(title=title, title_justify="left", show_header=False, box=None, pad_edge=False)
    table.add_column(style="bold")
    table.add_column(overflow="fold")
    for name, value in rows.items():
        table.add_row(name, plain(value))
    out().print(table)


def interval_text(figure: Mapping[str, float] | None) -> str:
    """A figure with its 95 % interval; None where the data holds one class only."""
    return "one class only" if figure is None else f"{figure['value']:.3f} [{figure['low']:.3f}, {figure['high']:.3f}]"
