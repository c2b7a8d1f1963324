"""``evidence.html``: the report as one file. No script and nothing from outside; it opens offline."""

from __future__ import annotations

import base64
import html
from collections.abc import Mapping

from hemo_core.text import Html, asset, fill, join, page_style
from hemo_trainer.evaluation.report.content import Evidence
from hemo_trainer.evaluation.report.document import (
    NONE,
    Bar,
    Block,
    Cell,
    Facts,
    Gallery,
    Matrices,
    Matrix,
    Picture,
    Plot,
    Points,
    Prose,
    Section,
    Table,
)
from hemo_trainer.evaluation.report.plots import inline

_PACKAGE = "hemo_trainer.evaluation.report"
_FACT = "<div><dt>$name</dt><dd>$value</dd></div>"
_FOLDED = (
    '<details class="panel wide"><summary>$caption</summary><table><thead><tr>$heads</tr></thead>'
    "<tbody>$rows</tbody></table></details>"
)
_WIDE, _HIGH = 128, 16
_JPEG = b"\xff\xd8"


class Page:
    """Turns sections into HTML.

    Args:
        plots: SVG by name.
        pictures: PNG or JPEG by name.
    """

    def __init__(self, plots: Mapping[str, str], pictures: Mapping[str, bytes]) -> None:
        self._plots, self._pictures = plots, pictures

    def render(self, evidence: Evidence, sections: tuple[Section, ...]) -> str:
        """The whole page."""
        about = evidence["about"]
        contents = [
            fill('<li><a href="#$anchor">$title</a></li>', anchor=section.anchor, title=section.title)
            for section in sections
        ]
        return str(
            fill(
                asset(_PACKAGE, "evidence.html"),
                style=page_style(_PACKAGE, "evidence.css"),
                title=about["title"],
                protocol=about["protocol_text"],
                statement=evidence["statement"],
                facts=_headline(evidence),
                contents=join(contents),
                sections=join([self._section(section) for section in sections]),
                footer=f"hemo-batch {about['software']['hemo-batch']}, schema {evidence['schema_version']}",
            )
        )

    def _section(self, section: Section) -> Html:
        return fill(
            '<section id="$anchor"><h2>$title</h2>$blocks</section>\n',
            anchor=section.anchor,
            title=section.title,
            blocks=join([self._block(block) for block in section.blocks]),
        )

    def _block(self, block: Block) -> Html:
        match block:
            case Prose(text):
                shown = fill("<p>$text</p>", text=text)
            case Points(items):
                points = join([fill("<li>$item</li>", item=item) for item in items])
                shown = fill('<ul class="panel points">$points</ul>', points=points)
            case Facts(rows):
                lines = join([fill(_FACT, name=name, value=value) for name, value in rows])
                shown = fill('<dl class="panel list">$lines</dl>', lines=lines)
            case Table():
                shown = _table(block)
            case Matrices(items):
                shown = fill('<div class="matrices">$items</div>', items=join([_matrix(item) for item in items]))
            case Plot(name, text):
                svg = Html(inline(name, self._plots[name], html.escape(text)))
                shown = fill('<div class="panel chart">$svg</div>', svg=svg)
            case Gallery(title, pictures):
                heading = fill("<h3>$title</h3>", title=title) if title else Html("")
                shown = fill("$heading$figures", heading=heading, figures=self._gallery(pictures))
        return shown

    def _gallery(self, pictures: tuple[Picture, ...]) -> Html:
        """Pictures side by side; a list of what they would show where there are none."""
        if not any(picture.name in self._pictures for picture in pictures):
            lines = [fill("<li><b>$title</b> $text</li>", title=one.title, text=one.text) for one in pictures]
            return fill('<ul class="panel points">$lines</ul>', lines=join(lines))
        figures = join([self._picture(picture) for picture in pictures])
        return fill('<div class="gallery">$figures</div>', figures=figures)

    def _picture(self, picture: Picture) -> Html:
        data = self._pictures.get(picture.name)
        shown = Html('<div class="absent">picture not kept</div>')
        if data is not None:
            kind = "jpeg" if data.startswith(_JPEG) else "png"
            source = f"data:image/{kind};base64,{base64.b64encode(data).decode()}"
            shown = fill('<img src="$source" alt="$text">', source=source, text=f"{picture.title}: {picture.text}")
        template = '<figure class="panel" id="$name">$shown<figcaption><b>$title</b>$text</figcaption></figure>'
        return fill(template, name=picture.name, shown=shown, title=picture.title, text=picture.text)


