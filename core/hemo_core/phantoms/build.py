"""Recipe → phantom."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from hemo_core.phantoms.bleeds import Lesion
from hemo_core.phantoms.brain import BrainShape, paint_brain
from hemo_core.phantoms.noise import Box, grain, make_drift, make_folds, streaks
from hemo_core.phantoms.shapes import Field, Place, cover, paint
from hemo_core.phantoms.skull import HeadShape, Skull, paint_outside
from hemo_core.phantoms.spec import Phantom, PhantomSpec

_MIDDLE_MM = 40.0
_EXTENT_MM = (224.0, 184.0)
_PITCH_MM = {"full": 0.85, "fast": 1.7}
_UPRIGHT = 2.0


@dataclass(frozen=True, slots=True)
class Pose:
    """How the head lies in the scanner: offsets in mm, angles in radians, size relative to the average."""

    x: float
    y: float
    turn: float
    roll: float
    size: float

    @classmethod
    def draw(cls, rng: np.random.Generator) -> Pose:
        """A head that a technician has placed with ordinary care."""
        return cls(
            x=rng.normal(0, 3),
            y=rng.normal(0, 3),
            turn=float(np.clip(rng.normal(0, 0.07), -0.2, 0.2)),
            roll=float(np.clip(rng.normal(0, 0.05), -0.12, 0.12)),
            size=rng.uniform(0.95, 1.05),
        )


def make_phantom(spec: PhantomSpec) -> Phantom:
    """Draw the head of a recipe.

    Returns:
        Hounsfield units and truth; the same for the same recipe on every machine with the same numpy and OpenCV.
    """
    rng = np.random.default_rng(spec.seed)
    head = _Head(spec, rng)
    hu = np.empty((spec.slices, spec.rows, spec.rows), np.int16)
    blood = np.empty(hu.shape, np.bool_)
    for index, height in enumerate(head.table_mm):
        hu[index], blood[index] = head.scan(height)
    return Phantom(spec, hu, blood, head.table_mm)


class _Head:
    """One person in the scanner, ready to be cut into slices."""

    def __init__(self, spec: PhantomSpec, rng: np.random.Generator) -> None:
        self.spec, self.rng = spec, rng
        self.pitch = max(_PITCH_MM[spec.detail], spec.pixel_spacing_mm)
        self.pose = Pose.draw(rng)
        tilt = np.deg2rad(spec.tilt_deg)
        step = spec.spacing_mm / float(np.cos(tilt))
        first = _MIDDLE_MM - step * (spec.slices - 1) / 2
        self.table_mm = tuple(first + step * index for index in range(spec.slices))
        self.base = self._plane(float(np.sin(tilt)), float(np.cos(tilt)))
        shape = HeadShape.draw(rng)
        self.skull = Skull(shape, self.base.x, self.base.y, self.pitch)
        self.brain = BrainShape.draw(rng, spec.mimic)
        ends = (self.table_mm[0] + 2, self.table_mm[-1] - 2)
        self.lesion = Lesion.draw(rng, spec.bleed, spec.bleed_size, ends)
        box = Box(self.table_mm[0] - spec.spacing_mm, self.table_mm[-1] + spec.spacing_mm, *_EXTENT_MM)
        self.folds, self.leaves, self.cells = (
            make_folds(rng, box, scale, upright=upright, step_mm=2.0 if self.pitch < 1 else 3.0)
            for scale, upright in ((11.0, _UPRIGHT), (5.0, 1.0), (8.0, 1.0))
        )
        self.drifts = tuple(make_drift(rng, box, 13.0, strength) for strength in (1.8, 2.2))
        self.holder = self._head_holder()

    def scan(self, height_mm: float) -> tuple[np.ndarray, np.ndarray]:
        """One slice: int16 Hounsfield units and bool blood, both ``(rows, rows)``."""
        thick = self.spec.spacing_mm
        offsets = (-0.25 * thick, 0.25 * thick) if thick > 2 and self.spec.detail == "full" else (0.0,)  # noqa: PLR2004
        layers = [self._layer(height_mm + offset) for offset in offsets]
        hu, blood = (np.asarray(np.mean(parts, axis=0, dtype=np.float32)) for parts in zip(*layers, strict=True))
        if self.pitch < 1:
            hu = np.asarray(cv2.GaussianBlur(hu, (0, 0), 0.55 / self.pitch), np.float32)
        picture = np.maximum(self._to_picture(hu, -1000.0), self.holder)
        self._add_noise(picture, height_mm)
        return np.rint(np.clip(picture, -1024, 3071)).astype(np.int16), self._to_picture(blood, 0.0) > 0.5  # noqa: PLR2004

    def _plane(self, sine: float, cosine: float) -> Place:
        """Head coordinates of the painting lattice at table height 0."""
        tall, wide = (int(size / self.pitch) // 2 * 2 + 1 for size in _EXTENT_MM)
        v, u = np.mgrid[:tall, :wide].astype(np.float32)
        u, v = (u - (wide - 1) / 2) * self.pitch, (v - (tall - 1) / 2) * self.pitch
        pose = self.pose
        x, y, z = u, v * cosine, v * sine
        turned_x = (np.cos(pose.turn) * x + np.sin(pose.turn) * y) / pose.size
        turned_y = (np.cos(pose.turn) * y - np.sin(pose.turn) * x) / pose.size
        lifted = (z + pose.roll * x) / pose.size
        return Place.of(*(np.asarray(axis, np.float32) for axis in (turned_x, turned_y, lifted)))

    def _head_holder(self) -> Field:
        """Hounsfield units of the head rest, a thin shell behind the head, at the size of a slice."""
        spec, radius = self.spec, float(self.rng.uniform(112, 135))
        v, u = (np.mgrid[: spec.rows, : spec.rows].astype(np.float32) - (spec.rows - 1) / 2) * spec.pixel_spacing_mm
        off = np.abs(np.hypot(u, v - (self.pose.y + 104 - radius)) - radius)
        shell = cover(1.4 - off) * cover(v - 40, 3.0)
        return np.asarray(-1000 + shell * self.rng.uniform(900, 1350), np.float32)

    def _layer(self, height_mm: float) -> tuple[Field, Field]:
        """One infinitely thin plane: Hounsfield units and share of blood on the painting lattice."""
        at = Place.of(self.base.x, self.base.y, self.base.z + np.float32(height_mm / self.pose.size))
        shape = at.x.shape
        folds, leaves, cells = (field.plane(height_mm, shape) for field in (self.folds, self.leaves, self.cells))
        vault = self.skull.vault(at)
        depth = self.skull.cavity(at, vault)
        hu = np.full(shape, -1000.0, np.float32)
        paint_outside(hu, at, self.skull, vault, cells, folds)
        aside, back = (drift.plane(height_mm, shape) for drift in self.drifts)
        soft = self.lesion.displace(at.moved(at.x + aside, at.y + back))
        spaces = paint_brain(hu, soft, depth, self.brain, folds, leaves)
        self._shade(hu, at, depth)
        if self.spec.bleed == "none":
            return hu, np.zeros_like(hu)
        self.lesion.edema(hu, soft, depth, cells)
        share = self.lesion.share(soft, vault, depth, spaces, cells)
        paint(hu, np.float32(self.lesion.hu) + np.clip(cells + folds, -8, 4), share)
        return hu, share

    def _shade(self, hu: Field, at: Place, depth: Field) -> None:
        """Beam hardening: brighter under the bone, a dark bar between the petrous bones (Hounsfield bar)."""
        inside = cover(depth)
        cup = 3.5 * np.exp(-np.maximum(depth, 0) / 7)
        bar = 7 * np.exp(-(((at.y - 12) / 11) ** 2) - ((at.z - 1) / 9) ** 2)
        hu += inside * np.asarray(cup - bar, np.float32)

    def _to_picture(self, plane: Field, outside: float) -> Field:
        """From the painting lattice to the pixels of the slice."""
        ratio = self.spec.pixel_spacing_mm / self.pitch
        middle = (self.spec.rows - 1) / 2
        offset_x = (plane.shape[1] - 1) / 2 - (middle + self.pose.x / self.spec.pixel_spacing_mm) * ratio
        offset_y = (plane.shape[0] - 1) / 2 - (middle + self.pose.y / self.spec.pixel_spacing_mm) * ratio
        matrix = np.array([[ratio, 0, offset_x], [0, ratio, offset_y]], np.float64)
        size = (self.spec.rows, self.spec.rows)
        flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
        return np.asarray(cv2.warpAffine(plane, matrix, size, flags=flags, borderValue=outside), np.float32)

    def _add_noise(self, picture: Field, height_mm: float) -> None:
        """Grain everywhere, streaks near the base of the skull, in place."""
        spec = self.spec
        size = (spec.rows, spec.rows)
        low = float(np.exp(-(((height_mm - 0) / 22) ** 2)))
        noise = grain(self.rng, size, spec.pixel_spacing_mm) * np.float32(spec.noise_hu * (1 + 0.6 * low))
        if low > 0.05:  # noqa: PLR2004
            noise += streaks(self.rng, size, spec.pixel_spacing_mm) * np.float32(0.45 * spec.noise_hu * low)
        picture += noise
