"""The vocabulary that choosing goes by: ``rules.toml`` beside this file, and what a site adds to it."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property, lru_cache
from importlib import resources
from pathlib import Path
from typing import Any

from hemo_core.errors import SettingsError
from hemo_core.scans.rules.words import Phrases, Words, to_words

SCHEMA_VERSION = 1
_REMOVED = "!"


@dataclass(frozen=True)
class Rules:
    """The vocabulary.

    Attributes:
        table: section → entry → list of phrases, as ``rules.toml`` has it.
    """

    table: Mapping[str, Any]

    def words(self, text: str) -> Words:
        """Words of a header's text, spellings read."""
        return to_words(text, self._spellings)

    def entries(self, section: str, name: str) -> tuple[str, ...]:
        """One list, as it is spelt."""
        return tuple(self.table[section][name])

    def number(self, section: str, name: str) -> int:
        """One number."""
        return int(self.table[section][name])

    def phrases(self, section: str, *names: str) -> Phrases:
        """Lists of a section, compiled; where two hold the same phrase, the one named first has it."""
        found = self._compiled.get((section, names))
        if found is None:
            found = self._compiled[section, names] = Phrases({name: self.entries(section, name) for name in names})
        return found

    @cached_property
    def _spellings(self) -> tuple[tuple[str, str], ...]:
        return tuple(self.table["spellings"].items())

    @cached_property
    def _compiled(self) -> dict[tuple[str, tuple[str, ...]], Phrases]:
        return {}


def load_rules(site: Path | None = None) -> Rules:
    """The vocabulary, with a site's own file if one is named.

    Raises:
        SettingsError: the file cannot be read, is no TOML, is of another schema, or has a section, an entry or a type
            that the vocabulary does not have.
    """
    ours = _ours()
    return ours if site is None else Rules(_extended(ours.table, _read(site), site))


@lru_cache(maxsize=1)
def _ours() -> Rules:
    text = resources.files("hemo_core.scans.rules").joinpath("rules.toml").read_text("utf-8")
    return Rules(tomllib.loads(text))


def _read(site: Path) -> dict[str, Any]:
    try:
        table = tomllib.loads(site.read_text("utf-8"))
    except OSError as problem:
        raise SettingsError(f"cannot be read: {problem.strerror}", path=str(site)) from problem
    except ValueError as problem:
        raise SettingsError(f"is no TOML: {problem}", path=str(site)) from problem
    if table.pop("schema_version", SCHEMA_VERSION) != SCHEMA_VERSION:
        raise SettingsError(f"is not of schema version {SCHEMA_VERSION}", path=str(site), hint="see rules.toml")
    return table


def _extended(table: Mapping[str, Any], more: Mapping[str, Any], site: Path) -> dict[str, Any]:
    """The vocabulary with a site's entries added, and those taken away that begin with ``!``."""
    result: dict[str, Any] = {name: dict(value) if isinstance(value, dict) else value for name, value in table.items()}
    for section, entries in more.items():
        known = table.get(section)
        if not isinstance(known, Mapping) or not isinstance(entries, Mapping):
            raise _unknown(f"[{section}]", [name for name in table if name != "schema_version"], site)
        for name, value in entries.items():
            if section != "spellings" and name not in known:
                raise _unknown(f"{name} in [{section}]", list(known), site)
            result[section][name] = _merged(known.get(name, ""), value, f"{section}.{name}", site)
    return result


def _merged(known: Any, value: Any, where: str, site: Path) -> Any:
    if not isinstance(known, list):
        if type(known) is not type(value):
            raise SettingsError(f"{where} is to be a {type(known).__name__}", path=str(site))
        return value
    kind = type(known[0])
    if not isinstance(value, list) or not all(type(one) is kind for one in value):
        raise SettingsError(f"{where} is to be a list of {kind.__name__} values", path=str(site))
    removed = {one[len(_REMOVED) :] for one in value if isinstance(one, str) and one.startswith(_REMOVED)}
    absent = sorted(removed - set(map(str, known)))
    if absent:
        raise SettingsError(f"{where} takes away {', '.join(absent)}, which is not there", path=str(site))
    added = [one for one in value if not (isinstance(one, str) and one.startswith(_REMOVED))]
    return [*added, *(one for one in known if one not in removed)]


def _unknown(what: str, known: list[str], site: Path) -> SettingsError:
    return SettingsError(f"the vocabulary has no {what}", path=str(site), hint=f"it has {', '.join(known)}")