def _headline(evidence: Evidence) -> Html:
    """Model and data in a line under the title."""
    about = evidence["about"]
    groups = [group for group in evidence["groups"] if not group["pooled"]]
    facts = [
        ("Model", " ".join(str(about["model"].get(key, "")) for key in ("name", "version")).strip()),
        ("Digest", str(about["model"].get("digest", ""))[:16]),
        ("Graphs", ", ".join(filter(None, (about["precision"], about["provider"])))),
        ("Patients", str(sum(group["patients"] for group in groups))),
        ("Exams", str(sum(group["exams"] for group in groups))),
        ("Slices", str(sum(group["slices"] for group in groups))),
        ("Data", str(about["data"].get("fingerprint", ""))[:16]),
    ]
    return join([fill(_FACT, name=name, value=value) for name, value in facts if value])


def _table(table: Table) -> Html:
    heads = [
        fill('<th scope="col"$kind>$title</th>', kind=_kind(place, table.words), title=title)
        for place, title in enumerate(table.head)
    ]
    rows = []
    for number, row in enumerate(table.rows):
        above = table.rows[number - 1] if number else ()
        cells = [_cell(cell, place, table, above) for place, cell in enumerate(row)]
        rows.append(fill("<tr>$cells</tr>", cells=join(cells)))
    caption = fill("<caption>$text</caption>", text=table.caption) if table.caption else Html("")
    if table.folded:
        return fill(_FOLDED, caption=table.caption, heads=join(heads), rows=join(rows))
    return fill(
        '<div class="panel wide"><table>$caption<thead><tr>$heads</tr></thead><tbody>$rows</tbody></table></div>',
        caption=caption,
        heads=join(heads),
        rows=join(rows),
    )


def _cell(cell: Cell, place: int, table: Table, above: tuple[Cell, ...]) -> Html:
    if cell.bar is not None:
        return fill('<td class="bar">$bar</td>', bar=_bar(cell.bar))
    text = fill("$text", text=cell.text)
    if cell.tone:
        text = fill('<span class="tag $tone">$text</span>', tone=cell.tone, text=cell.text)
    elif cell.section and cell.text != NONE:
        text = fill('$text <a href="#$section">see</a>', text=cell.text, section=cell.section)
    elif place >= table.words and cell.quiet:
        text = fill("<b>$text</b>", text=cell.text)
    quiet = fill("<small>$quiet</small>", quiet=cell.quiet) if cell.quiet else Html("")
    if place == 0 and table.words:
        same = bool(above) and above[0].text == cell.text
        return fill('<th scope="row"$kind>$text</th>', kind=Html(' class="again"' if same else ""), text=text)
    return fill("<td$kind>$text$quiet</td>", kind=_kind(place, table.words), text=text, quiet=quiet)


def _kind(place: int, words: int) -> Html:
    return Html(' class="number"' if place >= words else "")


def _bar(bar: Bar) -> Html:
    def at(value: float) -> str:
        share = (min(max(value, bar.start), bar.end) - bar.start) / (bar.end - bar.start)
        return f"{4 + share * (_WIDE - 8):.1f}"

    return fill(
        '<svg viewBox="0 0 $wide $high" aria-hidden="true"><line class="axis" x1="4" x2="$end" y1="8" y2="8"/>'
        '<line class="span" x1="$low" x2="$top" y1="8" y2="8"/><circle class="dot" cx="$value" cy="8" r="3.6"/></svg>',
        wide=_WIDE,
        high=_HIGH,
        end=_WIDE - 4,
        low=at(bar.low),
        top=at(bar.high),
        value=at(bar.value),
    )


def _matrix(matrix: Matrix) -> Html:
    (true_negative, false_positive), (false_negative, true_positive) = matrix.counts
    return fill(
        '<table class="panel matrix"><caption>$title</caption><thead><tr><td></td><th scope="col">called none</th>'
        '<th scope="col">called hemorrhage</th></tr></thead><tbody>'
        '<tr><th scope="row">no bleed</th><td class="right">$tn</td><td class="wrong">$fp</td></tr>'
        '<tr><th scope="row">bleed</th><td class="wrong">$fn</td><td class="right">$tp</td></tr></tbody></table>',
        title=matrix.title,
        tn=true_negative,
        fp=false_positive,
        fn=false_negative,
        tp=true_positive,
    )
