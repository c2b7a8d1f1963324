"""The skull: a vault, a base with its fossae, the bone around them, and the face in front."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from hemo_core.phantoms.shapes import EDGE_MM, Field, Place, cover, ellipsoid, paint, tube

FAT, MUSCLE, SKIN, AIR, TABLE, DIPLOE, WATER = -95.0, 56.0, 48.0, -1000.0, 1250.0, 650.0, 8.0

_FACE_TOP_MM = 45.0


@dataclass(frozen=True, slots=True)
class HeadShape:
    """One person's head, in mm.

    Attributes:
        half_width, half_length, dome: inside of the skull, from its centre.
        flat: exponent of the outline; 2 is an ellipse, more is squarer.
        egg: how much wider the back is than the front.
        bone: thickness of the vault.
        scalp: thickness of the scalp.
        base: how far the base of the skull is lifted.
        pneumatised: size of the air spaces, about 1.
    """

    half_width: float
    half_length: float
    dome: float
    flat: float
    egg: float
    bone: float
    scalp: float
    base: float
    pneumatised: float
    ripple: tuple[float, float, float, float]

    @classmethod
    def draw(cls, rng: np.random.Generator) -> HeadShape:
        """A random adult."""
        return cls(
            half_width=rng.uniform(62, 69),
            half_length=rng.uniform(78, 88),
            dome=rng.uniform(63, 71),
            flat=rng.uniform(2.1, 2.5),
            egg=rng.uniform(0.08, 0.16),
            bone=rng.uniform(4.0, 6.4),
            scalp=rng.uniform(4.5, 8.0),
            base=rng.uniform(-3, 3),
            pneumatised=rng.uniform(0.7, 1.2),
            ripple=tuple(rng.normal(0, 0.008, 4)),
        )


class Skull:
    """Distances to the bones for planes that share x and y.

    Only the height differs from plane to plane, so what depends on x and y alone is computed once.
    """

    centre_z = 35.0

    def __init__(self, shape: HeadShape, x: Field, y: Field, pitch_mm: float) -> None:
        """Args: ``x`` and ``y`` in mm ``(h, w)``, and the pitch of the lattice they are given on."""
        self.shape = shape
        self._outline = _outline(shape, x, y)
        down, across = np.gradient(self._outline, np.float32(pitch_mm))
        self._outline_slope = np.sqrt(down * down + across * across)
        self.floor = _floor(shape, np.abs(x), y, pitch_mm)
        down, across = np.gradient(self.floor, np.float32(pitch_mm))
        self._floor_slope = np.sqrt(1 + down * down + across * across)
        self.bone = _vault_thickness(shape, x, y)
        self._base_bone = _base_thickness(np.abs(x), y)

    def vault(self, at: Place) -> Field:
        """Distance from the inside of the vault, positive inside."""
        lift = at.z - np.float32(self.centre_z)
        stretch = np.where(lift > 0, np.float32(1 / self.shape.dome), np.float32(1 / 115.0))
        height = lift * stretch
        level = np.sqrt(self._outline**2 + height * height) + np.float32(1e-6)
        slope = np.sqrt((self._outline * self._outline_slope) ** 2 + (height * stretch) ** 2) / level
        return np.asarray((1 - level) / np.maximum(slope, np.float32(0.008)), np.float32)

    def cavity(self, at: Place, vault: Field) -> Field:
        """Distance from the inside of the skull, positive where brain is."""
        return np.asarray(np.minimum(vault, (at.z - self.floor) / self._floor_slope))

    def outer(self, at: Place, vault: Field) -> Field:
        """Distance from the outside of the bone, positive inside."""
        thin = np.clip((np.abs(at.x) - 45) / 20, 0, 1) * np.clip((42 - at.z) / 25, 0, 1) * np.float32(0.5)
        below = (at.z - self.floor + self._base_bone) / self._floor_slope
        return np.asarray(np.minimum(vault + self.bone * (1 - thin), below))

    def skin(self, at: Place, vault: Field) -> Field:
        """Distance from the skin, positive inside."""
        scalp = vault + self.bone + np.float32(self.shape.scalp)
        temple = ellipsoid(at.folded(), (0, -12, 8), (self.shape.half_width + 11, 62, 46))
        face = ellipsoid(at, (0, -8, -18), (self.shape.half_width + 4, self.shape.half_length + 9, 80))
        nose = ellipsoid(at, (0, -self.shape.half_length - 14, -16), (11, 17, 22))
        neck = np.clip(-at.z - 5, 0, 40) * np.float32(0.35)
        whole = np.maximum(np.maximum(scalp, temple), np.maximum(face, nose))
        return np.asarray(whole - neck * (at.y > 0), np.float32)


def paint_outside(hu: Field, at: Place, skull: Skull, vault: Field, cells: Field, patches: Field) -> None:
    """Everything but the inside of the skull, in place.

    Args:
        hu: plane to paint, Hounsfield units.
        at: head coordinates.
        skull: the bones.
        vault: distance from the inside of the vault.
        cells: distance from thin walls, for air cells.
        patches: distance from patches of muscle in fat.
    """
    skin = skull.skin(at, vault)
    inside = cover(skin)
    paint(hu, FAT, inside)
    _soft_tissue(hu, at, skin, patches)
    paint(hu, SKIN, cover(1.15 - np.abs(skin - 1.15)))
    galea = cover(0.7 - np.abs(vault + skull.bone + 1.6)) * cover(patches + 4, 4.0)
    paint(hu, MUSCLE, galea * np.float32(0.8) * inside)
    side = at.folded()
    if at.span[0] < _FACE_TOP_MM:
        _face(hu, side, skin, cells, skull.shape.pneumatised)
    outer = skull.outer(at, vault)
    table = np.minimum(outer, 40)
    paint(hu, TABLE, cover(table) * inside)
    paint(hu, DIPLOE, cover(1.6 - np.abs(outer - skull.shape.bone / 2)) * cover(vault + skull.shape.bone) * inside)
    if at.span[0] < _FACE_TOP_MM:
        _air_in_bone(hu, side, outer, cells, skull.shape)


def _outline(shape: HeadShape, x: Field, y: Field) -> Field:
    """Level of the vault's horizontal outline: 0 in the centre, 1 on the bone; homogeneous of degree one."""
    back = y / np.float32(shape.half_length)
    inside = np.clip(back, -1.2, 1.2)
    width = shape.half_width * (1 + shape.egg * inside - 0.07 * inside * inside)
    power = np.float32(shape.flat)
    level = (np.abs(x / width) ** power + np.abs(back) ** power) ** (1 / power)
    angle = np.arctan2(y, x)
    a, b, c, d = shape.ripple
    wave = 1 + a * np.cos(2 * angle) + b * np.cos(3 * angle) + c * np.sin(2 * angle) + d * np.sin(angle)
    return np.asarray(level * wave, np.float32)


