"""Options that several commands share, and where their values come from when the flag is absent."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from hemo_core.errors import SettingsError, UsageError

if TYPE_CHECKING:
    from hemo_core.bundle.keys import PublicKey
    from hemo_core.inference.gradcam import WantedExplainer
    from hemo_core.inference.precision import Precision, Wanted

Command = TypeVar("Command", bound=Callable[..., Any])

DEFAULT_OUT = Path("reports")
OVERLAYS = ("auto", "always", "never")


def json_option(command: Command) -> Command:
    """``--json``: one JSON document on standard output, errors included."""
    text = "Print one JSON document instead of tables; errors too."
    return click.option("--json", "as_json", is_flag=True, help=text)(command)


def config_option(command: Command) -> Command:
    """``--config``: the TOML file of a training run."""
    path = click.Path(path_type=Path, exists=True, dir_okay=False)
    text = "TOML file that names the data and every hyper-parameter."
    return click.option("--config", required=True, type=path, help=text)(command)


def cache_option(command: Command) -> Command:
    """``--cache``: where training keeps preprocessed slices."""
    text = "Preprocessed slices. [default: OUT/cache]"
    return click.option("--cache", type=click.Path(path_type=Path, file_okay=False), help=text)(command)


def jobs_option(command: Command) -> Command:
    """``--jobs``: how many folds are fitted at a time."""
    count = click.IntRange(min=1)
    return click.option("--jobs", type=count, default=1, show_default=True, help="Folds at a time.")(command)


def pretrained_option(command: Command) -> Command:
    """``--pretrained``: weights of a first phase, so that it is not done again."""
    path = click.Path(path_type=Path, exists=True, dir_okay=False)
    text = "Weights of the first phase, from an earlier run with the same configuration."
    return click.option("--pretrained", type=path, help=text)(command)


def bundle_argument(command: Command) -> Command:
    """An optional bundle path."""
    return click.argument("path", required=False, type=click.Path(path_type=Path))(command)


def bundle_option(command: Command) -> Command:
    """``--bundle``."""
    text = "Model bundle: a folder or a .hemo file. [HEMO_BUNDLE; default: the one that came along]"
    return click.option("--bundle", type=click.Path(path_type=Path), help=text)(command)


def trusted_option(command: Command) -> Command:
    """``--trusted-key KEY``, repeatable."""
    text = "Refuse a bundle that no such key signed: a .pub file, or ed25519:…. May be repeated. [HEMO_TRUSTED_KEYS]"
    name = click.option("--trusted-key", "trusted", multiple=True, metavar="KEY", callback=parse_keys, help=text)
    return name(command)


def broker_option(command: Command) -> Command:
    """``--broker``."""
    text = "Redis that the workers listen to. [HEMO_BROKER; default: a private one on this machine]"
    return click.option("--broker", metavar="URL", help=text)(command)


def out_option(command: Command) -> Command:
    """``--out``."""
    text = f"Folder that jobs' folders lie in. [HEMO_OUT; default: {DEFAULT_OUT}]"
    return click.option("--out", type=click.Path(path_type=Path, file_okay=False), help=text)(command)


def device_option(command: Command) -> Command:
    """``--device``."""
    text = "cuda fails if CUDA does not come up; auto says what it chose. [HEMO_DEVICE; default: auto]"
    return click.option("--device", type=click.Choice(["auto", "cpu", "cuda"]), help=text)(command)


def precision_option(command: Command) -> Command:
    """``--precision``."""
    text = "What the model computes in; auto says what it chose and why. [HEMO_PRECISION; default: auto]"
    return click.option("--precision", type=click.Choice(["auto", "fp32", "fp16", "int8"]), help=text)(command)


def explainer_option(command: Command) -> Command:
    """``--explainer``."""
    text = "What draws heat maps: tf is the reference, onnx needs no TensorFlow. [HEMO_EXPLAINER; default: auto]"
    return click.option("--explainer", type=click.Choice(["auto", "tf", "onnx"]), help=text)(command)


def overlays_option(command: Command) -> Command:
    """``--overlays`` and its short form ``--no-explain``."""
    text = "Draw heat maps; auto draws none if the model's failed their check. [HEMO_OVERLAYS; default: auto]"
    command = click.option("--no-explain", is_flag=True, help="The same as --overlays never.")(command)
    return click.option("--overlays", type=click.Choice(OVERLAYS), help=text)(command)


def root_option(command: Command) -> Command:
    """``--root NAME=PATH``, repeatable."""
    text = "Where a root is mounted here; workers know it by NAME. May be repeated. [HEMO_ROOTS]"
    return click.option("--root", "roots", multiple=True, metavar="NAME=PATH", callback=_roots, help=text)(command)


def rows_option(command: Command) -> Command:
    """``--rows N``: length of the printed tables."""
    text = "Print at most so many scans of each kind."
    return click.option("--rows", type=click.IntRange(min=0), default=15, show_default=True, help=text)(command)


def setting(name: str, flag: str | None) -> str:
    """A text setting: flag, else environment, else ``hemo.toml``, else empty."""
    from hemo_core.settings import Sources

    return Sources.load().pick(name, flag, "", str)


def path_setting(name: str, flag: Path | None) -> Path | None:
    """A path setting, None if nobody names one."""
    from hemo_core.settings import Sources

    return Sources.load().pick(name, flag, None, Path)


def precision_setting(flag: str | None) -> Wanted:
    """The precision asked for, ``auto`` if nobody names one. Raises SettingsError."""
    from hemo_core.inference.precision import WANTED

    found = setting("precision", flag) or "auto"
    if found not in WANTED:
        raise SettingsError(f"precision {found!r} is unknown", hint="auto, fp32, fp16 or int8")
    return found


def explainer_setting(flag: str | None) -> WantedExplainer:
    """The explainer asked for, ``auto`` if nobody names one. Raises SettingsError."""
    from hemo_core.inference.gradcam import WANTED_EXPLAINERS

    found = setting("explainer", flag) or "auto"
    if found not in WANTED_EXPLAINERS:
        raise SettingsError(f"explainer {found!r} is unknown", hint="auto, tf or onnx")
    return found


def overlays_setting(flag: str | None, *, no_explain: bool) -> str:
    """One of :data:`OVERLAYS`. Raises SettingsError, or UsageError where the two flags contradict each other."""
    if no_explain and flag not in (None, "never"):
        raise UsageError(f"--no-explain contradicts --overlays {flag}")
    found = "never" if no_explain else setting("overlays", flag) or "auto"
    if found not in OVERLAYS:
        raise SettingsError(f"overlays {found!r} is unknown", hint=", ".join(OVERLAYS))
    return found


def demanded(wanted: Wanted) -> Precision | None:
    """What a job asks of its workers: nothing with ``auto``."""
    return None if wanted == "auto" else wanted


def trusted_setting(flag: tuple[PublicKey, ...] | None) -> tuple[PublicKey, ...]:
    """Keys one of which must have signed a bundle; none: signatures are not asked for. Raises SettingsError."""
    from hemo_core.bundle.keys import trusted_keys
    from hemo_core.settings import Sources

    return trusted_keys(Sources.load(), flag)


def parse_keys(_: click.Context, option: click.Parameter, values: tuple[str, ...]) -> tuple[PublicKey, ...] | None:
    """Callback of an option that names public keys; None if it was not given."""
    from hemo_core.bundle.keys import parse_public_key

    try:
        return tuple(parse_public_key(value) for value in values) or None
    except ValueError as problem:
        raise UsageError(f"{option.opts[0]}: {problem}") from problem


def roots_setting(flag: Mapping[str, Path] | None) -> dict[str, Path]:
    """Mount points by root name."""
    from hemo_core.settings import Sources, parse_roots

    return dict(Sources.load().pick("roots", dict(flag) if flag else None, {}, parse_roots))


def out_setting(flag: Path | None) -> Path:
    """Folder that jobs' folders lie in."""
    return path_setting("out", flag) or DEFAULT_OUT


def need_broker(flag: str | None) -> str:
    """A broker's URL. Raises SettingsError if nobody names one."""
    url = setting("broker", flag)
    if not url:
        raise SettingsError("no broker given", hint="--broker redis://HOST:6379/0, or HEMO_BROKER, or hemo.toml")
    return url


def _roots(_: click.Context, __: click.Parameter, values: tuple[str, ...]) -> dict[str, Path] | None:
    from hemo_core.settings import parse_roots

    try:
        return parse_roots(",".join(values)) if values else None
    except ValueError as problem:
        raise UsageError(f"--root: {problem}") from problem
