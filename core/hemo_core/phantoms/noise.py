"""Random fields: brain folding, patchy tissue, and the grain of a CT picture."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from hemo_core.phantoms.shapes import Field

_DRIFT_STEP_MM = 5.0
_LARGEST_MM = 15.0


@dataclass(frozen=True, slots=True, eq=False)
class RandomField:
    """A random field through the scanned volume.

    Attributes:
        values: float32 ``(depth, h, w)`` on a coarse lattice, mm.
        bottom_mm: height of the first plane.
        step_mm: pitch of the lattice.
    """

    values: Field
    bottom_mm: float
    step_mm: float

    def plane(self, height_mm: float, shape: tuple[int, int]) -> Field:
        """The field in one plane, ``shape``."""
        where = float(np.clip((height_mm - self.bottom_mm) / self.step_mm, 0, len(self.values) - 1.001))
        low, share = int(where), np.float32(where - int(where))
        plane = self.values[low] * (1 - share) + self.values[low + 1] * share
        return np.asarray(cv2.resize(plane, shape[::-1], interpolation=cv2.INTER_CUBIC), np.float32)


@dataclass(frozen=True, slots=True)
class Box:
    """The volume a field must fill: lowest and highest plane, height and width of a plane, mm."""

    low: float
    high: float
    tall: float
    wide: float


def make_folds(
    rng: np.random.Generator, box: Box, scale_mm: float, *, upright: float = 1.0, step_mm: float = 2.0
) -> RandomField:
    """Curved sheets through a volume, like sulci: the zero set of band-passed noise.

    Args:
        rng: source of randomness.
        box: the volume.
        scale_mm: typical distance between neighbouring sheets.
        upright: above 1 the sheets stand more upright.
        step_mm: pitch of the lattice.

    Returns:
        Roughly the signed distance from the nearest sheet.
    """
    white = _white(rng, box, step_mm)
    sigma = scale_mm / 2.6 / step_mm
    band = _blur(white, sigma, upright) - _blur(white, 1.7 * sigma, upright)
    slopes = np.gradient(band, np.float32(step_mm))
    steep = np.sqrt(slopes[0] ** 2 + slopes[1] ** 2 + slopes[2] ** 2)
    distance = band / (steep + np.float32(0.15) * steep.mean())
    return RandomField(np.clip(distance, -_LARGEST_MM, _LARGEST_MM), _bottom(box, step_mm), step_mm)


def make_drift(rng: np.random.Generator, box: Box, scale_mm: float, strength_mm: float) -> RandomField:
    """A smooth field of standard deviation ``strength_mm``, by which shapes lose their symmetry."""
    smooth = _blur(_white(rng, box, _DRIFT_STEP_MM), scale_mm / _DRIFT_STEP_MM)
    smooth *= np.float32(strength_mm) / smooth.std()
    return RandomField(smooth, _bottom(box, _DRIFT_STEP_MM), _DRIFT_STEP_MM)


def _bottom(box: Box, step_mm: float) -> float:
    return box.low - 2 * step_mm


def _white(rng: np.random.Generator, box: Box, step_mm: float) -> Field:
    depth = int((box.high - _bottom(box, step_mm)) / step_mm) + 4
    shape = (depth, int(box.tall / step_mm) + 1, int(box.wide / step_mm) + 1)
    return rng.standard_normal(shape, dtype=np.float32)


def _blur(volume: Field, sigma: float, upright: float = 1.0) -> Field:
    """Gaussian blur along all three axes, ``upright`` times as wide along the first."""
    tall = upright * sigma
    lines = volume.reshape(len(volume), -1)
    flat = cv2.GaussianBlur(lines, (1, 2 * int(3 * tall) + 1), sigmaX=tall, sigmaY=tall)
    planes = flat.reshape(volume.shape)
    return np.stack([cv2.GaussianBlur(plane, (0, 0), sigma) for plane in planes])


def grain(rng: np.random.Generator, shape: tuple[int, int], pixel_mm: float) -> Field:
    """CT noise of one slice, standard deviation 1: the ramp filter takes the slow parts, the kernel the quick ones."""
    white = rng.standard_normal(shape, dtype=np.float32)
    quick, slow = 0.45 / pixel_mm, 1.9 / pixel_mm
    smooth = cv2.GaussianBlur(white, (0, 0), max(quick, 0.3))
    texture = smooth - np.float32(0.85) * cv2.GaussianBlur(smooth, (0, 0), max(slow, 0.6))
    return np.asarray(texture / texture.std(), np.float32)


def streaks(rng: np.random.Generator, shape: tuple[int, int], pixel_mm: float) -> Field:
    """Horizontal streaks between dense bones, standard deviation about 1."""
    lines = cv2.GaussianBlur(
        rng.standard_normal((shape[0], 1), dtype=np.float32), (1, 0), sigmaX=0.01, sigmaY=1.2 / pixel_mm
    )
    tilted = np.repeat(lines / max(float(lines.std()), 1e-6), shape[1], axis=1)
    shear = np.array([[1, 0, 0], [rng.uniform(-0.12, 0.12), 1, 0]], np.float32)
    return np.asarray(cv2.warpAffine(tilted, shear, shape[::-1], borderMode=cv2.BORDER_REFLECT), np.float32)
