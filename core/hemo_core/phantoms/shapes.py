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


@dataclass(frozen=True, slots=True, eq=False)
class Place:
    """Head coordinates of a plane's pixels, mm, each ``(h, w)``: x to the patient's left, y to the back, z up."""

    x: Field
    y: Field
    z: Field

    def mirrored(self) -> Place:
        """The same plane seen in a mirror at the midline."""
        return Place(-self.x, self.y, self.z)

    def folded(self) -> Place:
        """Both sides laid over each other: x is the distance from the midline."""
        return Place(np.abs(self.x), self.y, self.z)


def cover(distance: Field, edge: float = EDGE_MM) -> Field:
    """Share of a pixel that lies inside, 0 to 1, from a signed distance."""
    return np.asarray(np.clip(distance * np.float32(1 / edge) + np.float32(0.5), 0, 1))


def paint(hu: Field, value: float | Field, share: Field) -> None:
    """Blend ``value`` into ``hu`` in place."""
    hu += share * (np.asarray(value, np.float32) - hu)


def ellipsoid(at: Place, centre: Point, radii: Point) -> Field:
    """Roughly the signed distance from an ellipsoid."""
    a, b, c = (np.float32(1 / radius) for radius in radii)
    u, v, w = (at.x - np.float32(centre[0])) * a, (at.y - np.float32(centre[1])) * b, (at.z - np.float32(centre[2])) * c
    level = np.sqrt(u * u + v * v + w * w)
    slope = np.sqrt((u * a) ** 2 + (v * b) ** 2 + (w * c) ** 2) / np.maximum(level, np.float32(1e-3))
    return np.asarray((1 - level) / np.maximum(slope, min(a, b, c)), np.float32)


def tube(at: Place, knots: Sequence[Knot]) -> Field:
    """Signed distance from a bent tube through ``(x, y, z, radius)`` knots."""
    pieces = [_capsule(at, first, last) for first, last in pairwise(knots)]
    result = pieces[0]
    for piece in pieces[1:]:
        np.maximum(result, piece, out=result)
    return result


def _capsule(at: Place, first: Knot, last: Knot) -> Field:
    start, end = np.array(first[:3], np.float32), np.array(last[:3], np.float32)
    along = end - start
    px, py, pz = at.x - start[0], at.y - start[1], at.z - start[2]
    share = np.clip((px * along[0] + py * along[1] + pz * along[2]) / np.dot(along, along), 0, 1)
    dx, dy, dz = px - share * along[0], py - share * along[1], pz - share * along[2]
    radius = np.float32(first[3]) + share * np.float32(last[3] - first[3])
    return np.asarray(radius - np.sqrt(dx * dx + dy * dy + dz * dz), np.float32)
