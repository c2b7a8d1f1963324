"""What one picture shows, in numbers, and what about them is not like a slice of a head CT.

The picture is judged by what is in it, not by where that lies: the largest objects are cut out, brought to one size and
given a black border of our own, so that a head cropped to the skull looks like one with air around it.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import cv2
import numpy as np
import numpy.typing as npt

Grey = npt.NDArray[np.uint8]
Share = npt.NDArray[np.float32]

_COARSE = 128
_SIDE = 96
_BORDER = 6
_DARK = 32
_OBJECT = 24
_BESIDE = 0.2
_AROUND = 64
_OUTWARDS = 48
_SHELL = (0.65, 1.05)
_INSIDE = 0.6
_WHITE = 0.95
_BRIGHT = 0.7
_SPREAD = (0.02, 0.98)
_EDGE = 0.15

# Limits. All but a few in a thousand public slices, cropped, bordered and resized, keep within (docs/choosing.md).
_NEARLY_EMPTY = 0.95
_BLANK = 1.0
_LEAST_CONTRAST = 8.0
_MOST_GRAIN = 0.35  # text and noise: .4 and more
_MOST_FILLED = 0.9  # an ellipse fills .785 of its box; photographs all of it
_MOST_HULL = 0.985
_FULL = (0.935, 0.775)  # hull and object: heads that touch each other fill more of their box than one can
_VALLEY_ACROSS = 0.25
_VALLEY_DOWN = 0.2  # lower: a jaw and a nape
_ALIKE_HALVES = 0.6
_ALIKE_THIRDS = 0.75
_ROUND = 0.0125  # circles at this size: .007 to .011
_MARROW = 0.2  # slices near the vertex are circles of bone, which are not even
_LEAST_ALONE = 0.2
_LEAST_ASPECT = 0.4
_MOST_DARK = 0.38  # lungs: .4 and more
_MOST_DARK_INSIDE = 0.56
_LEAST_WHITE = 175.0
_LEAST_BONE = 0.05  # magnetic resonance, soft tissue in a wide window: .02 to .04
_LEAST_RING = 0.62
_FLAT = 0.82
_BONE_INSIDE = 0.75
_LEAST_BASE = 0.2
_UNIFORM = 0.042
_DRAWN = 0.85


@dataclass(frozen=True, slots=True)
class Shape:
    """The outline of what is in the picture, inside the smallest upright box around it; shares 0 to 1.

    Attributes:
        alone: the largest object's share of all objects.
        aspect: shorter over longer side of the box.
        filled: the largest object's share of the box, its holes filled.
        hull: the convex hull's share of the box.
        across: the emptiest column between two fuller ones, as a share of the emptier of them; 1 if there is none.
        down: the same for rows.
        halves: correlation of two halves of the box, side by side or one above the other, whichever is more alike.
        thirds: the same for neighbouring thirds, the least alike pair.
        unround: scatter of the hull's radius over its mean; 0 for a circle.
        dark: dark pixels in the hull.
    """

    alone: float
    aspect: float
    filled: float
    hull: float
    across: float
    down: float
    halves: float
    thirds: float
    unround: float
    dark: float


@dataclass(frozen=True, slots=True)
class Tissue:
    """Grey levels in the outline; shares 0 to 1, levels relative to the white of bone unless said otherwise.

    Attributes:
        white: grey level of the whitest hundredth, 0 to 255: bone, in a head.
        bone: pixels as white as that.
        ring: directions from the centre in which something bright lies near the outline.
        middle: median of the inside.
        dark: dark pixels of the inside.
        spread: between the darkest and the brightest fiftieth of the inside, its noise taken away.
        drawn: neighbours in the middle of the picture, neither dark nor white, that are exactly equal.
    """

    white: float
    bone: float
    ring: float
    middle: float
    dark: float
    spread: float
    drawn: float


@dataclass(frozen=True, slots=True)
class Look:
    """What is measured on one picture.

    Attributes:
        dark: share of dark pixels.
        contrast: standard deviation in grey levels.
        grain: mean step between neighbours, in standard deviations of the picture.
        shape, tissue: None where there is no object.
    """

    dark: float
    contrast: float
    grain: float
    shape: Shape | None = None
    tissue: Tissue | None = None

    @property
    def nearly_empty(self) -> bool:
        """Whether this is a slice above the head, or anything else that is all but dark."""
        return self.dark >= _NEARLY_EMPTY


def problem(seen: Look) -> str | None:
    """The first thing that is not like a slice of a head CT, or of the air above it; None if there is none."""
    if seen.contrast < _BLANK:
        return "the picture is blank"
    if seen.grain > _MOST_GRAIN:
        return "noise, text or line art rather than tissue"
    if seen.nearly_empty:
        return None
    if seen.contrast < _LEAST_CONTRAST:
        return "hardly any contrast"
    if seen.shape is None or seen.tissue is None:
        return "no single roundish object on a dark ground"
    return _shape_problem(seen.shape) or _tissue_problem(seen.tissue, seen.shape)


def _shape_problem(shape: Shape) -> str | None:
    checks = (
        (shape.filled > _MOST_FILLED, "no dark surround"),
        (
            shape.across < _VALLEY_ACROSS
            or shape.down < _VALLEY_DOWN
            or shape.halves > _ALIKE_HALVES
            or shape.thirds > _ALIKE_THIRDS,
            "several objects side by side, as on a sheet of slices",
        ),
        (
            shape.hull > _MOST_HULL or (shape.hull > _FULL[0] and shape.filled > _FULL[1]),
            "no dark surround, or several objects that touch",
        ),
        (
            shape.alone < _LEAST_ALONE or shape.aspect < _LEAST_ASPECT,
            "no single roundish object on a dark ground",
        ),
    )
    return next((reason for wrong, reason in checks if wrong), None)


def _tissue_problem(tissue: Tissue, shape: Shape) -> str | None:
    bony = tissue.middle > _BONE_INSIDE  # skull base or vertex: bone with air cells, or nothing but bone
    ring = _LEAST_RING + 2 * max(0.0, _FLAT - shape.aspect)  # a trunk is flatter than a head, its ribs are no ring
    checks = (
        (
            shape.unround < _ROUND and not (bony and tissue.spread > _MARROW),
            "a perfect circle, as of a test phantom",
        ),
        (shape.dark > _MOST_DARK or tissue.dark > _MOST_DARK_INSIDE, "too dark inside for a head"),
        (not bony and tissue.spread < _UNIFORM, "uniform inside, as a test phantom, or in a window far too wide"),
        (not bony and tissue.drawn > _DRAWN, "drawn, not scanned: no noise"),
        (tissue.white < _LEAST_WHITE or tissue.bone < _LEAST_BONE, "nothing as white as bone"),
        (bony and tissue.bone + 2 * shape.dark < _LEAST_BASE, "bright inside, but not with bone"),
        (tissue.ring + 4 * tissue.bone < ring, "no ring of bone"),
    )
    return next((reason for wrong, reason in checks if wrong), None)


def look(grey: Grey) -> Look:
    """Measure one picture, uint8 ``(rows, columns)``."""
    base = _halved(grey)
    small, scale = _resized(base, _COARSE)
    contrast = float(cv2.meanStdDev(base)[1].item())
    rows = grey[:: max(1, len(grey) // _COARSE)]
    steps = float(cv2.mean(cv2.absdiff(rows[:, 1:], rows[:, :-1]))[0])
    dark = float(np.count_nonzero(small < _DARK) / small.size)
    grain = steps / max(contrast, 1e-6)
    box = _box(small)
    if box is None:
        return Look(dark, contrast, grain)
    left, top, right, bottom = (round(edge / scale) for edge in box)
    cut = base[top:bottom, left:right]
    return Look(dark, contrast, grain, *_measured(cut))


def _halved(grey: Grey) -> Grey:
    """Averaged over whole pixels, which is fast, to a longer side of 256 to 511 pixels if it is larger."""
    factor = max(1, max(grey.shape) // (2 * _COARSE))
    rows, columns = (max(1, side // factor) for side in grey.shape)
    if factor == 1:
        return grey
    whole = grey[: rows * factor, : columns * factor]
    return np.asarray(cv2.resize(whole, (columns, rows), interpolation=cv2.INTER_AREA), np.uint8)


def _resized(picture: Grey, side: int) -> tuple[Grey, float]:
    """Longer side as given, and the factor."""
    scale = side / max(picture.shape)
    size = (max(8, round(picture.shape[1] * scale)), max(8, round(picture.shape[0] * scale)))
    how = cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR
    return np.asarray(cv2.resize(picture, size, interpolation=how), np.uint8), scale


def _framed(picture: Grey) -> Grey:
    """With the virtual border."""
    border = (_BORDER,) * 4
    return np.asarray(cv2.copyMakeBorder(picture, *border, cv2.BORDER_CONSTANT, value=0), np.uint8)


def _outlines(framed: Grey, opened: int) -> list[npt.NDArray[np.int32]]:
    """Outer outlines of the objects, the largest first."""
    mask = cv2.morphologyEx((framed > _OBJECT).view(np.uint8), cv2.MORPH_OPEN, np.ones((opened, opened), np.uint8))
    found, _ = cv2.findContours(mask, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
    return sorted((np.asarray(one, np.int32) for one in found), key=cv2.contourArea, reverse=True)


def _beside(outlines: list[npt.NDArray[np.int32]]) -> list[npt.NDArray[np.int32]]:
    """The largest object and those that are not much smaller."""
    least = _BESIDE * cv2.contourArea(outlines[0])
    return [one for one in outlines if cv2.contourArea(one) >= least]


def _box(small: Grey) -> tuple[int, int, int, int] | None:
    """(left, top, right, bottom) around the largest objects, in pixels of the small picture."""
    outlines = _outlines(_framed(small), 5)
    if not outlines:
        return None
    left, top, wide, high = cv2.boundingRect(np.concatenate(_beside(outlines)))
    return left - _BORDER, top - _BORDER, left + wide - _BORDER, top + high - _BORDER


def _measured(cut: Grey) -> tuple[Shape, Tissue] | tuple[()]:
    one = _framed(_resized(cut, _SIDE)[0])
    outlines = _outlines(one, 3)
    if not outlines:
        return ()
    largest, every, hull = (np.zeros_like(one) for _ in range(3))
    hull_outline = cv2.convexHull(np.concatenate(_beside(outlines)))
    cv2.drawContours(largest, outlines[:1], -1, 1, cv2.FILLED)
    cv2.drawContours(every, outlines, -1, 1, cv2.FILLED)
    cv2.drawContours(hull, [hull_outline], -1, 1, cv2.FILLED)
    moments = cv2.moments(hull, binaryImage=True)
    centre = (moments["m10"] / moments["m00"], moments["m01"] / moments["m00"])
    inner = slice(_BORDER, -_BORDER)
    box = one[inner, inner]
    areas = [float(cv2.contourArea(outline)) for outline in outlines]
    levels = np.cumsum(cv2.calcHist([one], [0], hull, [256], [0, 256]).ravel()) / cv2.countNonZero(hull)
    radius = _radius(hull, centre)
    shape = Shape(
        alone=areas[0] / max(sum(areas), 1.0),
        aspect=min(box.shape) / max(box.shape),
        filled=cv2.countNonZero(largest) / box.size,
        hull=cv2.countNonZero(hull) / box.size,
        across=_valley(every.sum(axis=0)[inner]),
        down=_valley(every.sum(axis=1)[inner]),
        halves=_alike(box, 2),
        thirds=_alike(box, 3),
        unround=float(radius.std() / radius.mean()),
        dark=float(levels[_OBJECT - 1]),
    )
    return shape, _tissue(one, hull, levels, (centre, float(radius.max()) + 1), cut)


def _alike(box: Grey, parts: int) -> float:
    """Correlation of equal parts beside each other, the least alike pair; of columns or of rows, the larger."""
    both = (np.ascontiguousarray(box), np.ascontiguousarray(box.T))
    return max(min(_correlations(picture, picture.shape[1] // parts, parts)) for picture in both)


def _correlations(picture: Grey, wide: int, parts: int) -> list[float]:
    cut = [picture[:, at * wide : (at + 1) * wide] for at in range(parts)]
    return [float(cv2.matchTemplate(one, other, cv2.TM_CCOEFF_NORMED).item()) for one, other in pairwise(cut)]


def _radius(hull: Grey, centre: tuple[float, float]) -> Share:
    """Distance of each pixel of the hull's outline from the centre."""
    (outline, *_), _ = cv2.findContours(hull, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
    away = outline[:, 0, :].astype(np.float32) - np.asarray(centre, np.float32)
    return np.asarray(np.maximum(np.hypot(away[:, 0], away[:, 1]), 1), np.float32)


def _valley(profile: npt.NDArray[np.generic]) -> float:
    """The lowest place well inside, over the lower of the peaks on its two sides."""
    heights = np.asarray(profile, np.float32)
    before, after = np.maximum.accumulate(heights), np.maximum.accumulate(heights[::-1])[::-1]
    inside = slice(int(_EDGE * len(heights)), len(heights) - int(_EDGE * len(heights)))
    return float((heights / np.maximum(np.minimum(before, after), 1))[inside].min())


def _tissue(
    one: Grey, hull: Grey, levels: npt.NDArray[np.float64], circle: tuple[tuple[float, float], float], cut: Grey
) -> Tissue:
    """Measure the grey levels.

    Args:
        one: the framed picture.
        hull: 1 in the hull.
        levels: share of the hull that is no brighter, for each grey level.
        circle: around the hull: centre (x, y) and radius.
        cut: the objects as they were, unresized.
    """
    white = float(np.searchsorted(levels, 0.99))
    how = (_OUTWARDS, _AROUND), *circle
    reach = np.maximum(cv2.warpPolar(hull, *how, cv2.INTER_NEAREST | cv2.WARP_FILL_OUTLIERS).sum(axis=1), 1)
    rays = cv2.warpPolar(one, *how, cv2.INTER_LINEAR | cv2.WARP_FILL_OUTLIERS)
    smooth = cv2.warpPolar(cv2.medianBlur(one, 5), *how, cv2.INTER_NEAREST | cv2.WARP_FILL_OUTLIERS)
    out = (np.arange(_OUTWARDS, dtype=np.float32) + 0.5) / reach[:, None]
    shell = np.where((out > _SHELL[0]) & (out < _SHELL[1]), rays, 0).max(axis=1)
    inside, even = rays[out < _INSIDE], np.sort(smooth[out < _INSIDE])
    low, high = (float(even[int(share * (len(even) - 1))]) for share in _SPREAD)
    return Tissue(
        white=white,
        bone=1 - float(levels[max(int(np.ceil(_WHITE * white)) - 1, 0)]),
        ring=float(np.mean(shell > _BRIGHT * white)),
        middle=float(np.median(inside)) / max(white, 1.0),
        dark=float(np.mean(inside < _OBJECT)),
        spread=(high - low) / max(white, 1.0),
        drawn=_drawn(cut, white),
    )


def _drawn(cut: Grey, white: float) -> float:
    high, wide = cut.shape
    middle = cut[high // 4 : high - high // 4 : 2, wide // 4 : wide - wide // 4]
    grey = (middle > _OBJECT) & (middle < _WHITE * white)
    pairs = grey[:, 1:] & grey[:, :-1]
    equal = pairs & (middle[:, 1:] == middle[:, :-1])
    return float(np.count_nonzero(equal)) / max(float(np.count_nonzero(pairs)), 1.0)