def _vault_thickness(shape: HeadShape, x: Field, y: Field) -> Field:
    """Thickness of the vault's bone in mm: thicker in front and behind."""
    along = np.clip(np.abs(y) / shape.half_length, 0, 1)
    ridge = 1.2 * np.exp(-((x / 9) ** 2)) * np.clip((along - 0.8) * 5, 0, 1)
    return np.asarray(shape.bone * (0.85 + 0.35 * along**2) + ridge, np.float32)


def _base_thickness(x: Field, y: Field) -> Field:
    """Thickness of the base of the skull in mm."""
    petrous = 17 * np.exp(-(((y - petrous_line(x)) / 11) ** 2)) * (x > 10)  # noqa: PLR2004
    clivus = 13 * np.exp(-((x / 13) ** 2)) * np.exp(-(((y - 2) / 16) ** 2))
    return np.asarray(3.5 + np.maximum(petrous, clivus), np.float32)


def petrous_line(x: Field) -> Field:
    """Give y of the crest of the petrous bone at a distance ``x`` from the midline, mm."""
    return np.asarray(-4 + 0.52 * x, np.float32)


def _floor(shape: HeadShape, x: Field, y: Field, pitch_mm: float) -> Field:
    """Height of the base of the skull above the reference plane, mm; ``x`` is the distance from the midline."""
    wing = -17 - 0.36 * x
    roof = np.exp(-(((x - 29) / 17) ** 2) - ((y + 62) / 22) ** 2)
    front = 20 + 13 * roof - 4 * np.exp(-((x / 6) ** 2))
    middle = -6 + 10 * ((x - 38) / 22) ** 2 + 5 * ((y + 10) / 22) ** 2
    back = -38 + 27 * (x / 50) ** 2 + 12 * ((y - 40) / 42) ** 2
    sella = 11 + 6 * np.exp(-(((y + 6) / 3) ** 2)) + 6 * np.exp(-(((y + 19) / 3) ** 2)) * (x > 5)  # noqa: PLR2004
    clivus = 16 - 1.75 * np.maximum(y + 6, 0)
    central = np.where(y < -4, sella, np.maximum(clivus, -45))  # noqa: PLR2004
    crest = petrous_line(x)
    ridge = np.minimum(11, 14 - 14 * ((y - crest) / 8) ** 2) - 2 * np.maximum(x - 58, 0)
    fossae = np.where(y > crest, back, np.minimum(middle, 22))
    fossae = np.maximum(fossae, ridge)
    inner = np.clip((15 - x) / 5, 0, 1) * (y < 22)  # noqa: PLR2004
    low = fossae * (1 - inner) + central * inner
    ahead = np.clip((wing - y) / 5 + 0.5, 0, 1)
    whole = low * (1 - ahead) + front * ahead + shape.base
    return np.asarray(cv2.GaussianBlur(whole.astype(np.float32), (0, 0), 2.2 / pitch_mm), np.float32)


