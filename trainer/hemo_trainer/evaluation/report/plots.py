"""The report's plots as SVG text. Colours are names that the page's style fills in, by day and by night."""

from __future__ import annotations

import io
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from markupsafe import Markup, escape

from hemo_core.text import visible
from hemo_trainer.evaluation.report.content import UNITS, Evidence, measured
from hemo_trainer.heatmap_quality.plots import heatmap_plots

INK, QUIET, LINE, GROUND = "#1a2026", "#525d69", "#dde2e8", "#fefefe"
SERIES = ("#2b6cb1", "#b4530b", "#2c7a7c", "#6b46c2", "#97266e")
_DASHES = ("-", (0, (5, 1.6)), (0, (1.4, 1.2)), (0, (6, 1.4, 1.4, 1.4)), (0, (3, 1)))
_STYLE = {
    "svg.fonttype": "none",
    "svg.hashsalt": "hemo-batch",
    "font.size": 9,
    "axes.edgecolor": QUIET,
    "axes.labelcolor": INK,
    "axes.titlecolor": INK,
    "axes.titlesize": 10,
    "axes.facecolor": "none",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.linewidth": 0.8,
    "grid.color": LINE,
    "grid.linewidth": 0.7,
    "text.color": INK,
    "xtick.color": QUIET,
    "ytick.color": QUIET,
    "xtick.labelsize": 8,
    "ytick.labelsize": 8,
    "legend.frameon": False,
    "legend.fontsize": 8,
    "figure.facecolor": GROUND,
}
_PANEL = 3.5
_MOST_COLUMNS = 4
_LEAST_DOT, _DOT = 10, 90
_LEGEND = 0.45


def plots(evidence: Evidence) -> dict[str, str]:
    """Every plot that the evidence allows, by name: SVG documents with plain colours on white."""
    from matplotlib import rc_context

    made: dict[str, Callable[[Evidence], str | None]] = {
        "roc": _roc,
        "pr": _precision_recall,
        "reliability": _reliability,
        "decision": _decision,
    }
    with rc_context(_STYLE):
        drawn = {name: draw(evidence) for name, draw in made.items()}
        drawn |= {name: _svg(figure) for name, figure in heatmap_plots(evidence["heatmaps"] or {}).items()}
    return {name: svg for name, svg in drawn.items() if svg is not None}


def inline(name: str, svg: str, text: str) -> Markup:
    """A plot for the page: its colours from the page's style, its ids its own, and a text for those who do not see it.

    Args:
        name: letters; goes before every id.
        svg: one of :func:`plots`.
        text: plain.
    """
    body = svg[svg.index("<svg") :]
    body = re.sub(r"<metadata>.*?</metadata>", "", body, flags=re.DOTALL)
    body = re.sub(r'\bid="', f'id="{name}-', body)
    body = body.replace("url(#", f"url(#{name}-").replace('href="#', f'href="#{name}-')
    body = re.sub(r"font: ([\d.]+px) [^;\"]*", r"font: \1 system-ui, sans-serif", body)
    themed = {INK: "text", QUIET: "quiet", LINE: "line", GROUND: "panel"}
    themed |= {colour: f"series-{number}" for number, colour in enumerate(SERIES, 1)}
    for colour, variable in themed.items():
        body = body.replace(colour, f"var(--{variable})")
    body = re.sub(r'(<svg [^>]*?)width="([\d.]+)pt" height="[\d.]+pt"', r'\1style="max-width: \2pt"', body, count=1)
    label = escape(visible(text))
    return Markup(body.replace("<svg ", f'<svg role="img" aria-label="{label}" ', 1))  # noqa: S704  (matplotlib's)


def _roc(evidence: Evidence) -> str | None:
    def draw(axis: Any, rows: Sequence[tuple[str, Mapping[str, Any]]]) -> None:
        axis.plot([0, 1], [0, 1], color=QUIET, linestyle=":", linewidth=0.9)
        for place, (name, found) in enumerate(rows):
            _curve(axis, found["curves"]["roc"], place, f"{name}  {found['auc']['value']:.3f}")
            locked = found["operating_points"][0]
            axis.plot(
                1 - locked["specificity"]["value"],
                locked["sensitivity"]["value"],
                marker="o",
                markersize=5.5,
                color=_colour(place),
                markeredgecolor=GROUND,
            )
        axis.set(xlabel="1 − specificity", ylabel="sensitivity")
        axis.legend(loc="lower right", title="AUC", title_fontsize=8)

    return _by_unit(evidence, draw)


def _precision_recall(evidence: Evidence) -> str | None:
    def draw(axis: Any, rows: Sequence[tuple[str, Mapping[str, Any]]]) -> None:
        for place, (name, found) in enumerate(rows):
            axis.axhline(found["positive"] / found["count"], color=_colour(place), linestyle=":", linewidth=0.9)
            _curve(axis, found["curves"]["pr"], place, f"{name}  {found['average_precision']['value']:.3f}")
        axis.set(xlabel="recall (sensitivity)", ylabel="precision (PPV in these data)")
        axis.legend(loc="lower left", title="average precision", title_fontsize=8)

    return _by_unit(evidence, draw)


