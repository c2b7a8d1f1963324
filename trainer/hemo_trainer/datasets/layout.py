"""What a module of :mod:`hemo_trainer.datasets.layouts` offers."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from hemo_trainer.datasets.reading import Reading
from hemo_trainer.datasets.source import DataSource

Read = Callable[[DataSource, Sequence[str], Path | None], Reading]


@dataclass(frozen=True, slots=True)
class Layout:
    """How a data set is organised, and how it is read.

    Attributes:
        name: in configurations.
        read: takes a source with a name of its own, the findings that are wanted (the primary one first), and a folder
            for indices of headers or None; gives records with labels by finding, as far as the source tells them.
        fits: whether a folder, or for ``is_table`` a table, is in this layout.
        is_general: any data can have it: sources are named after their place, and particular layouts are tried first.
        is_table: a source is a CSV table, not a folder.
    """

    name: str
    read: Read
    fits: Callable[[Path], bool]
    is_general: bool = False
    is_table: bool = False
