"""The one place that turns an error into words, or into JSON, and an exit code."""

from __future__ import annotations

import os
import sys
import traceback
from enum import IntEnum

import click
from click.core import ParameterSource

from hemo_cli.console import err, plain, print_json
from hemo_core.errors import HemoError, SettingsError


class Exit(IntEnum):
    """What a finished command says to its caller."""

    DONE = 0
    """Everything asked for is done; a finding is not an error."""
    SCANS_FAILED = 1
    """The job ended but some scans failed, or the command could not do its work."""
    USAGE = 2
    """A wrong flag, path or setting; nothing was started."""
    BROKER = 3
    """Redis cannot be reached."""
    BUNDLE = 4
    """The model bundle is missing, altered or unsafe."""
    DEVICE = 5
    """The device that was asked for did not come up."""
    OUTPUT = 6
    """What was to be written could not be: no permission, a full or read-only disk, a file in the way."""
    BUG = 70
    """An unexpected error; please report it with the traceback."""
    INTERRUPTED = 130
    """Ctrl-C; a job that was running can be resumed."""


def exit_code(error: BaseException, *, as_json: bool) -> int:
    """Say what went wrong and return the exit code.

    Args:
        error: whatever a command raised.
        as_json: print ``{"error": {code, message, path, hint}}`` on standard output instead of words on standard error.
    """
    error = _of_the_file(error) or error
    if isinstance(error, HemoError):
        _say(error.code, error.message, error.path, error.hint, as_json=as_json)
        return error.exit_code
    if isinstance(error, click.ClickException):
        return _usage(error, as_json=as_json)
    if isinstance(error, (KeyboardInterrupt, click.Abort)):
        _say("interrupted", "interrupted", None, None, as_json=as_json)
        return Exit.INTERRUPTED
    if isinstance(error, BrokenPipeError):  # the reader of our output went away, as in `hemo-batch results | head`
        _let_go_of_output()
        return Exit.DONE
    if isinstance(error, SystemExit):  # shell completion ends so
        return error.code if isinstance(error.code, int) else Exit.DONE
    traceback.print_exception(error, file=sys.stderr)
    hint = "this is a bug in hemo-batch; please report it with the traceback on standard error"
    _say("bug", f"{type(error).__name__}: {error}", None, hint, as_json=as_json)
    return Exit.BUG


def _of_the_file(error: BaseException) -> SettingsError | None:
    """A wrong value that stands in the settings file, where click would blame the option."""
    match error:
        case click.BadParameter(ctx=click.Context() as ctx, param=click.Parameter(name=str() as name)):
            if ctx.get_parameter_source(name) is ParameterSource.DEFAULT_MAP:
                return SettingsError(f"{name}: {error.message}", path=str(ctx.find_root().obj.path))
    return None


def _usage(error: click.ClickException, *, as_json: bool) -> int:
    if as_json:
        _say("usage", error.format_message(), None, None, as_json=True)
    else:
        error.show()
    return Exit.USAGE


def _let_go_of_output() -> None:
    """Have what is still buffered go nowhere, or the interpreter complains of the closed pipe as it ends."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    for stream in (sys.stdout, sys.stderr):
        os.dup2(nowhere, stream.fileno())


def _say(code: str, message: str, path: str | None, hint: str | None, *, as_json: bool) -> None:
    if as_json:
        print_json({"error": {"code": code, "message": message, "path": path, "hint": hint}})
        return
    console = err()
    console.print(f"[bold red]error[/] [red]{code}[/]: {plain(message)}")
    if path:
        console.print(f"  [dim]where[/]  {plain(path)}")
    if hint:
        console.print(f"  [dim]do[/]     {plain(hint)}")
