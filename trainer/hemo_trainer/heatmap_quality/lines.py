"""The figures about heat maps in words: one line each, for the model card, the evidence report and the terminal."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

_NAMES = {
    "pointing_game": "Pointing game: the peak lies in a box",
    "energy_in_box": "Energy in the box: share of the map's sum",
    "deletion": "Deletion: mean probability as the warmest cells are blanked (lower is better)",
    "insertion": "Insertion: mean probability as the warmest cells are revealed (higher is better)",
    "randomisation": "Randomisation check: likeness to the maps of a network that forgot everything (lower is better)",
    "heatmaps": "Heat maps",
}


@dataclass(frozen=True, slots=True)
class HeatmapLine:
    """One figure.

    Attributes:
        name: what was measured.
        value: with its interval, or why there is none.
        beside: what a map that knows nothing would score; empty where there is no figure.
        count: slices and patients it comes from; empty where there is no figure.
    """

    name: str
    value: str
    beside: str = ""
    count: str = ""

    def in_words(self) -> str:
        """All of it but the name."""
        beside = f" ({self.beside})" if self.beside else ""
        return f"{self.value}{beside}{f', {self.count}' if self.count else ''}"


def heatmap_lines(figures: Mapping[str, Any]) -> list[HeatmapLine]:
    """The figures of :func:`~hemo_trainer.heatmap_quality.measure.measure_heatmaps`, in reading order."""
    lines = []
    for key, name in _NAMES.items():
        if key in figures:
            lines.append(_LINES[key](name, figures[key]))
        elif key in figures["not_measured"]:
            lines.append(HeatmapLine(name, f"not measured: {figures['not_measured'][key]}"))
    return lines


def _box_line(name: str, figure: Mapping[str, Any]) -> HeatmapLine:
    one = figure["all"]
    beside = f"blindly into the head {_short(one['chance'])}, the head's centre {_short(one['centre'])}"
    return HeatmapLine(name, _cell(one["value"]), beside, _count(one))


def _curve_line(name: str, figure: Mapping[str, Any]) -> HeatmapLine:
    auc = figure["auc"]
    beside = f"in an order of chance {_short(auc['random'])}, from the head's centre {_short(auc['centre'])}"
    return HeatmapLine(name, _cell(auc["map"]), beside, _count(figure))


def _check_line(name: str, figure: Mapping[str, Any]) -> HeatmapLine:
    verdict = "passed" if figure["passed"] else "failed"
    last, itself = figure["stages"][-1]["spearman"], figure["itself"]["spearman"]
    value = f"{verdict}: {_cell(last)}, limit {figure['limit']:.3f}"
    beside = f"untouched, under slight noise {_short(itself)}"
    count = f"{figure['slices']} slices of {figure['patients']} patients, {len(figure['seeds'])} re-initialisations"
    return HeatmapLine(name, value, beside, count)


_LINES = {
    "pointing_game": _box_line,
    "energy_in_box": _box_line,
    "deletion": _curve_line,
    "insertion": _curve_line,
    "randomisation": _check_line,
}


def _cell(interval: Mapping[str, float | None]) -> str:
    if interval["low"] is None:
        return f"{interval['value']:.3f}"
    return f"{interval['value']:.3f} [{interval['low']:.3f}–{interval['high']:.3f}]"


def _short(interval: Mapping[str, float | None] | None) -> str:
    return "–" if interval is None else f"{interval['value']:.3f}"


def _count(figure: Mapping[str, Any]) -> str:
    return f"{figure['count']} slices of {figure['patients']} patients"
