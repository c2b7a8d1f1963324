"""Acute blood: where it lies, how dense it is, what it pushes away."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from hemo_core.phantoms.brain import Spaces
from hemo_core.phantoms.shapes import Field, Place, Point, cover, ellipsoid, paint
from hemo_core.phantoms.spec import Bleed

_DEEP: tuple[Point, ...] = ((27, -4, 38), (12, 8, 40), (38, 30, 55), (30, -40, 48), (45, 8, 28), (22, 45, -4))


@dataclass(frozen=True, slots=True)
class Lesion:
    """One bleed.

    Attributes:
        side: +1 for the patient's left, -1 for the right.
        centre: head coordinates in mm, x away from the midline.
        reach: mm, how far it extends; what that means depends on the kind.
        thick: mm, greatest thickness.
        hu: density of clotted blood.
        push: mm, how far it pushes the brain to the other side.
    """

    kind: Bleed
    side: int
    centre: Point
    reach: float
    thick: float
    hu: float
    push: float

    @classmethod
    def draw(cls, rng: np.random.Generator, kind: Bleed, size: float, heights_mm: tuple[float, float]) -> Lesion:
        """A random bleed whose centre lies between the two heights."""
        side = 1 if rng.uniform() < 0.5 else -1  # noqa: PLR2004
        hu = float(rng.uniform(62, 74))
        wobble = rng.uniform(-1, 1, 3)
        deep = _DEEP[int(rng.integers(len(_DEEP)))]
        angle = rng.uniform(-0.8, 0.7)
        place: dict[Bleed, tuple[Point, float, float, float]] = {
            "none": ((0, 0, 40), 0.0, 0.0, 0.0),
            "epidural": (
                (70 * np.cos(angle), 80 * np.sin(angle), 42 + 14 * wobble[0]),
                26 + 22 * size,
                5 + 19 * size,
                4 * size,
            ),
            "subdural": ((60, 12 * wobble[0], 52 + 8 * wobble[1]), 45 + 40 * size, 3 + 12 * size, 6 * size),
            "intraparenchymal": (
                (deep[0] + 4 * wobble[0], deep[1] + 5 * wobble[1], deep[2] + 4 * wobble[2]),
                6 + 17 * size,
                5 + 13 * size,
                4 * size,
            ),
            "intraventricular": ((22, 40, 44), 10 + 70 * size, 0.0, 0.0),
            "subarachnoid": ((30, -12, 22 + 8 * wobble[0]), 28 + 45 * size, 0.0, 0.0),
        }
        centre, reach, thick, push = place[kind]
        low, high = heights_mm
        held = (float(centre[0]), float(centre[1]), float(np.clip(centre[2], min(low, high), max(low, high))))
        return cls(kind, side, held, float(reach), float(thick), hu, float(push))

    def displace(self, at: Place) -> Place:
        """Head coordinates as the anatomy has them before the blood pushed it aside."""
        if not self.push:
            return at
        x, y, z = self.centre
        away = ((at.x - self.side * x * 0.5) / 45) ** 2 + ((at.y - y) / 45) ** 2 + ((at.z - z) / 35) ** 2
        shift = np.float32(self.side * self.push) * np.exp(-away)
        return at.moved(at.x + shift, at.y)

    def share(self, at: Place, vault: Field, depth: Field, spaces: Spaces, rough: Field) -> Field:
        """Share of blood in each pixel, 0 to 1.

        Args:
            at: head coordinates, as the anatomy has them.
            vault: distance from the inside of the vault, mm.
            depth: distance from the inside of the skull, mm.
            spaces: fluid spaces.
            rough: a random field in mm that makes edges irregular.
        """
        own = at.from_side(self.side)
        match self.kind:
            case "epidural":
                return cover(np.minimum(self._lens(own, vault), depth))
            case "subdural":
                return cover(np.minimum(self._crescent(own, vault) + 0.06 * rough, depth))
            case "intraparenchymal":
                return cover(np.minimum(self._blob(own, rough), depth - 1))
            case "intraventricular":
                return spaces.ventricles * cover(self._layer(own, rough), 1.5)
            case "subarachnoid":
                near = ellipsoid(own, self.centre, (self.reach, self.reach, self.reach * 0.8)) + 2 * rough
                return np.maximum(spaces.cisterns, spaces.sulci) * cover(near, 6.0) * (own.x > -12)  # noqa: PLR2004
            case _:
                return np.zeros_like(depth)

    def edema(self, hu: Field, at: Place, depth: Field, rough: Field) -> None:
        """Darken the brain around a bleed in its substance, in place."""
        if self.kind != "intraparenchymal":
            return
        own = at.from_side(self.side)
        rim = cover(self._blob(own, rough) + 3 + 0.3 * self.thick, 5.0)
        paint(hu, 20.0, rim * cover(depth - 3, 2.0) * np.float32(0.85))

    def _lens(self, own: Place, vault: Field) -> Field:
        """Distance inside a ball that bulges inwards from the bone: biconvex between bone and brain."""
        radius = (self.reach**2 + self.thick**2) / (2 * self.thick)
        unit = np.array([self.centre[0] / 67, self.centre[1] / 82, (self.centre[2] - 35) / 67])
        unit = unit / np.linalg.norm(unit)
        surface = unit * np.array([67, 82, 67]) + np.array([0, 0, 35])
        middle = surface + unit * (radius - self.thick)
        away = np.sqrt((own.x - middle[0]) ** 2 + (own.y - middle[1]) ** 2 + (own.z - middle[2]) ** 2)
        return np.asarray(np.where(vault < self.thick + 4, radius - away, -2), np.float32)

    def _crescent(self, own: Place, vault: Field) -> Field:
        """Distance inside a sheet along the bone of one side, thinning out to its ends."""
        along = ((own.y - self.centre[1]) / self.reach) ** 2 + ((own.z - self.centre[2]) / (0.62 * self.reach)) ** 2
        height = np.float32(self.thick) * np.clip(1 - along, 0, 1) ** np.float32(0.6) - 2 * (along > 1)
        return np.asarray(np.where(own.x > 3, height - vault, -2), np.float32)  # noqa: PLR2004

    def _blob(self, own: Place, rough: Field) -> Field:
        return ellipsoid(own, self.centre, (self.thick, self.reach, 0.85 * self.reach)) + 0.35 * rough

    def _layer(self, own: Place, rough: Field) -> Field:
        """Distance below the fluid level: blood sinks to the back of a patient who lies on the back."""
        level = 58 - self.reach - np.where(own.x > 0, np.float32(0), np.float32(-14))
        return np.asarray(own.y - level + 0.3 * rough, np.float32)
