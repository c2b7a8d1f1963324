"""Plots of the figures about heat maps. They show no picture and may travel with a bundle."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from hemo_trainer.plots import new_figure, save_figure

_OWN, _CENTRE, _CHANCE = "#c05621", "#2b6cb0", "#718096"
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


def plot_heatmap_figures(figures: Mapping[str, Any], folder: Path) -> list[Path]:
    """Write a plot for each kind of figure that was measured. Returns their paths."""
    plots = {
        "pointing_game": ("heatmap_boxes.png", plot_boxes),
        "deletion": ("heatmap_curves.png", plot_curves),
        "randomisation": ("heatmap_randomisation.png", plot_randomisation),
    }
    written = []
    for key, (name, plot) in plots.items():
        if key in figures:
            plot(figures, folder / name)
            written.append(folder / name)
    return written


def plot_boxes(figures: Mapping[str, Any], path: Path) -> None:
    """Pointing game and energy in the box, beside maps that know nothing."""
    names = {"pointing_game": "pointing game", "energy_in_box": "energy in the box"}
    figure, (axis,) = new_figure(1, 1, size=(6.4, 3.6))
    for place, (kind, (colour, label)) in enumerate(_BARS.items()):
        rows = [figures[key]["all"][kind] for key in names]
        at = [number + (place - 1) * 0.26 for number in range(len(names))]
        axis.bar(at, [row["value"] for row in rows], 0.24, color=colour, label=label, yerr=_whiskers(rows), capsize=3)
    counts = figures["pointing_game"]["all"]
    axis.set(ylim=(0, 1), ylabel="share", title=f"{counts['count']} slices with boxes, {counts['patients']} patients")
    axis.set_xticks(range(len(names)), list(names.values()))
    axis.legend(fontsize=8)
    save_figure(figure, path)


def plot_curves(figures: Mapping[str, Any], path: Path) -> None:
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
    save_figure(figure, path)


def plot_randomisation(figures: Mapping[str, Any], path: Path) -> None:
    """Likeness to the trained network's maps, as more and more of it is forgotten."""
    one = figures["randomisation"]
    rows = [{"name": "noise only", **one["itself"]}, *one["stages"]]
    figure, (axis,) = new_figure(1, 1, size=(9, 4))
    for kind, colour, label in (("spearman", _OWN, "|Spearman|"), ("ssim", _CENTRE, "SSIM")):
        known = [(at, row[kind]) for at, row in enumerate(rows) if row[kind] is not None]
        places, values = [at for at, _ in known], [value for _, value in known]
        axis.errorbar(
            places, [v["value"] for v in values], _whiskers(values), color=colour, marker="o", capsize=3, label=label
        )
    axis.axhline(one["limit"], color=_CHANCE, linestyle="--", label="limit for |Spearman|, fully forgotten")
    axis.set(ylim=(0, 1.02), ylabel="likeness to the trained maps", xlabel="forgotten down to, from the logit")
    axis.set_title(
        f"randomisation check {'passed' if one['passed'] else 'FAILED'}: {one['slices']} slices", fontsize=10
    )
    axis.set_xticks(range(len(rows)), [row["name"] for row in rows], rotation=30, ha="right")
    axis.grid(alpha=0.3)
    axis.legend(fontsize=8)
    save_figure(figure, path)


def _whiskers(rows: Sequence[Mapping[str, float | None]]) -> list[list[float]]:
    """Lengths below and above; none where there is no interval."""
    known = [(row["value"] or 0.0, row["low"], row["high"]) for row in rows]
    below = [0.0 if low is None else max(0.0, value - low) for value, low, _ in known]
    above = [0.0 if high is None else max(0.0, high - value) for value, _, high in known]
    return [below, above]
