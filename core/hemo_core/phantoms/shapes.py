"""Signed distances (mm, positive inside) and how they become grey: the few shapes heads are drawn with."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

Field: TypeAlias = npt.NDArray[np.floating[Any]]
Point: TypeAlias = tuple[float, float, float]
Knot: TypeAlias = tuple[float, float, float, float]

EDGE_MM = 0.9
FAR_MM = 20.0


@dataclass(frozen=True, slots=True, eq=False)
class Place:
    """Head coordinates of a plane's pixels, mm, each ``(h, w)``: x to the patient's left, y to the back, z up.

    Attributes:
        span: lowest and highest z, so that shapes far from the plane cost nothing.
    """

    x: Field
    y: Field
    z: Field
    span: tuple[float, float]

    @classmethod
    def of(cls, x: Field, y: Field, z: Field) -> Place:
        """Coordinates with their span."""
        return cls(x, y, z, (float(z.min()), float(z.max())))

    def folded(self) -> Place:
        """Both sides laid over each other: x is the distance from the midline."""
        return Place(np.abs(self.x), self.y, self.z, self.span)

    def from_side(self, side: int) -> Place:
        """The same plane with x positive on one side of the head."""
        return Place(self.x * np.float32(side), self.y, self.z, self.span)

    def moved(self, x: Field, y: Field) -> Place:
        """The same plane with other x and y."""
        return Place(np.asarray(x, np.float32), np.asarray(y, np.float32), self.z, self.span)

    def misses(self, low: float, high: float) -> bool:
        """Whether the plane stays well away from a layer."""
        return self.span[0] > high + FAR_MM or self.span[1] < low - FAR_MM

    def rows(self, low: float, high: float) -> slice:
        """The rows that may hold a y between the two; y grows with the row, but for a turn of the head."""
        ends = self.y[:, (0, -1)]
        first = int(np.searchsorted(ends.max(axis=1), low - FAR_MM))
        return slice(first, int(np.searchsorted(ends.min(axis=1), high + FAR_MM)))


def cover(distance: Field, edge: float = EDGE_MM) -> Field:
    """Share of a pixel that lies inside, 0 to 1, from a signed distance."""
    return np.asarray(np.clip(distance * np.float32(1 / edge) + np.float32(0.5), 0, 1))


def paint(hu: Field, value: float | Field, share: Field) -> None:
    """Blend ``value`` into ``hu`` in place."""
    hu += share * (np.asarray(value, np.float32) - hu)


def ellipsoid(at: Place, centre: Point, radii: Point) -> Field:
    """Roughly the signed distance from an ellipsoid; ``-FAR_MM`` where it is further away than that."""
    result = np.full_like(at.x, -FAR_MM)
    if at.misses(centre[2] - radii[2], centre[2] + radii[2]):
        return result
    band = at.rows(centre[1] - radii[1], centre[1] + radii[1])
    a, b, c = (np.float32(1 / radius) for radius in radii)
    u = (at.x[band] - np.float32(centre[0])) * a
    v = (at.y[band] - np.float32(centre[1])) * b
    w = (at.z[band] - np.float32(centre[2])) * c
    level = np.sqrt(u * u + v * v + w * w)
    slope = np.sqrt((u * a) ** 2 + (v * b) ** 2 + (w * c) ** 2) / np.maximum(level, np.float32(1e-3))
    result[band] = (1 - level) / np.maximum(slope, min(a, b, c))
    return np.maximum(result, -FAR_MM, out=result)


def tube(at: Place, knots: Sequence[Knot]) -> Field:
    """Signed distance from a bent tube through ``(x, y, z, radius)`` knots, at least ``-FAR_MM``."""
    result = np.full_like(at.x, -FAR_MM)
    for first, last in pairwise(knots):
        reach = max(first[3], last[3])
        if at.misses(min(first[2], last[2]) - reach, max(first[2], last[2]) + reach):
            continue
        band = at.rows(min(first[1], last[1]) - reach, max(first[1], last[1]) + reach)
        result[band] = np.maximum(result[band], _capsule((at.x[band], at.y[band], at.z[band]), first, last))
    return result


def _capsule(at: tuple[Field, Field, Field], first: Knot, last: Knot) -> Field:
    """Signed distance from a rod whose radius changes evenly from one end to the other."""
    start, end = np.array(first[:3], np.float32), np.array(last[:3], np.float32)
    along = end - start
    px, py, pz = at[0] - start[0], at[1] - start[1], at[2] - start[2]
    share = np.clip((px * along[0] + py * along[1] + pz * along[2]) / np.dot(along, along), 0, 1)
    px -= share * along[0]
    py -= share * along[1]
    pz -= share * along[2]
    radius = np.float32(first[3]) + share * np.float32(last[3] - first[3])
    return np.asarray(radius - np.sqrt(px * px + py * py + pz * pz), np.float32)