def _reliability(evidence: Evidence) -> str | None:
    rows = list(measured(evidence, pooled=False))
    figure, axes = _panels(len(rows), below=_LEGEND)
    for axis, (name, unit, found) in zip(axes, rows, strict=False):
        axis.plot([0, 1], [0, 1], color=QUIET, linestyle=":", linewidth=0.9)
        for step, colour in (("before", QUIET), ("after", SERIES[0])):
            bins = found["calibration"][step]["bins"]
            x, y = [one["mean"] for one in bins], [one["observed"]["value"] for one in bins]
            sizes = [_LEAST_DOT + _DOT * (one["count"] / found["count"]) ** 0.5 for one in bins]
            if step == "after":
                lows, highs = ([one["observed"][end] for one in bins] for end in ("low", "high"))
                axis.vlines(x, lows, highs, color=colour, linewidth=0.9, alpha=0.55)
            filled = colour if step == "after" else "none"
            axis.scatter(x, y, sizes, facecolors=filled, edgecolors=colour, linewidths=1.1, zorder=3, label=step)
        axis.set(title=f"{name}, {unit}s", xlabel="probability", ylabel="observed share")
        _square(axis)
    _legend_below(figure, axes[0])
    return _svg(figure)


def _decision(evidence: Evidence) -> str | None:
    rows = [row for row in measured(evidence, pooled=False) if row[2]["decision"]]
    if not rows:
        return None
    figure, axes = _panels(len(rows), below=_LEGEND)
    for axis, (name, unit, found) in zip(axes, rows, strict=False):
        curve = found["decision"]
        x = curve["thresholds"]
        axis.axhline(0, color=QUIET, linewidth=0.9, label="act on none")
        axis.plot(x, curve["all"], color=SERIES[1], linewidth=1.2, linestyle=_DASHES[1], label="act on all")
        axis.plot(x, curve["model"], color=SERIES[0], linewidth=1.7, label="act on the model")
        top = max(*curve["model"], curve["prevalence"])
        axis.set(
            title=f"{name}, {unit}s (prevalence {curve['prevalence']:.0%})",
            xlabel="threshold probability",
            ylabel="net benefit",
            xlim=(0, max(x)),
            ylim=(-0.25 * top, 1.12 * top),
        )
        axis.grid(visible=True)
    _legend_below(figure, axes[0])
    return _svg(figure)


def _by_unit(evidence: Evidence, draw: Callable[[Any, Sequence[tuple[str, Mapping[str, Any]]]], None]) -> str | None:
    """A square panel for each unit that has curves."""
    panels = list(_with_curves(evidence))
    if not panels:
        return None
    figure, axes = _panels(len(panels), width=4.3)
    for axis, (unit, rows) in zip(axes, panels, strict=True):
        draw(axis, rows)
        axis.set_title(f"{unit}s")
        _square(axis)
    return _svg(figure)


def _with_curves(evidence: Evidence) -> Iterator[tuple[str, list[tuple[str, Mapping[str, Any]]]]]:
    for wanted in UNITS:
        rows = [
            (name, found)
            for name, unit, found in measured(evidence, pooled=False)
            if unit == wanted and found["curves"] and found["auc"]
        ]
        if rows:
            yield wanted, rows


def _curve(axis: Any, points: Sequence[Sequence[float]], place: int, label: str) -> None:
    x, y = zip(*points, strict=True)
    axis.plot(x, y, color=_colour(place), linestyle=_DASHES[place % len(_DASHES)], linewidth=1.7, label=label)


def _colour(place: int) -> str:
    return SERIES[place % len(SERIES)]


def _legend_below(figure: Any, axis: Any) -> None:
    """One legend for all panels, under them."""
    handles, labels = axis.get_legend_handles_labels()
    for handle in figure.legend(handles, labels, loc="outside lower center", ncols=len(labels)).legend_handles:
        if hasattr(handle, "set_sizes"):
            handle.set_sizes([30])


def _square(axis: Any) -> None:
    axis.set(xlim=(-0.02, 1.02), ylim=(-0.02, 1.02), box_aspect=1)
    axis.grid(visible=True)


def _panels(count: int, width: float = _PANEL, below: float = 0.15) -> tuple[Any, list[Any]]:
    """A figure with so many panels, at most four beside each other; superfluous ones are left blank.

    Args:
        count: panels.
        width: of one, inches.
        below: room for titles, and for a legend under all of them, inches.
    """
    import numpy as np
    from matplotlib.figure import Figure

    columns = min(count, _MOST_COLUMNS)
    rows = -(-count // columns)
    figure = Figure(figsize=(width * columns, width * rows + below), layout="constrained")
    axes = list(np.atleast_1d(figure.subplots(rows, columns)).ravel())
    for axis in axes[count:]:
        axis.set_axis_off()
    return figure, axes


def _svg(figure: Any) -> str:
    file = io.StringIO()
    figure.savefig(file, format="svg", metadata={"Date": None, "Creator": None})
    return file.getvalue()
