"""The options of ``hemo-batch export --from``: what a model file from elsewhere does not tell."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TypeVar

import click

from hemo_core.bundle.contract import Window
from hemo_core.errors import UsageError

Command = TypeVar("Command", bound=Callable[..., Any])


def import_options(command: Command) -> Command:
    """``--from``, and the fields of :class:`hemo_export.legacy.make_run.Assumptions`."""
    for option in reversed(_options()):
        command = option(command)
    return command


def stated(options: Mapping[str, Any]) -> dict[str, Any]:
    """Those options of :func:`import_options` that were typed."""
    return {name: value for name, value in options.items() if value not in {None, ()}}


def _options() -> tuple[Callable[[Command], Command], ...]:
    number = click.FloatRange(min=0)
    return (
        click.option(
            "--from",
            "source",
            metavar="FILE",
            type=click.Path(path_type=Path, exists=True, dir_okay=False),
            help="Take an older Keras model of single pictures (.keras, .h5) instead of a RUN. What it does not tell:",
        ),
        click.option(
            "--threshold",
            type=click.FloatRange(0, 1, min_open=True, max_open=True),
            help="--from: probability from which a slice counts as positive. [default: 0.5]",
        ),
        click.option(
            "--window",
            "windows",
            multiple=True,
            metavar="LEVEL/WIDTH",
            callback=_windows,
            help="--from: display window of the training pictures in HU; again for each channel. [default: 40/120]",
        ),
        click.option(
            "--crop",
            type=click.Choice(["whole", "head"]),
            help="--from: whole pictures, or the square around the head. [default: whole]",
        ),
        click.option(
            "--pixels",
            type=(float, float),
            metavar="BLACK WHITE",
            help="--from: what black and white were to the model. [default: 0 1, or what its first layer undoes]",
        ),
        click.option(
            "--output-means",
            metavar="FINDING",
            help="--from: what an output of 1 means, or no-FINDING. [default: what the models from here look for]",
        ),
        click.option(
            "--slice-spacing",
            "slice_spacing_mm",
            type=number,
            metavar="MM",
            help="--from: average thinner slices to about this; 0: never. [default: 5]",
        ),
        click.option(
            "--beta",
            type=number,
            help="--from: how much the highest slices decide a scan, 0 (mean) upwards. [default: 1]",
        ),
        click.option("--licence", help="--from: licence of the weights. [default: not stated]"),
    )


def _windows(_: click.Context, __: click.Parameter, values: tuple[str, ...]) -> tuple[Window, ...]:
    return tuple(_window(value) for value in values)


def _window(text: str) -> Window:
    level, _, width = text.partition("/")
    try:
        window = Window(float(level), float(width))
    except ValueError as error:
        raise UsageError(f"--window {text!r} is no LEVEL/WIDTH", hint="--window 40/120") from error
    if not window.width > 0:
        raise UsageError(f"--window {text!r} has no width", hint="--window 40/120")
    return window
