"""Plots of the figures about heat maps. They show no picture and may travel with a bundle."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from hemo_trainer.figures.plots import new_figure, save_figure

_OWN, _CENTRE, _CHANCE, _INK = "#b4530b", "#2b6cb1", "#525d69", "#1a2026"  # as the evidence report's page knows them
_ORDERS = {
    "map": (_OWN, "the map's order"),
    "centre": (_CENTRE, "from the head's centre"),
    "random": (_CHANCE, "chance"),
}
_BARS = {
    "value": (_OWN, "heat map"),
    "centre": (_CENTRE, "head's centre"),
    "chance": (_CHANCE, "blindly into the head"),
}


CAPTIONS = {
    "heatmap_boxes": ("pointing_game", "Pointing game and energy in the boxes, with 95 % intervals"),
    "heatmap_curves": ("deletion", "Mean probability of the slice as the picture goes, and as it comes"),
    "heatmap_randomisation": (
        "randomisation",
        "Likeness to the trained network's maps as it forgets, from the logit down",
    ),
}


def plot_heatmap_figures(figures: Mapping[str, Any], folder: Path) -> list[Path]:
    """Write ``<name>.png`` for each of :func:`heatmap_plots`. Returns the files."""
    drawn = heatmap_plots(figures)
    for name, figure in drawn.items():
        save_figure(figure, folder / f"{name}.png")
    return [folder / f"{name}.png" for name in drawn]


def heatmap_plots(figures: Mapping[str, Any]) -> dict[str, Any]:
    """A matplotlib figure for each kind of figure that was measured, by its name in :data:`CAPTIONS`."""
    draw = {"heatmap_boxes": _boxes, "heatmap_curves": _curves, "heatmap_randomisation": _randomisation}
    return {name: draw[name](figures) for name, (key, _) in CAPTIONS.items() if key in figures}


def _boxes(figures: Mapping[str, Any]) -> Any:
    """Pointing game and energy in the box, beside maps that know nothing."""
    names = {"pointing_game": "pointing game", "energy_in_box": "energy in the box"}
    figure, (axis,) = new_figure(1, 1, size=(6.4, 3.6))
    for place, (kind, (colour, label)) in enumerate(_BARS.items()):
        rows = [figures[key]["all"][kind] for key in names]
        at = [number + (place - 1) * 0.26 for number in range(len(names))]
        means, ends = [row["value"] for row in rows], {"ecolor": _INK, "capsize": 3}
        axis.bar(at, means, 0.24, color=colour, label=label, yerr=_whiskers(rows), error_kw=ends)
    counts = figures["pointing_game"]["all"]
    axis.set(ylim=(0, 1), ylabel="share", title=f"{counts['count']} slices with boxes, {counts['patients']} patients")
    axis.set_xticks(range(len(names)), list(names.values()))
    axis.legend(fontsize=8)
    return figure


def _curves(figures: Mapping[str, Any]) -> Any:
    """Mean deletion and insertion curves."""
    figure, axes = new_figure(1, 2, size=(10, 4))
    for axis, way, verb in zip(axes, ("deletion", "insertion"), ("blanked", "revealed"), strict=True):
        one = figures[way]
        for name, (colour, label) in _ORDERS.items():
            area = one["auc"][name]["value"]
            axis.plot(one["curves"]["share"], one["curves"][name], color=colour, label=f"{label}: area {area:.3f}")
        axis.set(ylim=(0, 1), xlabel=f"share of the picture {verb}", ylabel="mean probability of the slice")
        axis.set_title(f"{way}: {one['count']} slices, {one['patients']} patients", fontsize=10)
        axis.grid(alpha=0.3)
        axis.legend(fontsize=8)
    return figure


def _randomisation(figures: Mapping[str, Any]) -> Any:
    """Likeness to the trained network's maps, as more and more of it is forgotten."""
    one = figures["randomisation"]
    rows = [{"name": "noise only", **one["itself"]}, *one["stages"]]
    figure, (axis,) = new_figure(1, 1, size=(9, 4))
    for kind, colour, label in (("spearman", _OWN, "|Spearman|"), ("ssim", _CENTRE, "SSIM")):
        known = [(at, row[kind]) for at, row in enumerate(rows) if row[kind] is not None]
        places, values = [at for at, _ in known], [value for _, value in known]
        means = [value["value"] for value in values]
        axis.errorbar(places, means, _whiskers(values), color=colour, marker="o", capsize=3, label=label)
    axis.axhline(one["limit"], color=_CHANCE, linestyle="--", label="limit for |Spearman|, fully forgotten")
    axis.set(ylim=(0, 1.02), ylabel="likeness to the trained maps", xlabel="forgotten down to, from the logit")
    verdict = "passed" if one["passed"] else "FAILED"
    axis.set_title(f"randomisation check {verdict}: {one['slices']} slices, {one['patients']} patients", fontsize=10)
    axis.set_xticks(range(len(rows)), [row["name"] for row in rows], rotation=30, ha="right")
    axis.grid(alpha=0.3)
    axis.legend(fontsize=8)
    return figure


def _whiskers(rows: Sequence[Mapping[str, float | None]]) -> list[list[float]]:
    """Lengths below and above; none where there is no interval."""
    known = [(row["value"] or 0.0, row["low"], row["high"]) for row in rows]
    below = [0.0 if low is None else max(0.0, value - low) for value, low, _ in known]
    above = [0.0 if high is None else max(0.0, high - value) for value, _, high in known]
    return [below, above]
