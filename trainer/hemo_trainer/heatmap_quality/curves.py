"""Deletion and insertion curves over many slices, beside orders that know nothing."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from hemo_core.bundle.contract import ScoringContract
from hemo_core.inference.scoring import calibrated
from hemo_core.scans.preprocess import to_input
from hemo_trainer.figures.intervals import mean_json
from hemo_trainer.heatmap_quality.explained import ExplainedSlice, PixelsOf, patient_of
from hemo_trainer.heatmap_quality.maps import centre_heat, head_mask
from hemo_trainer.heatmap_quality.occlusion import Order, Way, area, staircase, warmest_first

Doubles = npt.NDArray[np.float64]
_SEED = 11


def occlusion(
    slices: Sequence[ExplainedSlice], pixels_of: PixelsOf, scoring: ScoringContract, *, steps: int, random_orders: int
) -> dict[str, Any]:
    """``deletion`` and ``insertion``.

    The map's order stands beside two that know nothing of the model: chance, in blocks of the same size, and from the
    head's centre outwards.

    Args:
        slices: with a map each.
        pixels_of: model input of a record.
        scoring: the temperature.
        steps: of a curve.
        random_orders: of each slice.
    """
    rng = np.random.default_rng(_SEED)
    orders = [_orders(item, pixels_of, rng, random_orders) for item in slices]
    patients = [patient_of(item) for item in slices]
    ways: tuple[Way, ...] = ("deletion", "insertion")
    return {way: _one_way(way, slices, orders, pixels_of, scoring, steps, patients) for way in ways}


def _orders(
    item: ExplainedSlice, pixels_of: PixelsOf, rng: np.random.Generator, random_orders: int
) -> list[tuple[str, Order]]:
    """The orders in which cells are taken, by name."""
    rows, columns = item.heat.shape
    centre = centre_heat(head_mask(pixels_of(item.record)[..., 0]))
    coarse = np.asarray(cv2.resize(centre, (columns, rows), interpolation=cv2.INTER_AREA), np.float32)
    chance = [("random", np.asarray(rng.permutation(item.heat.size), np.intp)) for _ in range(random_orders)]
    return [("map", warmest_first(item.heat, rng)), ("centre", warmest_first(coarse, rng)), *chance]


def _one_way(
    way: Way,
    slices: Sequence[ExplainedSlice],
    orders: Sequence[Sequence[tuple[str, Order]]],
    pixels_of: PixelsOf,
    scoring: ScoringContract,
    steps: int,
    patients: Sequence[str],
) -> dict[str, Any]:
    curves: dict[str, list[Doubles]] = {"map": [], "centre": [], "random": []}
    shares = np.zeros(steps + 1)
    for item, own in zip(slices, orders, strict=True):
        shares, found = _curves(item, way, [order for _, order in own], pixels_of, scoring, steps)
        for name, rows in curves.items():
            rows.append(found[[kind == name for kind, _ in own]].mean(axis=0))
    return curves_json(way, shares, curves, patients)


def _curves(
    item: ExplainedSlice,
    way: Way,
    orders: Sequence[Order],
    pixels_of: PixelsOf,
    scoring: ScoringContract,
    steps: int,
) -> tuple[Doubles, Doubles]:
    """Shares ``(steps + 1,)`` and the slice's probabilities ``(orders, steps + 1)``; other slices stay as they are."""
    picture, subject = pixels_of(item.record), item.series.subject
    cells = (item.heat.shape[0], item.heat.shape[1])
    stairs = [staircase(way, picture, order, cells, steps) for order in orders]
    changed = subject.cnn(to_input(np.concatenate([stair.pictures for stair in stairs]))).embeddings
    scans = np.repeat(item.series.embeddings[None], len(changed), axis=0)  # (variants, t, E)
    scans[:, item.index] = changed
    logits = np.asarray(subject.logits(scans)[:, item.index], np.float64)
    return stairs[0].shares, calibrated(logits, scoring.temperature).reshape(len(orders), steps + 1)


def curves_json(way: Way, shares: Doubles, curves: dict[str, list[Doubles]], patients: Sequence[str]) -> dict[str, Any]:
    """JSON-ready: areas, gains and mean curves.

    A gain is how much better the map's order is than another: a smaller area for deletion, a greater one for insertion.

    Args:
        way: ``deletion`` or ``insertion``.
        shares: ``(steps + 1,)``.
        curves: by order, ``map`` among them, a curve ``(steps + 1,)`` a slice.
        patients: of each slice.
    """
    areas = {name: np.array([area(shares, curve) for curve in rows]) for name, rows in curves.items()}
    sign = -1 if way == "deletion" else 1
    return {
        "auc": {name: mean_json(values, patients) for name, values in areas.items()},
        "gain": {
            name: mean_json(sign * (areas["map"] - values), patients) for name, values in areas.items() if name != "map"
        },
        "curves": {
            "share": shares.round(4).tolist(),
            **{name: np.mean(rows, axis=0).round(4).tolist() for name, rows in curves.items()},
        },
        "count": len(patients),
        "patients": len(set(patients)),
    }
