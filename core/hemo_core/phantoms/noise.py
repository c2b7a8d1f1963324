"""Random fields: brain folding, patchy tissue, and the grain of a CT picture."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from hemo_core.phantoms.shapes import Field

_STEP_MM = 2.0


@dataclass(frozen=True, slots=True, eq=False)
class Folds:
    """Curved sheets through a volume, like sulci: the zero set of band-passed noise.

    Attributes:
        distance: float32 ``(depth, h, w)`` on a coarse lattice, signed distance from the nearest sheet in mm.
        bottom_mm: height of the first plane.
    """

    distance: Field
    bottom_mm: float

    def plane(self, height_mm: float, shape: tuple[int, int]) -> Field:
        """Distance from the nearest sheet in one plane, ``shape``."""
        where = float(np.clip((height_mm - self.bottom_mm) / _STEP_MM, 0, len(self.distance) - 1.001))
        low, share = int(where), np.float32(where - int(where))
        plane = self.distance[low] * (1 - share) + self.distance[low + 1] * share
        return np.asarray(cv2.resize(plane, shape[::-1], interpolation=cv2.INTER_CUBIC), np.float32)


def make_folds(
    rng: np.random.Generator, heights_mm: tuple[float, float], extent_mm: tuple[float, float], scale_mm: float
) -> Folds:
    """Draw folds.

    Args:
        rng: source of randomness.
        heights_mm: lowest and highest plane that will be asked for.
        extent_mm: (vertical, horizontal) size of a plane.
        scale_mm: typical distance between neighbouring sheets.
    """
    bottom = heights_mm[0] - 2 * _STEP_MM
    depth = int((heights_mm[1] - bottom) / _STEP_MM) + 4
    shape = (depth, *(int(size / _STEP_MM) + 1 for size in extent_mm))
    white = rng.standard_normal(shape, dtype=np.float32)
    sigma = scale_mm / 2.6 / _STEP_MM
    band = _blur(white, sigma) - _blur(white, 1.7 * sigma)
    slopes = np.gradient(band, np.float32(_STEP_MM))
    steep = np.sqrt(slopes[0] ** 2 + slopes[1] ** 2 + slopes[2] ** 2)
    return Folds(np.asarray(band / (steep + np.float32(0.15) * steep.mean()), np.float32), bottom)


def _blur(volume: Field, sigma: float) -> Field:
    """Gaussian blur along all three axes."""
    flat = cv2.GaussianBlur(volume.reshape(len(volume), -1), (1, 2 * int(3 * sigma) + 1), sigmaX=sigma, sigmaY=sigma)
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
