"""``hemo-batch``: the commands, loaded only when they are called, so that ``--help`` is instant."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from importlib import import_module
from io import TextIOWrapper
from itertools import takewhile

import click

from hemo_cli.failure import exit_code
from hemo_cli.settings import default_map, load_settings
from hemo_core import __version__
from hemo_core.errors import SettingsError

COMMANDS = {
    "submit": "hemo_cli.commands.submit:submit",
    "status": "hemo_cli.commands.jobs:status",
    "watch": "hemo_cli.commands.jobs:watch",
    "results": "hemo_cli.commands.results:results",
    "cancel": "hemo_cli.commands.jobs:cancel",
    "resume": "hemo_cli.commands.reopen:resume",
    "retry": "hemo_cli.commands.reopen:retry",
    "worker": "hemo_cli.commands.worker:worker",
    "inspect": "hemo_cli.commands.inspect:inspect",
    "demo": "hemo_cli.commands.demo:demo",
    "doctor": "hemo_cli.commands.doctor:doctor",
    "bundle": "hemo_cli.commands.bundle:bundle",
    "train": "hemo_cli.commands.training:train",
    "crossval": "hemo_cli.commands.training:crossval",
    "learning-curve": "hemo_cli.commands.training:learning_curve",
    "leakage": "hemo_cli.commands.training:leakage",
    "evaluate": "hemo_cli.commands.evaluate:evaluate",
    "dataset": "hemo_cli.commands.dataset:dataset",
    "export": "hemo_cli.commands.export:export",
    "bench": "hemo_cli.commands.bench:bench",
    "metrics": "hemo_cli.commands.metrics:metrics",
    "config": "hemo_cli.commands.config:config",
}

EPILOG = """\b
Examples:
  hemo-batch demo                                   synthetic scans, start to end
  hemo-batch inspect ./scans                        what would be scored, and why not the rest
  hemo-batch submit ./scans --out ./reports         score a folder on this machine
  hemo-batch submit ./scans --broker redis://host   … on every worker of that broker
  hemo-batch resume ./reports/JOB                   finish what was interrupted

\b
Exit codes: 0 done, 1 some scans failed, 2 usage, 3 broker unreachable, 4 bundle refused, 5 device unavailable,
            6 output refused.
Settings: a flag, else the HEMO_… environment variable, else hemo.toml.
Research use only, not a medical device."""


class LazyGroup(click.Group):
    """A group that imports a command's module when the command is asked for."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Read the settings file for the command that follows; a wrong setting keeps nobody from reading the help."""
        if args and args != ["--version"] and not ctx.resilient_parsing:
            try:
                ctx.obj = load_settings()
                ctx.default_map = dict.fromkeys(COMMANDS, default_map(ctx.obj))
            except SettingsError:
                if not set(args) & set(ctx.help_option_names):
                    raise
                args = [*takewhile(lambda word: not word.startswith("-"), args), "--help"]
        return super().parse_args(ctx, args)

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002
        """Names in the order of :data:`COMMANDS`."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002
        """Import and return a command; None for an unknown name."""
        if cmd_name not in COMMANDS:
            return None
        module, _, attribute = COMMANDS[cmd_name].partition(":")
        command: click.Command = getattr(import_module(module), attribute)
        return command


@click.command(
    cls=LazyGroup,
    epilog=EPILOG,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110},
)
@click.version_option(__version__, prog_name="hemo-batch")
def cli() -> None:
    """Find intracranial hemorrhage on head CT, in bulk, on machines you own."""


def run(args: Sequence[str]) -> int:
    """Run one command line and return its exit code; every error ends here."""
    try:
        result = cli.main(args=list(args), prog_name="hemo-batch", standalone_mode=False)
        sys.stdout.flush()  # here a closed pipe or a full disk can still be told
    except BaseException as error:  # noqa: BLE001 - turned into an exit code; a bug prints its traceback
        return exit_code(error, as_json="--json" in args)
    return int(result or 0)


def main() -> None:
    """The console script. A character that the terminal does not know is spelt out, it ends nothing."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
    sys.exit(run(sys.argv[1:]))
