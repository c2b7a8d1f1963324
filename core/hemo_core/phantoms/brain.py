"""The inside of the skull: grey and white matter, fluid spaces, falx and tentorium."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from hemo_core.phantoms.shapes import Field, Knot, Place, cover, ellipsoid, paint, tube
from hemo_core.phantoms.skull import petrous_line
from hemo_core.phantoms.spec import Mimic


@dataclass(frozen=True, slots=True)
class BrainShape:
    """One person's brain.

    Attributes:
        grey, white, fluid: Hounsfield units.
        ventricles: radius of the ventricles relative to a young adult.
        atrophy: width of sulci and cisterns relative to a young adult.
        falx: Hounsfield units of the falx and the tentorium.
        torque: mm by which the back of the midline leans to a side.
    """

    grey: float
    white: float
    fluid: float
    ventricles: float
    atrophy: float
    falx: float
    torque: float
    pineal_hu: float
    choroid_hu: float

    @classmethod
    def draw(cls, rng: np.random.Generator, mimic: Mimic) -> BrainShape:
        """A random adult with, perhaps, something dense that is no blood."""
        age = rng.uniform(0, 1)
        return cls(
            grey=rng.uniform(37.5, 40.5),
            white=rng.uniform(27.5, 30),
            fluid=rng.uniform(3, 9),
            ventricles=0.75 + 0.6 * age + rng.uniform(-0.1, 0.1),
            atrophy=0.45 + 0.9 * age + rng.uniform(-0.1, 0.1),
            falx=rng.uniform(72, 88) if mimic == "dense_falx" else rng.uniform(46, 56),
            torque=rng.normal(0, 1.2),
            pineal_hu=rng.uniform(150, 320) if mimic == "pineal" else rng.uniform(35, 60),
            choroid_hu=rng.uniform(120, 280) if mimic == "choroid" else rng.uniform(25, 55),
        )


@dataclass(frozen=True, slots=True, eq=False)
class Spaces:
    """Where fluid is in one plane: shares 0 to 1, each ``(h, w)``. Blood can fill them.

    Attributes:
        ventricles: lateral, third and fourth.
        cisterns: basal cisterns, Sylvian and interhemispheric fissure.
        sulci: sulci and the rim under the skull.
    """

    ventricles: Field
    cisterns: Field
    sulci: Field


_LATERAL: tuple[Knot, ...] = (
    (13.5, -37.0, 38.0, 3.0),
    (9.0, -25.0, 43.0, 5.2),
    (8.0, -6.0, 52.0, 4.6),
    (13.0, 12.0, 53.0, 5.4),
    (22.0, 28.0, 45.0, 7.2),
    (21.0, 46.0, 40.0, 4.0),
    (18.0, 58.0, 39.0, 1.2),
)
_TEMPORAL: tuple[Knot, ...] = (
    (22.0, 28.0, 45.0, 6.5),
    (33.0, 18.0, 29.0, 3.6),
    (35.0, 2.0, 17.0, 2.4),
    (31.0, -8.0, 14.0, 1.4),
)


def lateral_ventricle(side: Place, scale: float) -> Field:
    """Signed distance from one lateral ventricle; ``side`` has its x positive on that side."""
    knots = [(x, y, z, radius * scale) for x, y, z, radius in _LATERAL]
    horn = [(x, y, z, radius * scale) for x, y, z, radius in _TEMPORAL]
    whole = np.maximum(tube(side, knots), tube(side, horn))
    caudate = ellipsoid(side, (16.0 + 2.0 * scale, -22, 42), (6.5, 13, 12))
    return np.asarray(np.minimum(np.minimum(whole, -caudate), side.x - 1.2), np.float32)


def paint_brain(hu: Field, at: Place, depth: Field, shape: BrainShape, folds: Field, leaves: Field) -> Spaces:
    """Paint brain where ``depth`` (distance from the inside of the skull, mm) is positive, in place.

    Args:
        hu: plane to paint.
        at: head coordinates, already displaced by any mass.
        depth: distance from bone, positive inside.
        shape: the person.
        folds: distance from the nearest sulcus of the cerebrum, mm.
        leaves: distance from the nearest fissure of the cerebellum, mm.

    Returns:
        The fluid spaces.
    """
    inside = cover(depth)
    side = at.folded()
    roof = _tentorium(side)
    low = cover(np.minimum(roof - at.z, at.y - petrous_line(side.x) + 4), 2.0)
    spaces = _spaces(at, side, depth, shape, np.where(low > 0.5, leaves, folds), low)  # noqa: PLR2004
    tissue = np.full_like(hu, shape.white)
    paint(tissue, shape.grey, _cortex(depth, shape, folds) * (1 - low))
    paint(tissue, shape.grey - 1, low * (0.35 + 0.5 * cover(1.2 - np.abs(leaves), 1.5)))
    _deep(tissue, side, shape)
    paint(tissue, shape.white + 2, cover(_stem(at), 1.5))
    paint(tissue, shape.fluid + 4, spaces.sulci)
    paint(tissue, shape.fluid, spaces.cisterns)
    paint(tissue, shape.fluid, spaces.ventricles)
    _membranes(tissue, at, side, depth, roof, shape)
    _calcifications(tissue, side, shape)
    paint(hu, tissue, inside)
    return Spaces(spaces.ventricles * inside, spaces.cisterns * inside, spaces.sulci * inside)


def midline(at: Place, shape: BrainShape) -> Field:
    """Signed distance from the midline, which leans a little to one side at the back, mm."""
    return np.asarray(at.x - shape.torque * np.clip(at.y / 60, -0.4, 1), np.float32)


def _cortex(depth: Field, shape: BrainShape, folds: Field) -> Field:
    """Share of cortical grey matter."""
    reach = np.clip((27 - depth) / 8, 0, 1)
    ribbon = cover(3.1 - np.abs(folds), 1.6) * reach
    return np.maximum(cover(3.4 + shape.atrophy - depth, 1.6), ribbon)


def _deep(tissue: Field, side: Place, shape: BrainShape) -> None:
    """Basal ganglia, thalamus and insula: grey; the capsules between them stay white."""
    for centre, radii in (
        ((16.0 + 2.0 * shape.ventricles, -22.0, 42.0), (6.0, 12.0, 11.0)),
        ((10.5, 7.0, 40.0), (7.0, 13.0, 10.0)),
        ((24.0, -6.0, 36.0), (6.0, 16.0, 11.0)),
    ):
        paint(tissue, shape.grey + 0.5, cover(ellipsoid(side, centre, radii), 2.5))
    insula = np.abs(ellipsoid(side, (22.0, -4.0, 36.0), (17.0, 25.0, 20.0)) + 1)
    paint(tissue, shape.grey, cover(1.8 - insula, 1.5) * cover(side.x - 28, 4.0))


def _stem(at: Place) -> Field:
    """Signed distance from midbrain, pons and medulla."""
    return tube(at, ((0, 24, -42, 8), (0, 10, -12, 11), (0, 6, 2, 13.5), (0, 9, 16, 12.5), (0, 10, 27, 12.5)))


def _spaces(at: Place, side: Place, depth: Field, shape: BrainShape, folds: Field, low: Field) -> Spaces:
    wide = shape.atrophy
    lateral = lateral_ventricle(side, shape.ventricles)
    third = ellipsoid(side, (0, 0, 34), (1.4 * shape.ventricles + 0.6, 13, 9))
    fourth = np.minimum(ellipsoid(side, (0, 25, -4), (7 * shape.ventricles + 2, 5, 10)), at.y - 20)
    ventricles = cover(np.maximum(lateral, np.maximum(third, fourth)))
    taper = np.clip(1 - depth / 22, 0, 1)
    high = np.clip((at.z - 10) / 70, 0, 1)
    width = (0.25 + wide * (0.55 + 0.8 * high)) * taper - 0.1 - 0.45 * low
    sulci = np.maximum(cover(width - np.abs(folds), 1.1) * (depth < 20), cover(0.5 + 0.7 * wide - depth))  # noqa: PLR2004
    return Spaces(ventricles, _cisterns(at, side, wide, shape), np.asarray(sulci, np.float32))


def _cisterns(at: Place, side: Place, wide: float, shape: BrainShape) -> Field:
    """Share of the cisterns and large fissures."""
    stem = _stem(at)
    gap = np.minimum(1.6 + 1.4 * wide + stem, -stem)
    beside = np.minimum(at.y - 4 + 0.5 * np.clip(8 - at.z, 0, 40), 33 - at.y)
    around = np.minimum(gap, np.minimum(30 - at.z, beside))
    behind = ellipsoid(side, (0, 27, 26), (9, 5 + wide, 8))
    angle = np.arctan2(at.y + 10, at.x)
    star = ellipsoid(side, (0, -9, 17), (15, 12, 9)) + 2.2 * np.cos(5 * angle + np.float32(np.pi / 2)) - 1.5
    out = side.x - 34
    bend = -12 - 5 * np.sin(out / 7 + 0.6) + 0.3 * out + 0.35 * (at.z - 32)
    sylvian = 0.2 + 1.1 * wide - 0.03 * out - np.abs(side.y - bend) * np.float32(0.8)
    reach = np.minimum(np.minimum(side.x - 31, at.z - 12), 50 - at.z)
    sylvian = np.minimum(sylvian, reach * 0.5)
    insular = 0.1 + 0.8 * wide - np.abs(ellipsoid(side, (22.0, -4.0, 36.0), (19.0, 27.0, 22.0)))
    insular = np.minimum(insular, np.minimum(side.x - 34, 12 - np.abs(side.y + 5)) * 0.5)
    core = ellipsoid(side, (0, 2, 36), (60, 40, 30))
    split = np.minimum(0.25 + 0.75 * wide - np.abs(midline(at, shape)), np.minimum(-core, at.z - 20))
    open_ = np.maximum(np.maximum(around, behind), np.maximum(star, sylvian))
    return cover(np.maximum(open_, np.maximum(insular, split)))


def _tentorium(side: Place) -> Field:
    """Height of the tentorium, mm."""
    return np.asarray(34 - 0.40 * side.x - 0.34 * np.maximum(side.y - 26, 0), np.float32)


def _membranes(tissue: Field, at: Place, side: Place, depth: Field, roof: Field, shape: BrainShape) -> None:
    """Falx, superior sagittal sinus, tentorium."""
    off = np.abs(midline(at, shape))
    core = ellipsoid(side, (0, -6, 36), (60, 46, 37))
    falx = np.minimum(0.75 - off, np.minimum(-core, at.z - 22))
    thicker = 0.5 if shape.falx > 60 else 0.0  # noqa: PLR2004
    paint(tissue, shape.falx, cover(falx + thicker) * np.clip(0.45 + at.y / 90, 0.4, 1))
    sinus = np.minimum(np.minimum(5 - off * 1.3 - depth * 0.9, np.maximum(at.y - 10, at.z - 80)), at.z - 25)
    paint(tissue, 56.0, cover(sinus))
    sheet = np.minimum(0.9 - np.abs(at.z - roof) * 0.88, np.minimum(at.y - petrous_line(side.x) - 2, 60 - depth))
    hole = ellipsoid(side, (0, 10, 25), (17, 21, 40))
    paint(tissue, shape.falx - 4, cover(np.minimum(sheet, -hole)) * 0.8)


def _calcifications(tissue: Field, side: Place, shape: BrainShape) -> None:
    """Pineal gland and choroid plexus."""
    paint(tissue, shape.pineal_hu, cover(ellipsoid(side, (0, 19, 33), (2.6, 3.2, 3.0))))
    paint(tissue, shape.choroid_hu, cover(ellipsoid(side, (21, 30, 44), (2.6, 4.2, 3.6))))
