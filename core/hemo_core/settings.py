"""Settings outside the command line: the file ``hemo.toml`` and the names of ``HEMO_*`` variables.

``worker.threads`` is ``threads`` in the table ``[worker]`` of the file, and ``HEMO_WORKER_THREADS`` in the environment.
What a setting means, and which commands take it, is the command line's to say.
"""

from __future__ import annotations

import difflib
import tomllib
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from hemo_core.errors import SettingsError

FILE = "hemo.toml"
FILE_VARIABLE = "HEMO_CONFIG"
PREFIX = "HEMO_"

NOT_SETTINGS = frozenset(
    {
        FILE_VARIABLE,
        "HEMO_TF_THREADS",  # of TensorFlow, in training and export
        "HEMO_SCANS",  # docker/compose.yaml
        "HEMO_REPORTS",
        "HEMO_UID",
        "HEMO_GID",
        "HEMO_DATA",  # the tests
        "HEMO_TEST_WHEEL",
        "HEMO_BASE_INSTALL",
    }
)


@dataclass(frozen=True, slots=True)
class SettingsFile:
    """A settings file.

    Attributes:
        path: None if there is none.
        values: by dotted key; a list is a list of texts, everything else one text.
    """

    path: Path | None = None
    values: Mapping[str, str | list[str]] = field(default_factory=dict)


def variable_of(key: str) -> str:
    """The environment variable of a setting."""
    return PREFIX + key.upper().replace(".", "_")


def read_settings_file(environ: Mapping[str, str], folder: Path, known: Collection[str]) -> SettingsFile:
    """Read ``$HEMO_CONFIG``, else ``hemo.toml`` in the folder, if it exists.

    Args:
        known: the keys that mean something.

    Raises:
        SettingsError: the file named is not there, is no TOML, or holds an unknown key or an empty value.
    """
    named = environ.get(FILE_VARIABLE)
    path = Path(named) if named else folder / FILE
    try:
        table = tomllib.loads(path.read_text("utf-8"))
    except FileNotFoundError as problem:
        if named:
            raise SettingsError(f"{FILE_VARIABLE} names a file that is not there", path=named) from problem
        return SettingsFile()
    except (OSError, ValueError) as problem:
        raise SettingsError(f"cannot be read as TOML: {problem}", path=str(path)) from problem
    values = dict(_flat(table))
    for key, value in values.items():
        if key not in known:
            raise SettingsError(f"{key} is no setting", path=str(path), hint=did_you_mean(key, known))
        if not value:
            raise SettingsError(f"{key} is empty", path=str(path), hint="leave the line out where nothing is meant")
    return SettingsFile(path, values)


def check_variables(environ: Mapping[str, str], known: Collection[str]) -> None:
    """Refuse a ``HEMO_*`` variable that nothing reads: what it says would go unheard.

    An empty one says nothing. Those that Kubernetes makes for a service called ``hemo-…`` are not ours.

    Args:
        known: the keys that mean something.

    Raises:
        SettingsError: it names the nearest right one.
    """
    right = {variable_of(key) for key in known} | NOT_SETTINGS
    services = tuple(
        name.removesuffix("SERVICE_HOST")
        for name in environ
        if name.endswith("_SERVICE_HOST") and name.startswith(PREFIX)
    )
    for name in sorted(environ):
        if name.startswith(PREFIX) and environ[name] and name not in right and not name.startswith(services):
            raise SettingsError(f"{name} in the environment is no setting", hint=did_you_mean(name, right))


def did_you_mean(word: str, right: Collection[str]) -> str:
    """The nearest right word, or all of them where none is near."""
    near = difflib.get_close_matches(word, right, n=1)
    return f"did you mean {near[0]}?" if near else f"known are {', '.join(sorted(right))}"


def _flat(table: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, str | list[str]]]:
    """Dotted keys and texts: a number or a date is parsed like one from the environment."""
    for name, value in table.items():
        if isinstance(value, Mapping):
            yield from _flat(value, f"{prefix}{name}.")
        else:
            yield prefix + name, [str(item) for item in value] if isinstance(value, list) else str(value)
