"""Every setting: its key in ``hemo.toml``, its variable, its option, and what it may be.

click looks them up: the flag, else the variable, else the file (as the context's ``default_map``), else the default.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, TypeVar

import click

from hemo_cli.kinds import Key, OutputFolder, Root
from hemo_core.errors import SettingsError
from hemo_core.settings import SettingsFile, check_variables, did_you_mean, read_settings_file, variable_of
from hemo_worker.settings import WorkerSettings

Command = TypeVar("Command", bound=Callable[..., Any])

_WORKER = WorkerSettings(broker="")


@dataclass(frozen=True, slots=True)
class Setting:
    """One setting.

    Attributes:
        key: in ``hemo.toml``; dotted: of a table.
        flags: of its option.
        kind: click's type of one value.
        text: its help.
        default: if nobody says anything.
        default_text: what the help calls that default.
        several: an option that may be repeated.
        metavar: what the help calls a value.
        on_disk: names files, which only the commands that use them look at.
    """

    key: str
    flags: tuple[str, ...]
    kind: click.ParamType[Any]
    text: str
    default: Any = None
    default_text: str | None = None
    several: bool = False
    metavar: str | None = None
    on_disk: bool = False

    @property
    def variable(self) -> str:
        """In the environment."""
        return variable_of(self.key)

    @property
    def parameter(self) -> str:
        """The argument of a command's function: the key, with ``_`` for the dot."""
        return self.key.replace(".", "_")

    def option(self, *, required: bool = False, hidden: bool = False, **changed: Any) -> Callable[[Command], Command]:
        """The click option as a decorator.

        Args:
            required: nothing happens without it.
            hidden: in no help.
            changed: fields of this record that are different for a command.
        """
        here = replace(self, **changed) if changed else self
        return click.option(
            *here.flags,
            here.parameter,
            type=here.kind,
            help=here.text,
            default=None if here.several else here.default,
            required=required,
            hidden=hidden,
            multiple=here.several,
            metavar=here.metavar,
            envvar=here.variable,
            show_envvar=True,
            show_default=False if required else here.default_text or here.default is not None,
            callback=_unique_roots if isinstance(here.kind, Root) else None,
        )

    def parse(self, raw: str | list[str], name: str, path: str | None = None) -> Any:
        """The value that a text of the environment, or an entry of the file, means.

        Args:
            raw: what stands there.
            name: of the variable or of the key, for the message.
            path: of the file.

        Raises:
            SettingsError: it cannot be used.
        """
        parts = self.parts(raw, name, path)
        try:
            found = tuple(self.kind.convert(part, None, None) for part in parts)
        except click.BadParameter as problem:
            hint = did_you_mean(str(raw), self.kind.choices) if isinstance(self.kind, click.Choice) else None
            raise SettingsError(f"{name}: {problem.message}", path=path, hint=hint) from problem
        return found if self.several else found[0]

    def parts(self, raw: str | list[str], name: str, path: str | None = None) -> list[str]:
        """The texts in it, one unless it may be given several times. Arguments and error as of :meth:`parse`."""
        if isinstance(raw, str):
            return list(self.kind.split_envvar_value(raw)) if self.several else [raw]
        if not self.several:
            raise SettingsError(f"{name} takes one value, not a list", path=path)
        return raw


def _unique_roots(_: click.Context, option: click.Parameter, pairs: tuple[tuple[str, Path], ...]) -> dict[str, Path]:
    roots = dict(pairs)
    if len(roots) < len(pairs):
        raise click.BadParameter("one name is given to two places", param=option)
    return roots


def _count() -> click.IntRange:
    return click.IntRange(min=1)


def _seconds() -> click.FloatRange:
    return click.FloatRange(min=0, min_open=True)


_PATH: click.ParamType[Any] = click.Path(path_type=Path)

