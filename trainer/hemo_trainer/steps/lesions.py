"""Made-up bleeds on real slices without one: subtle ones are rare, and an augmentation can paint them.

A lesion follows the anatomy of its slice: a lens or a crescent lies on the inner table of the skull, blood in the
subarachnoid space or a ventricle fills what is dark there. Distractors (a calcification, an infarct, a band of beam
hardening) are painted the same way and labelled as no hemorrhage, so that paint itself means nothing.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt

from hemo_trainer.config import LesionConfig

Float = npt.NDArray[np.float32]
Grey = npt.NDArray[np.uint8]

_BONE = 235
_LEAST_INSIDE = 0.12
_LEAST_AREA, _LEAST_CHANGE = 24, 12.0  # pixels, grey levels: what is smaller or fainter nobody would call
_KINDS = ("epidural", "subdural", "intraparenchymal", "subarachnoid", "intraventricular")
_WEIGHTS = (0.3, 0.25, 0.2, 0.15, 0.1)


@dataclass(frozen=True, slots=True, eq=False)
class Anatomy:
    """What a slice shows inside the skull.

    Attributes:
        inside: bool ``(H, W)``, intracranial.
        depth: float32 ``(H, W)``, pixels from the inner table, 0 outside.
        brain: median grey of what is inside.
        dark: bool ``(H, W)``, inside and clearly darker than brain: cerebrospinal fluid.
    """

    inside: npt.NDArray[np.bool_]
    depth: Float
    brain: float
    dark: npt.NDArray[np.bool_]


Shape = Callable[[Anatomy, float], Float]


def paint_sequence(
    pixels: Grey, config: LesionConfig, rng: np.random.Generator
) -> tuple[Grey, npt.NDArray[np.bool_], str | None]:
    """Perhaps paint one bleed, or a distractor, through a sequence of slices that show none.

    Args:
        pixels: uint8 ``(slices, H, W, C)``; not changed.
        config: rates.
        rng: the only source of chance.

    Returns:
        The slices, which of them now hold a bleed ``(slices,)``, and its kind (None if none does).
    """
    none = np.zeros(len(pixels), np.bool_)
    chance = rng.random()
    if chance >= config.rate + config.distractor_rate:
        return pixels, none, None
    anatomies = [read_anatomy(picture[..., 0]) for picture in pixels]
    seen = [index for index, anatomy in enumerate(anatomies) if anatomy is not None]
    if not seen:
        return pixels, none, None
    centre = seen[int(rng.integers(len(seen)))]
    half = rng.uniform(0.6, 3.0)
    scales = [np.sqrt(max(0.0, 1 - ((index - centre) / half) ** 2)) for index in range(len(pixels))]
    if chance < config.distractor_rate:
        return (
            _paint(pixels, anatomies, scales, *_distractor(anatomies[centre], rng), rng, is_bleed=False)[0],
            none,
            None,
        )
    kind = _KINDS[int(rng.choice(len(_KINDS), p=_WEIGHTS))]
    shape = _shape(kind, anatomies[centre], rng)
    painted, bleeding = _paint(pixels, anatomies, scales, shape, rng.uniform(*config.contrast), rng, is_bleed=True)
    return painted, bleeding, kind if bleeding.any() else None


def read_anatomy(grey: Grey) -> Anatomy | None:
    """Find the inside of the skull in a windowed slice, uint8 ``(H, W)``; None where no closed skull shows."""
    skull = cv2.morphologyEx((grey >= _BONE).astype(np.uint8), cv2.MORPH_CLOSE, np.ones((5, 5), np.uint8))
    contours, _ = cv2.findContours(skull, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_SIMPLE)
    if not contours:
        return None
    filled = np.zeros_like(skull)
    cv2.drawContours(filled, [max(contours, key=cv2.contourArea)], -1, 1, cv2.FILLED)
    hollow = cv2.erode(filled & (1 - skull), np.ones((3, 3), np.uint8))
    count, parts, stats, _ = cv2.connectedComponentsWithStats(hollow, connectivity=4)
    if count == 1:
        return None
    largest = 1 + int(np.argmax(stats[1:, cv2.CC_STAT_AREA]))
    if stats[largest, cv2.CC_STAT_AREA] < _LEAST_INSIDE * grey.size:
        return None
    inside = parts == largest
    depth = np.asarray(cv2.distanceTransform(inside.astype(np.uint8), cv2.DIST_L2, 3), np.float32)
    brain = float(np.median(grey[inside]))
    smooth = cv2.GaussianBlur(grey, (0, 0), 1.0)
    return Anatomy(inside, depth, brain, inside & (smooth < brain - 0.12 * max(brain, 60.0)))


def _shape(kind: str, anatomy: Anatomy | None, rng: np.random.Generator) -> Shape:
    if anatomy is None:
        raise ValueError("a lesion starts on a slice that shows the inside of the skull")
    if kind in ("epidural", "subdural"):
        return _on_the_skull(anatomy, rng, is_lens=kind == "epidural")
    if kind == "intraparenchymal":
        return _blob(anatomy, rng, radius=(2.5, 16.0))
    return _in_fluid(anatomy, rng, deep=kind == "intraventricular")


def _on_the_skull(anatomy: Anatomy, rng: np.random.Generator, *, is_lens: bool) -> Shape:
    """A lens (epidural) or a long crescent (subdural) on the inner table."""
    row, column = _pick(anatomy.inside & (anatomy.depth < 2.5), rng)  # noqa: PLR2004  the rim
    thickness, length = (
        (rng.uniform(2.5, 11), rng.uniform(9, 28)) if is_lens else (rng.uniform(2, 6), rng.uniform(22, 60))
    )
    power = 1.0 if is_lens else 0.5

    def shape(own: Anatomy, scale: float) -> Float:
        away = _distance(own.inside.shape, row, column) / max(length * (0.5 + 0.5 * scale), 1.0)
        profile = thickness * scale * np.clip(1 - away**2, 0, None) ** power
        return np.asarray(own.inside & (own.depth <= profile), np.float32)

    return shape


def _blob(anatomy: Anatomy, rng: np.random.Generator, radius: tuple[float, float]) -> Shape:
    """A lobed ellipse inside the brain."""
    row, column = _pick(anatomy.inside & (anatomy.depth > 5), rng)  # noqa: PLR2004  clear of the skull
    size = np.exp(rng.uniform(np.log(radius[0]), np.log(radius[1])))
    stretch, angle = np.exp(rng.uniform(-0.4, 0.4)), rng.uniform(0, np.pi)
    lobes = _smooth_noise(anatomy.inside.shape, 6.0, rng)

    def shape(own: Anatomy, scale: float) -> Float:
        rows, columns = np.indices(own.inside.shape, np.float32)
        y, x = rows - row, columns - column
        u = (np.cos(angle) * x + np.sin(angle) * y) * stretch
        v = (np.cos(angle) * y - np.sin(angle) * x) / stretch
        away = np.hypot(u, v) / max(size * scale, 0.5) + 0.35 * lobes
        return np.asarray(own.inside & (away < 1), np.float32)

    return shape


def _in_fluid(anatomy: Anatomy, rng: np.random.Generator, *, deep: bool) -> Shape:
    """Blood in the dark spaces of a region: of the ventricles if ``deep``, else of sulci and cisterns."""
    limit = 0.45 * float(anatomy.depth.max())
    where = anatomy.dark & ((anatomy.depth > limit) if deep else (anatomy.depth <= limit))
    row, column = _pick(where if where.any() else anatomy.inside, rng)
    reach = rng.uniform(6, 22) if deep else rng.uniform(10, 40)

    def shape(own: Anatomy, scale: float) -> Float:
        near = _distance(own.inside.shape, row, column) < reach * scale
        return np.asarray(own.dark & near, np.float32)

    return shape


def _distractor(anatomy: Anatomy | None, rng: np.random.Generator) -> tuple[Shape, float]:
    """What may look like blood, or change grey, and is none: its shape and contrast."""
    if anatomy is None:
        raise ValueError("a distractor starts on a slice that shows the inside of the skull")
    kind = int(rng.integers(3))
    if kind == 0:
        return _blob(anatomy, rng, radius=(1.0, 2.2)), rng.uniform(0.95, 1.0)
    if kind == 1:
        return _blob(anatomy, rng, radius=(5.0, 22.0)), rng.uniform(-0.3, -0.08)
    angle, width, offset = rng.uniform(0, np.pi), rng.uniform(4, 14), rng.uniform(-30, 30)

    def band(own: Anatomy, scale: float) -> Float:
        rows, columns = np.indices(own.inside.shape, np.float32)
        height, wide = own.inside.shape
        across = np.cos(angle) * (columns - wide / 2) + np.sin(angle) * (rows - height / 2) - offset
        return np.asarray(own.inside * np.exp(-((across / width) ** 2)) * min(1.0, 2 * scale), np.float32)

    return band, float(rng.choice([-1, 1]) * rng.uniform(0.04, 0.12))


def _paint(
    pixels: Grey,
    anatomies: list[Anatomy | None],
    scales: list[float],
    shape: Shape,
    contrast: float,
    rng: np.random.Generator,
    *,
    is_bleed: bool,
) -> tuple[Grey, npt.NDArray[np.bool_]]:
    """Blend a shape into every slice that it reaches; keeps the slice's own texture.

    ``contrast`` is the share of the way from brain to white (or, below zero, to black).
    """
    painted = pixels.copy()
    bleeding = np.zeros(len(pixels), np.bool_)
    edge, opacity, texture = rng.uniform(0.5, 1.3), rng.uniform(0.8, 1.0), rng.uniform(0.3, 0.9)
    clots = _smooth_noise(pixels.shape[1:3], 4.0, rng) * rng.uniform(0, 0.12)
    for index, (anatomy, scale) in enumerate(zip(anatomies, scales, strict=True)):
        if anatomy is None or scale <= 0:
            continue
        mask = shape(anatomy, float(scale))
        if not mask.any():
            continue
        soft = (cv2.GaussianBlur(mask, (0, 0), edge) * opacity)[..., None]
        goal = 255.0 if contrast > 0 else 0.0
        level = anatomy.brain + (contrast + clots[..., None]) * abs(goal - anatomy.brain)
        x = painted[index].astype(np.float32)
        own = x - cv2.GaussianBlur(x, (0, 0), 2.0).reshape(x.shape)
        y = np.clip(x * (1 - soft) + (level + texture * own) * soft, 0, 255)
        change = float((y - x)[mask > 0].mean())
        if is_bleed and (mask.sum() < _LEAST_AREA or change < _LEAST_CHANGE):
            continue
        bleeding[index] = is_bleed
        painted[index] = y.astype(np.uint8)
    return painted, bleeding


def _pick(mask: npt.NDArray[np.bool_], rng: np.random.Generator) -> tuple[int, int]:
    rows, columns = np.nonzero(mask)
    if not len(rows):
        return mask.shape[0] // 2, mask.shape[1] // 2
    chosen = int(rng.integers(len(rows)))
    return int(rows[chosen]), int(columns[chosen])


def _distance(shape: tuple[int, ...], row: int, column: int) -> Float:
    rows, columns = np.indices(shape, np.float32)
    return np.asarray(np.hypot(rows - row, columns - column), np.float32)


def _smooth_noise(shape: tuple[int, ...], sigma: float, rng: np.random.Generator) -> Float:
    """Low-frequency noise of unit standard deviation."""
    noise = cv2.GaussianBlur(rng.standard_normal(shape, np.float32), (0, 0), sigma)
    return np.asarray(noise / max(float(noise.std()), 1e-6), np.float32)
