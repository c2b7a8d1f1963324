"""Where a setting comes from: the flag, else ``HEMO_*`` in the environment, else ``hemo.toml``, else the default.

``broker`` is ``HEMO_BROKER`` and the key ``broker``; ``worker.threads`` is ``HEMO_WORKER_THREADS`` and ``threads`` in
the table ``[worker]``.
"""

from __future__ import annotations

import os
import tomllib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from hemo_core.errors import SettingsError

FILE = "hemo.toml"
FILE_VARIABLE = "HEMO_CONFIG"
T = TypeVar("T")


@dataclass(frozen=True)
class Sources:
    """The environment and the TOML file.

    Attributes:
        environ: variables.
        table: content of ``hemo.toml``.
        file: its path; None if there is none.
    """

    environ: Mapping[str, str]
    table: Mapping[str, Any]
    file: Path | None = None

    @classmethod
    def load(cls, environ: Mapping[str, str] | None = None, folder: Path | None = None) -> Sources:
        """Read ``$HEMO_CONFIG``, else ``hemo.toml`` in the folder (default: the current one), if it exists.

        Raises:
            SettingsError: the file named is not there, or is no TOML.
        """
        variables = os.environ if environ is None else environ
        named = variables.get(FILE_VARIABLE)
        path = Path(named) if named else (folder or Path.cwd()) / FILE
        try:
            table = tomllib.loads(path.read_text("utf-8"))
        except FileNotFoundError as problem:
            if named:
                raise SettingsError(f"{FILE_VARIABLE} names a file that is not there", path=named) from problem
            return cls(variables, {})
        except (OSError, ValueError) as problem:
            raise SettingsError(f"cannot be read as TOML: {problem}", path=str(path)) from problem
        return cls(variables, table, path)

    def pick(self, name: str, flag: T | None, default: T, parse: Callable[[str], T]) -> T:
        """One setting.

        Args:
            name: dotted, ``worker.threads``.
            flag: what the command line said; None if nothing.
            default: if nobody says anything.
            parse: text to value; raises ValueError on nonsense.

        Raises:
            SettingsError: the environment or the file holds nonsense.
        """
        if flag is not None:
            return flag
        variable = "HEMO_" + name.upper().replace(".", "_").replace("-", "_")
        if self.environ.get(variable):
            return _parsed(parse, self.environ[variable], f"the environment's {variable}")
        value: Any = self.table
        for part in name.split("."):
            value = value.get(part) if isinstance(value, Mapping) else None
        if value is None:
            return default
        text = ",".join(map(str, value)) if isinstance(value, list) else str(value)
        return _parsed(parse, text, f"{name} in {self.file or FILE}")


def parse_bool(text: str) -> bool:
    """Yes or no in the usual spellings. Raises ValueError."""
    known = {"1": True, "true": True, "yes": True, "on": True, "0": False, "false": False, "no": False, "off": False}
    try:
        return known[text.strip().lower()]
    except KeyError:
        raise ValueError("true or false") from None


def parse_roots(text: str) -> dict[str, Path]:
    """``name=/path,name=/path`` as a mapping. Raises ValueError."""
    roots: dict[str, Path] = {}
    for part in filter(None, (piece.strip() for piece in text.split(","))):
        name, separator, path = part.partition("=")
        if not separator or not name or not path:
            raise ValueError("name=/path, several separated by commas")
        if name in roots:
            raise ValueError(f"root {name} is named twice")
        roots[name] = Path(path)
    return roots


def _parsed(parse: Callable[[str], T], text: str, where: str) -> T:
    try:
        return parse(text)
    except ValueError as problem:
        raise SettingsError(f"{where}: {text!r} cannot be used: {problem}") from problem