def _soft_tissue(hu: Field, at: Place, skin: Field, patches: Field) -> None:
    """Muscles of temple, face and neck."""
    temple = ellipsoid(at.folded(), (66, -22, 12), (13, 34, 38))
    low = np.clip((8 - at.z) / 8, 0, 1)
    muscle = np.minimum(patches + 1.2, skin - 5)
    paint(hu, MUSCLE, cover(np.minimum(temple, skin - 2.5)))
    paint(hu, MUSCLE, cover(muscle) * low)


def _face(hu: Field, side: Place, skin: Field, cells: Field, size: float) -> None:
    """Orbits, nose, sinuses and cheek bones; ``side`` is folded at the midline."""
    orbit = np.minimum(ellipsoid(side, (31, -64, 10), (21, 26, 20)), skin - 1.5)
    paint(hu, TABLE * 0.8, cover(np.minimum(orbit + 2.5, skin - 5)) * (side.y > -82))  # noqa: PLR2004
    paint(hu, FAT, cover(orbit))
    paint(hu, 45.0, cover(tube(side, ((31, -62, 10, 2.4), (16, -34, 11, 2.0)))))
    for offset in (-8.5, 8.5):
        paint(hu, 55.0, cover(tube(side, ((31 + offset * 1.2, -66, 10, 1.5), (20, -42, 10, 1.5)))))
    globe = ellipsoid(side, (32, -73, 10), (12, 12, 12))
    paint(hu, 45.0, cover(globe))
    paint(hu, WATER, cover(globe - 1.3))
    paint(hu, 75.0, cover(ellipsoid(side, (32, -81, 10), (4.5, 2.2, 4.5))))
    width = 9 + 0.16 * (side.y + 90)
    nose = np.minimum(np.minimum(_block(side, (0, -60, -8), (30, 30, 30)), width - side.x), skin - 4)
    _cells(hu, nose, cells, 0.7)
    maxilla = ellipsoid(side, (31, -58, -24), (16 * size, 18 * size, 17 * size))
    paint(hu, TABLE * 0.8, cover(maxilla + 1.6) * cover(skin - 3))
    paint(hu, AIR, cover(maxilla) * cover(skin - 5))
    paint(hu, TABLE, cover(tube(side, ((63, 2, -9, 3.5), (60, -40, -8, 3.0), (46, -66, -6, 4.5)))))
    paint(hu, TABLE, cover(tube(side, ((53, -10, -16, 5), (50, -14, -45, 5)))))


def _air_in_bone(hu: Field, side: Place, outer: Field, cells: Field, shape: HeadShape) -> None:
    """Sphenoid and frontal sinus, mastoid cells."""
    size = shape.pneumatised
    sphenoid = ellipsoid(side, (4, -23, 0), (12 * size, 12, 9))
    paint(hu, TABLE, cover(sphenoid + 2.5))
    paint(hu, AIR, cover(sphenoid) * (1 - cover(0.5 - side.x)))
    frontal = ellipsoid(side, (9 * size, -shape.half_length - 3.5, 26), (13 * size, 3.5, 13 * size))
    paint(hu, AIR, cover(np.minimum(frontal, outer - 1.5)) * cover(np.abs(side.x) - 0.6))
    _cells(hu, ellipsoid(side, (54, 24, -7), (10 * size, 13 * size, 13)), cells, 0.9)
    paint(hu, AIR, cover(tube(side, ((46, 9, -4, 2.5), (75, 5, -8, 3.0)))))


def _cells(hu: Field, region: Field, cells: Field, wall: float) -> None:
    """Air divided by thin walls of bone."""
    paint(hu, TABLE, cover(region))
    paint(hu, AIR, cover(np.minimum(region - 1, np.abs(cells) - wall), EDGE_MM))


def _block(at: Place, centre: tuple[float, float, float], half: tuple[float, float, float]) -> Field:
    """Signed distance from a box (exact inside)."""
    u, v, w = at.x - centre[0], at.y - centre[1], at.z - centre[2]
    return np.asarray(np.minimum(np.minimum(half[0] - np.abs(u), half[1] - np.abs(v)), half[2] - np.abs(w)), np.float32)
