"""``scans/<id>/index.html``: one scored scan, its slices' scores and its overlays. No script; it opens offline."""

from __future__ import annotations

from hemo_core.report import Report, SliceResult
from hemo_core.scans.scan import Quality
from hemo_core.text import Html, asset, fill, join, page_style
from hemo_core.wording import HEATMAP_TEXT, STATEMENT

_PACKAGE = "hemo_worker.outputs"
_WIDE, _HIGH = 960, 180
_LEFT, _RIGHT, _TOP, _BOTTOM = 34, 8, 10, 26
_WIDEST_BAR = 80

_GRID_LINE = """<line class="axis" x1="$left" x2="$right" y1="$y" y2="$y"/>
<text x="$edge" y="$y" dy="4" text-anchor="end">$value</text>"""


def scan_page(report: Report) -> bytes:
    """The page of a scored scan, UTF-8. The same report gives the same bytes."""
    shown = tuple(item for item in report.slices if item.heatmap is not None)
    page = fill(
        asset(_PACKAGE, "scan.html"),
        style=page_style(_PACKAGE, "outputs.css"),
        scan_id=report.scan.scan_id,
        path=report.scan.path,
        badge=_badge(report),
        label=report.label or "",
        label_text=report.label_text or "",
        probability=_number(report.probability),
        threshold=_number(report.threshold),
        statement=STATEMENT,
        facts=_facts(report),
        quality=_quality(report),
        plot=_plot(report),
        shown=f"{len(shown)} of {len(report.slices)}, foot to head",
        figures=_figures(shown),
        count=len(report.slices),
        slices=join([_line(item) for item in report.slices]),
    )
    return page.encode("utf-8")


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:.3f}"


def _badge(report: Report) -> Html:
    phantom = any(item.code == Quality.PHANTOM for item in report.quality)
    return Html('<span class="tag phantom">Phantom</span>' if phantom else "")


def _facts(report: Report) -> Html:
    scan, model, engine = report.scan, report.model, report.engine
    facts: list[tuple[str, str | None]] = [
        ("Highest slice", f"{report.highest_slice} of {len(report.slices)}"),
        ("Scan id", scan.scan_id),
        ("Same content as", scan.duplicate_of),
        ("Kind", scan.kind),
        ("Input", f"{scan.slices} slices in {scan.files} files"),
        ("Study UID", scan.study_uid),
        ("Series UID", scan.series_uid),
        ("Geometry", _geometry(report)),
        ("Model", None if model is None else f"{model.name} {model.version}"),
        ("Digest", None if model is None else model.digest),
        ("Run by", None if engine is None else f"{engine.provider}, {engine.precision}"),
        ("Software", f"hemo-batch {report.software_version}"),
    ]
    row = "<div><dt>$name</dt><dd>$value</dd></div>"
    return join([fill(row, name=name, value=value) for name, value in facts if value])


def _geometry(report: Report) -> str:
    geometry = report.geometry
    if geometry is None:
        return ""
    parts = [f"order from {geometry.order_from}"]
    if geometry.pixel_spacing_mm is not None:
        parts.append("pixels {:g} × {:g} mm".format(*geometry.pixel_spacing_mm))
    if geometry.slice_spacing_mm is not None:
        parts.append(f"slices {geometry.slice_spacing_mm:g} mm apart")
    if geometry.tilt_deg:
        parts.append(f"gantry tilt {geometry.tilt_deg:g}°")
    return ", ".join(parts)


def _quality(report: Report) -> Html:
    if not report.quality:
        return Html("")
    item = '<li><span class="tag">$code</span> $note</li>'
    notes = join([fill(item, code=note.code.replace("_", " "), note=note.note) for note in report.quality])
    return fill('<h2>Quality notes</h2><div class="panel prose"><ul>$notes</ul></div>', notes=notes)