SETTINGS: Mapping[str, Setting] = {
    setting.key: setting
    for setting in (
        Setting(
            "broker",
            ("--broker",),
            click.STRING,
            "Redis that the workers listen to.",
            default_text="a private one on this machine",
            metavar="URL",
        ),
        Setting(
            "bundle",
            ("--bundle",),
            _PATH,
            "Model bundle: a folder or a .hemo file.",
            default_text="the one that came along",
            on_disk=True,
        ),
        Setting(
            "trusted_keys",
            ("--trusted-key",),
            Key(),
            "Refuse a bundle that no such key signed: a .pub file, or ed25519:…. May be repeated.",
            several=True,
            metavar="KEY",
            on_disk=True,
        ),
        Setting(
            "device",
            ("--device",),
            click.Choice(["auto", "cpu", "cuda"]),
            "cuda fails if CUDA does not come up; auto says what it chose.",
            default="auto",
        ),
        Setting(
            "precision",
            ("--precision",),
            click.Choice(["auto", "fp32", "fp16", "int8"]),
            "What the model computes in; auto says what it chose and why.",
            default="auto",
        ),
        Setting(
            "explainer",
            ("--explainer",),
            click.Choice(["auto", "tf", "onnx"]),
            "What draws heat maps: tf is the reference, onnx needs no TensorFlow.",
            default="auto",
        ),
        Setting(
            "overlays",
            ("--overlays",),
            click.Choice(["auto", "always", "never"]),
            "Draw heat maps; auto draws none if the model's failed their check.",
            default="auto",
        ),
        Setting(
            "roots",
            ("--root",),
            Root(),
            "Where a root is mounted here; workers know it by NAME. May be repeated.",
            several=True,
            metavar="NAME=PATH",
        ),
        Setting(
            "out",
            ("--out",),
            OutputFolder(),
            "Folder that jobs' folders lie in.",
            default=Path("reports"),
            on_disk=True,
        ),
        Setting(
            "worker.threads",
            ("--threads",),
            _count(),
            "Threads for one CNN call on the CPU.",
            default=_WORKER.threads,
            default_text="one a core",
        ),
        Setting("worker.readers", ("--readers",), _count(), "Threads that read scans ahead.", _WORKER.readers),
        Setting("worker.batch", ("--batch",), _count(), "Slices in one CNN call.", _WORKER.batch),
        Setting("worker.ahead", ("--ahead",), _count(), "Scans in flight at most.", _WORKER.ahead),
        Setting(
            "worker.ahead_bytes",
            ("--ahead-bytes",),
            _count(),
            "Decoded pixels in flight at most, in bytes.",
            _WORKER.ahead_bytes,
        ),
        Setting(
            "worker.lease_s",
            ("--lease",),
            _seconds(),
            "Seconds of silence after which a chunk is taken over.",
            _WORKER.lease_s,
        ),
        Setting(
            "worker.task_s",
            ("--task",),
            _seconds(),
            "Seconds after which a task claims no further chunk.",
            _WORKER.task_s,
        ),
        Setting(
            "worker.reconcile_s",
            ("--reconcile",),
            _seconds(),
            "Seconds between looks for lost messages.",
            _WORKER.reconcile_s,
        ),
        Setting(
            "metrics.port",
            ("--metrics-port",),
            click.IntRange(0, 65535),
            "Serve Prometheus metrics there; 0: any free port.",
            default_text="not at all",
        ),
        Setting(
            "metrics.address",
            ("--metrics-address",),
            click.STRING,
            "Address to serve them on.",
            _WORKER.metrics_address,
        ),
    )
}


def load_settings(environ: Mapping[str, str] | None = None, folder: Path | None = None) -> SettingsFile:
    """The settings file. Names and values are checked, those of the environment too, whatever the command uses.

    Raises:
        SettingsError: a name means nothing, or a value cannot be used; it names the nearest right one.
    """
    variables = os.environ if environ is None else environ
    check_variables(variables, SETTINGS)
    file = read_settings_file(variables, folder or Path.cwd(), SETTINGS)
    for key, setting in SETTINGS.items():
        check = setting.parts if setting.on_disk else setting.parse
        if variables.get(setting.variable):
            check(variables[setting.variable], setting.variable)
        if key in file.values:
            check(file.values[key], key, str(file.path))
    return file


def default_map(file: SettingsFile) -> dict[str, str | list[str]]:
    """What click looks for in the file, by parameter."""
    found: dict[str, str | list[str]] = {}
    for key, raw in file.values.items():
        setting = SETTINGS[key]
        found[setting.parameter] = setting.parts(raw, key) if setting.several else raw
    return found
