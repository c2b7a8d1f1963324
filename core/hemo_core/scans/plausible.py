"""Whether a picture looks like a slice of a head CT.

A coarse gate against photographs, screenshots and noise, not a judge of anatomy: grey, large enough, dark around, one
roundish object in the middle of the darkness, not noise. Slices above the head are all but empty, and are let through.
Thresholds lie outside everything found in 8393 public head-CT pictures (three sources); of those, only slices that are
black throughout and one with a bright surround are refused.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt

from hemo_core.bundle.contract import Window
from hemo_core.scans.preprocess import apply_window
from hemo_core.scans.quality import sample
from hemo_core.scans.scan import Pixels, Scan, Units

Grey = npt.NDArray[np.uint8]

_SMALLEST_SIDE = 64
_SIDE = 128
_RIM = 3
_CORNER = 12
_DARK = 32
_OBJECT = 24
_EMPTY_DARK = 0.95
_EMPTY_CORNERS = 0.9
_SURROUND = 0.7
_AREA = (0.01, 0.7)
_FILLED = (0.3, 0.93)
_LEAST_ALONE = 0.2
_LEAST_ASPECT = 0.4
_MOST_GRAIN = 0.2
_BLANK_CONTRAST = 1.0
_LEAST_CONTRAST = 8.0
_BRAIN = Window(40.0, 120.0)
_SAMPLED = 15
_PICTURES_SHARE = 0.5
_HOUNSFIELD_SHARE = 0.25


@dataclass(frozen=True, slots=True)
class Look:
    """What the gate measures on one picture; shares are of all pixels of the named part, 0 to 1.

    Attributes:
        rim, corners, dark: dark pixels in the outer rim, in the four corners, in the whole.
        area: the largest object's share of the picture.
        alone: its share of all objects.
        filled: its share of its own bounding box.
        aspect: shorter over longer side of that box.
        grain: mean step between neighbours, in standard deviations of the picture.
        contrast: standard deviation in grey levels.
    """

    rim: float
    corners: float
    dark: float
    area: float
    alone: float
    filled: float
    aspect: float
    grain: float
    contrast: float


def why_implausible(scan: Scan) -> str | None:
    """Why a scan does not look like a head CT, in one sentence; None if it does.

    A series is judged by its slices together: one picture must pass, of several half of those looked at; of slices in
    Hounsfield units a quarter, since the header already says that they are CT.
    """
    slices = sample(scan.slices, _SAMPLED)
    reasons = [slice_problem(one.pixels, scan.units) for one in slices]
    bad = [reason for reason in reasons if reason is not None]
    needed = _HOUNSFIELD_SHARE if scan.units == "hu" else _PICTURES_SHARE
    if len(slices) - len(bad) >= max(needed * len(slices), 1):
        return None
    where = "" if len(slices) == 1 else f"{len(bad)} of {len(slices)} slices looked at: "
    return where + max(set(bad), key=lambda reason: (bad.count(reason), reason))


def slice_problem(pixels: Pixels, units: Units) -> str | None:
    """Why one slice does not look like a head CT; None if it does.

    Args:
        pixels: ``(rows, columns)``, Hounsfield units or grey levels.
    """
    if min(pixels.shape) < _SMALLEST_SIDE:
        return f"{pixels.shape[0]} x {pixels.shape[1]} pixels are too few for a head CT"
    grey = apply_window(np.asarray(pixels, np.float32), _BRAIN) if units == "hu" else np.asarray(pixels, np.uint8)
    return _problem(look(grey))


def _problem(seen: Look) -> str | None:
    """The first thing that is wrong."""
    nearly_empty = seen.dark >= _EMPTY_DARK and seen.corners >= _EMPTY_CORNERS
    one_object = (
        _AREA[0] <= seen.area <= _AREA[1]
        and _FILLED[0] <= seen.filled <= _FILLED[1]
        and seen.alone >= _LEAST_ALONE
        and seen.aspect >= _LEAST_ASPECT
    )
    checks = (
        (seen.contrast < _BLANK_CONTRAST, "the picture is blank"),
        (min(seen.corners, seen.rim) < _SURROUND, "no dark surround"),
        (seen.grain > _MOST_GRAIN, "noise, text or line art rather than tissue"),
        (not nearly_empty and seen.contrast < _LEAST_CONTRAST, "hardly any contrast"),
        (not nearly_empty and not one_object, "no single roundish object on a dark ground"),
    )
    return next((reason for wrong, reason in checks if wrong), None)


def look(grey: Grey) -> Look:
    """Measure one picture, uint8 ``(rows, columns)``."""
    small = _shrink(grey)
    dark = small < _DARK
    rim = np.ones(small.shape, bool)
    rim[_RIM:-_RIM, _RIM:-_RIM] = False
    corners = [dark[rows, columns] for rows in _ENDS for columns in _ENDS]
    contrast = float(cv2.meanStdDev(grey)[1].item())
    steps = float(cv2.mean(cv2.absdiff(grey[:, 1:], grey[:, :-1]))[0])
    area, alone, filled, aspect = _largest_object(small)
    return Look(
        rim=float(dark[rim].mean()),
        corners=float(np.mean([corner.mean() for corner in corners])),
        dark=float(dark.mean()),
        area=area,
        alone=alone,
        filled=filled,
        aspect=aspect,
        grain=steps / max(contrast, 1e-6),
        contrast=contrast,
    )


_ENDS = (slice(None, _CORNER), slice(-_CORNER, None))


def _shrink(grey: Grey) -> Grey:
    """Longer side 128 pixels, averaged."""
    scale = _SIDE / max(grey.shape)
    size = (max(2 * _RIM + 1, round(grey.shape[1] * scale)), max(2 * _RIM + 1, round(grey.shape[0] * scale)))
    return np.asarray(cv2.resize(grey, size, interpolation=cv2.INTER_AREA), np.uint8)


def _largest_object(small: Grey) -> tuple[float, float, float, float]:
    """(area, alone, filled, aspect) of :class:`Look`."""
    mask = cv2.morphologyEx((small > _OBJECT).astype(np.uint8), cv2.MORPH_OPEN, np.ones((5, 5), np.uint8))
    count, _, stats, _ = cv2.connectedComponentsWithStats(mask, connectivity=4)
    if count < 2:  # noqa: PLR2004 - only the background
        return 0.0, 0.0, 0.0, 0.0
    areas = stats[1:, cv2.CC_STAT_AREA]
    wide, high, area = (int(value) for value in stats[1 + int(np.argmax(areas)), cv2.CC_STAT_WIDTH :])
    return area / mask.size, area / int(areas.sum()), area / (wide * high), min(wide, high) / max(wide, high)
