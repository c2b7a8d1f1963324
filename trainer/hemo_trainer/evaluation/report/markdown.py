"""``evidence.md``: the same report as text. It shows no picture of a slice."""

from __future__ import annotations

from collections.abc import Mapping

from hemo_core.text import visible
from hemo_trainer.evaluation.report.content import Evidence
from hemo_trainer.evaluation.report.document import (
    Block,
    Cell,
    Facts,
    Gallery,
    Matrices,
    Plot,
    Points,
    Prose,
    Section,
    Table,
)


def markdown(evidence: Evidence, sections: tuple[Section, ...], plots: Mapping[str, str]) -> str:
    """The report.

    Args:
        evidence: gives the title and its first lines.
        sections: of the report.
        plots: path of each plot, relative to the report.
    """
    about = evidence["about"]
    head = f"# Evidence: {_safe(about['title'])}\n\n{about['protocol_text']}\n\n**{evidence['statement']}**\n"
    parts = [
        f"\n## {section.title}\n\n" + "\n\n".join(_block(block, plots) for block in section.blocks) + "\n"
        for section in sections
    ]
    return head + "".join(parts)


def _block(block: Block, plots: Mapping[str, str]) -> str:
    match block:
        case Prose(text):
            lines = [_safe(text)]
        case Points(items):
            lines = [f"- {_safe(item)}" for item in items]
        case Facts(rows):
            lines = [f"- {_safe(name)}: `{visible(value)}`" for name, value in rows]
        case Plot(name, text):
            lines = [f"![{_safe(text)}]({plots[name]})"]
        case Gallery(title, pictures):
            listed = [f"- {_safe(picture.title)}: {_safe(picture.text)}" for picture in pictures]
            lines = [f"**{_safe(title)}**", "", *listed] if title else listed
        case Matrices(items):
            head = "| at the locked threshold | true negative | false positive | false negative | true positive |"
            counts = [" | ".join(str(count) for row in item.counts for count in row) for item in items]
            rows_of = [f"| {_safe(item.title)} | {line} |" for item, line in zip(items, counts, strict=True)]
            lines = [head, "|---|--:|--:|--:|--:|", *rows_of]
        case Table():
            lines = [_table(block)]
    return "\n".join(lines)


def _table(table: Table) -> str:
    drawn = [place for place in range(len(table.head)) if any(row[place].bar for row in table.rows)]
    kept = [place for place in range(len(table.head)) if place not in drawn]
    head = "| " + " | ".join(_safe(table.head[place]) for place in kept) + " |"
    rule = "|" + "|".join("---" if place < table.words else "--:" for place in kept) + "|"
    rows = ["| " + " | ".join(_cell(row[place]) for place in kept) + " |" for row in table.rows]
    caption = [f"**{_safe(table.caption)}**", ""] if table.caption else []
    return "\n".join([*caption, head, rule, *rows])


def _cell(cell: Cell) -> str:
    return _safe(f"{cell.text} [{cell.quiet}]" if cell.quiet else cell.text)


def _safe(text: str) -> str:
    """Text in which nothing is Markdown or HTML: names of data sets and patients come from outside."""
    shown = visible(text)
    for mark in "\\`*_[]<>|":
        shown = shown.replace(mark, f"\\{mark}")
    return shown