def _plot(report: Report) -> Html:
    """Bars of the slice probabilities, the threshold as a broken line; bars of shown slices lead to their picture."""
    threshold = report.threshold or 0.0
    step = min((_WIDE - _LEFT - _RIGHT) / len(report.slices), _WIDEST_BAR)
    bars = [
        _bar(item, _LEFT + at * step, step, above=item.probability >= threshold)
        for at, item in enumerate(report.slices)
    ]
    limit = fill(
        '<line class="threshold" x1="$left" x2="$right" y1="$y" y2="$y"/>',
        left=_LEFT,
        right=_WIDE - _RIGHT,
        y=_y(threshold),
    )
    template = """<svg viewBox="0 0 $wide $high" role="img" aria-label="Probability of each slice, foot to head">
$grid$bars$limit<text x="$left" y="$base">foot</text><text x="$right" y="$base" text-anchor="end">head</text></svg>"""
    return fill(
        template,
        wide=_WIDE,
        high=_HIGH,
        grid=join([_grid(value) for value in (0.0, 0.5, 1.0)]),
        bars=join(bars),
        limit=limit,
        left=_LEFT,
        right=_WIDE - _RIGHT,
        base=_HIGH - 2,
    )


def _y(value: float) -> str:
    return f"{_TOP + (1 - value) * (_HIGH - _TOP - _BOTTOM):.1f}"


def _grid(value: float) -> Html:
    return fill(_GRID_LINE, left=_LEFT, right=_WIDE - _RIGHT, edge=_LEFT - 6, y=_y(value), value=f"{value:g}")


def _bar(item: SliceResult, x: float, step: float, *, above: bool) -> Html:
    top = float(_y(item.probability))
    template = (
        '<rect class="$kind" x="$x" y="$y" width="$wide" height="$high"><title>slice $number: $value</title></rect>'
    )
    bar = fill(
        template,
        kind="bar above" if above else "bar",
        x=f"{x + 0.1 * step:.2f}",
        y=f"{top:.1f}",
        wide=f"{0.8 * step:.2f}",
        high=f"{max(float(_y(0)) - top, 1):.1f}",
        number=item.number,
        value=_number(item.probability),
    )
    return fill('<a href="#slice-$number">$bar</a>', number=item.number, bar=bar) if item.heatmap else bar


def _figures(shown: tuple[SliceResult, ...]) -> Html:
    if not shown:
        return Html('<p class="quiet">No slice was explained with a heat map.</p>')
    return fill('<div class="figures">$figures</div>', figures=join([_figure(item) for item in shown]))


def _figure(item: SliceResult) -> Html:
    picture = Html("")
    if item.picture is not None:
        template = '<a href="$name"><img src="$name" loading="lazy" width="862" height="454" alt="$alt"></a>'
        picture = fill(template, name=item.picture, alt=f"Slice {item.number} as acquired, beside it with its heat map")
    template = """<figure class="panel" id="slice-$number">$picture
<figcaption><b>Slice $number</b> · probability $value · $where$heat</figcaption></figure>"""
    return fill(
        template,
        number=item.number,
        picture=picture,
        value=_number(item.probability),
        where=f"position {_position(item) or 'not known'}",
        heat="" if item.heatmap in (None, "drawn") else f" · {HEATMAP_TEXT[item.heatmap]}",
    )


def _position(item: SliceResult) -> str:
    known = [source.position_mm for source in item.sources if source.position_mm is not None]
    return f"{sum(known) / len(known):.1f} mm" if known else ""


def _line(item: SliceResult) -> Html:
    template = """<tr><th scope="row">$number</th><td>$value</td><td>$position</td><td>$inputs</td>
<td class="mono breaks">$names</td></tr>"""
    return fill(
        template,
        number=item.number,
        value=_number(item.probability),
        position=_position(item),
        inputs=", ".join(str(source.number) for source in item.sources),
        names=" ".join(source.sop_instance_uid or source.file for source in item.sources),
    )
