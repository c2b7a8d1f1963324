"""The layouts of data sets, one module each. A module here with ``LAYOUTS`` is all that a new one needs."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from functools import cache
from importlib import import_module
from pathlib import Path
from pkgutil import iter_modules
from types import MappingProxyType

from hemo_core.errors import DatasetError, SettingsError
from hemo_trainer.datasets.layout import Layout
from hemo_trainer.datasets.source import DataSource


@cache
def layouts() -> Mapping[str, Layout]:
    """Every layout by name, those of particular data sets first."""
    modules = (import_module(f"{__name__}.{module.name}") for module in iter_modules(__path__))
    found = sorted((layout for module in modules for layout in module.LAYOUTS), key=lambda one: one.is_general)
    return MappingProxyType({layout.name: layout for layout in found})


def layout_of(source: DataSource) -> Layout:
    """The layout that a source names. Raises DatasetError: there is none of that name."""
    if source.layout not in layouts():
        raise DatasetError(f"unknown layout {source.layout!r}", hint=", ".join(layouts()))
    return layouts()[source.layout]


def detect_source(path: Path) -> DataSource:
    """The data source at ``path``: a folder in one of the known layouts, or a CSV table of slices.

    Raises:
        DatasetError: nothing is there, or no layout fits.
    """
    if not path.is_dir() and not (path.is_file() and path.suffix.lower() == ".csv"):
        raise DatasetError("is neither a folder nor a CSV table", path=str(path))
    for layout in layouts().values():
        if layout.is_table == path.is_file() and layout.fits(path):
            return DataSource(layout.name, str(path.resolve()))
    raise DatasetError(
        "is in no known layout", path=str(path), hint="see docs/datasets.md, or list its slices in a CSV"
    )


def named_sources(sources: Sequence[DataSource]) -> tuple[DataSource, ...]:
    """The sources, each with a name of its own.

    A source without a name is called as its layout, or after its folder or table where any data can have the layout; a
    second one of that name gets its folder's name, too, and as much of its path as tells it from the others.

    Raises:
        SettingsError: two sources are given one name, or one place is named twice.
    """
    given = [source.name for source in sources if source.name]
    twice = [name for name, count in Counter(given).items() if count > 1]
    if twice:
        raise SettingsError(f"two sources are named {twice[0]!r}", hint="their patients would be mixed up: rename one")
    again = [path for (_, path), count in Counter((one.layout, one.path) for one in sources).items() if count > 1]
    if again:
        raise SettingsError("is a source twice", path=again[0], hint="remove one of the [[sources]]")
    taken, named = set(given), []
    for source in sources:
        name = source.name or next(name for name in _derived_names(source) if name not in taken)
        taken.add(name)
        named.append(replace(source, name=name))
    return tuple(named)


def _derived_names(source: DataSource) -> Iterator[str]:
    layout, path = layout_of(source), Path(source.path)
    parts = (*path.parts[1:-1], path.stem if layout.is_table else path.name)
    yield parts[-1] if layout.is_general else layout.name
    for first in range(len(parts) - 1, -1, -1):
        yield "-".join((layout.name, *parts[first:]))
