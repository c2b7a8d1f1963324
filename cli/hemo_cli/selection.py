"""Which files count as scans: the options that ``submit`` and ``inspect`` share."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import wraps
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from hemo_core.scans.discover import Discovery


@dataclass(frozen=True, slots=True)
class Selection:
    """How a path is searched.

    Attributes:
        group_folders: take the pictures of a folder for the slices of one scan.
        all_series: score every series that could be, not just the best one of each study.
        overrides: rejection codes that shall not keep a series from being scored.
        allow_implausible: score pictures that do not look like a head CT.
        rules: a site's additions to the vocabulary that series are chosen by.
    """

    group_folders: bool
    all_series: bool
    overrides: frozenset[str]
    allow_implausible: bool
    rules: Path | None = None

    def discover(self, path: Path, root_name: str = "scans") -> Discovery:
        """Search a path. Raises NoInput, UsageError."""
        from hemo_core.scans.discover import discover
        from hemo_core.scans.rules.vocabulary import load_rules

        return discover(
            path,
            root_name=root_name,
            group_folders=self.group_folders,
            overrides=self.overrides,
            all_series=self.all_series,
            rules=load_rules(self.rules),
        )


def selection_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add the options and hand them over as one argument ``selection``."""

    @wraps(command)
    def wrapped(
        *args: Any,
        group: str,
        all_series: bool,
        override: tuple[str, ...],
        allow_implausible: bool,
        rules: Path | None,
        **kwargs: Any,
    ) -> Any:
        selection = Selection(group == "folder", all_series, frozenset(override), allow_implausible, rules)
        return command(*args, selection=selection, **kwargs)

    for option in reversed(_OPTIONS):
        wrapped = option(wrapped)
    return wrapped


_OPTIONS = (
    click.option(
        "--group",
        type=click.Choice(["file", "folder"]),
        default="file",
        show_default=True,
        help="Pictures (PNG, JPEG, TIFF): one scan a file, or one scan a folder.",
    ),
    click.option("--all-series", is_flag=True, help="Score every usable series of a study, not just the best one."),
    click.option(
        "--override", multiple=True, metavar="CODE", help="Score in spite of this rejection code. May be repeated."
    ),
    click.option("--allow-implausible", is_flag=True, help="Score pictures that do not look like a head CT."),
    click.option(
        "--rules",
        type=click.Path(path_type=Path, exists=True, dir_okay=False),
        metavar="FILE",
        help="TOML file that adds to the words by which series are chosen.",
    ),
)
