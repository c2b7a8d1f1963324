"""The report as sections of text, tables and pictures, before it becomes HTML or Markdown."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

NONE = "–"
_NO_WIDTH = "separated: no interval"


@dataclass(frozen=True, slots=True)
class Bar:
    """An interval to be drawn on a line from ``start`` to ``end``."""

    value: float
    low: float
    high: float
    start: float = 0.0
    end: float = 1.0


@dataclass(frozen=True, slots=True)
class Cell:
    """One cell of a table.

    Attributes:
        text: what it says.
        quiet: what it adds, as an interval or counts.
        bar: drawn instead of text where the report can draw.
        tone: a colour: ``good``, ``warn``, ``bad`` or none.
        section: of the page that it leads to.
    """

    text: str
    quiet: str = ""
    bar: Bar | None = None
    tone: str = ""
    section: str = ""


@dataclass(frozen=True, slots=True)
class Table:
    """Rows under headings.

    Attributes:
        words: number of leading columns that are text rather than numbers.
        folded: shown only on request, where the report can fold.
    """

    head: tuple[str, ...]
    rows: tuple[tuple[Cell, ...], ...]
    caption: str = ""
    words: int = 1
    folded: bool = False


@dataclass(frozen=True, slots=True)
class Prose:
    """A paragraph."""

    text: str


@dataclass(frozen=True, slots=True)
class Points:
    """A list of sentences."""

    items: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Facts:
    """Names and values."""

    rows: tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class Plot:
    """A plot by name; ``text`` says what it shows, for those who do not see it."""

    name: str
    text: str


@dataclass(frozen=True, slots=True)
class Picture:
    """A picture by name, with what stands below it."""

    name: str
    title: str
    text: str


@dataclass(frozen=True, slots=True)
class Gallery:
    """Pictures side by side."""

    title: str
    pictures: tuple[Picture, ...]


@dataclass(frozen=True, slots=True)
class Matrix:
    """A confusion matrix: rows are labels, columns are calls, none before the finding."""

    title: str
    counts: tuple[tuple[int, int], tuple[int, int]]


@dataclass(frozen=True, slots=True)
class Matrices:
    """Confusion matrices side by side."""

    items: tuple[Matrix, ...]


Block: TypeAlias = Table | Prose | Points | Facts | Plot | Gallery | Matrices


@dataclass(frozen=True, slots=True)
class Section:
    """A part of the report.

    Attributes:
        anchor: its address on the page.
        title: its heading, and its name in the table of contents.
        blocks: what it holds.
    """

    anchor: str
    title: str
    blocks: tuple[Block, ...]


def figure_cell(found: Mapping[str, Any] | None, *, bar: tuple[float, float] | None = None) -> Cell:
    """A value with its interval; with ``bar`` the ends of the line to draw it on."""
    if found is None or found["value"] is None:
        return Cell(NONE)
    drawn = None
    if bar is not None:
        drawn = Bar(found["value"], found["low"], found["high"], *bar)
    none = found["low"] == found["high"]
    return Cell(number(found["value"]), _NO_WIDTH if none else f"{number(found['low'])}–{number(found['high'])}", drawn)


def rate_cell(found: Mapping[str, Any] | None) -> Cell:
    """A share with its Wilson interval and counts."""
    if found is None:
        return Cell(NONE)
    cell = figure_cell(found)
    return Cell(cell.text, f"{cell.quiet} ({found['hits']}/{found['count']})")


def number(value: float | None) -> str:
    """Three decimals."""
    return NONE if value is None else f"{value:.3f}"
