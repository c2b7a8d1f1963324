"""Where slices lie: which belong together, in what order, which are missing (DICOM PS3.3 C.7.6.2, LPS axes)."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from hemo_core.scans.readers.dicom_header import Orientation, Plane, Vector

NOT_AXIAL_DEG = 45.0
_SAME_COSINES = 0.02
SAME_POSITION_MM = 0.01
_MISSING = 1.5
_VARIABLE = 0.2
_SMALLEST_STEP_MM = 0.2
_FEWEST_STEPS = 4
_THICKNESS_RATIO = 9.5  # positions in centimetres or metres differ from the thickness by 10 or more


def normal(orientation: Orientation) -> Vector:
    """Slice normal, turned so that it points to the head (or, for slices that contain the body's axis, as computed)."""
    cross = np.cross(orientation[:3], orientation[3:])
    length = float(np.linalg.norm(cross)) or 1.0
    x, y, z = (float(value) / length for value in cross)
    return (-x, -y, -z) if z < 0 else (x, y, z)


def angle_to_axis(orientation: Orientation) -> float:
    """Angle in degrees between the slice normal and the body's (the table's) axis: 0 axial, 90 coronal or sagittal."""
    return math.degrees(math.acos(min(1.0, abs(normal(orientation)[2]))))


def same_orientation(one: Orientation | None, other: Orientation | None) -> bool:
    """Whether two planes are parallel and turned alike, within about a degree."""
    if one is None or other is None:
        return one is other
    return max(abs(a - b) for a, b in zip(one, other, strict=True)) < _SAME_COSINES


def position_along(plane: Plane) -> float | None:
    """Distance in mm along the slice normal, growing towards the head; None without orientation or position."""
    if plane.orientation is None or plane.position is None:
        return None
    return sum(a * b for a, b in zip(normal(plane.orientation), plane.position, strict=True))


@dataclass(frozen=True, slots=True)
class Spacing:
    """How regular the distances between slices are.

    Attributes:
        median_mm: median distance between neighbours; None for fewer than two positions.
        missing: about how many slices are missing in gaps of more than 1.5 times the usual distance.
        smallest_mm, largest_mm: distances between neighbours, gaps left out.
        variable: whether they differ by more than a fifth of the median.
    """

    median_mm: float | None
    missing: int = 0
    smallest_mm: float = 0.0
    largest_mm: float = 0.0
    variable: bool = False


def spacing(positions: Sequence[float], thicknesses: Sequence[float | None]) -> Spacing:
    """Judge the distances between sorted positions.

    A wide step between thick slices that touch is no gap: series of the skull base in 4 mm and the vertex in 8 mm are
    common. So a gap must also be wider than 1.5 times the thickness of the slices beside it, where that is known.
    """
    steps = np.diff(np.asarray(positions, np.float64))
    if not len(steps):
        return Spacing(None)
    median = float(np.median(steps))
    expected = [max(median, *_known(thicknesses[index : index + 2])) for index in range(len(steps))]
    gaps = steps > _MISSING * np.asarray(expected)
    missing = sum(
        max(1, round(step / usual) - 1) for step, usual in zip(steps[gaps], np.asarray(expected)[gaps], strict=True)
    )
    regular = steps[~gaps]
    low, high = (float(regular.min()), float(regular.max())) if len(regular) else (median, median)
    return Spacing(median, missing, low, high, high - low > _VARIABLE * median)


def why_incredible(positions: Sequence[float | None], thicknesses: Sequence[float | None]) -> str | None:
    """Why positions along the normal cannot be those of the slices of one head; None if they can.

    Args:
        positions: in mm, in any order; None for a slice without one.
        thicknesses: Slice Thickness (0018,0050) of the same slices.
    """
    known = [position for position in positions if position is not None]
    if not known:
        return "there are none"
    if len(known) < len(positions):
        return f"{len(positions) - len(known)} of {len(positions)} slices have none"
    places = np.unique(np.round(np.asarray(known, np.float64), 4))
    if len(places) == 1:
        return f"all {len(positions)} slices have the same"
    step = float(np.median(np.diff(places)))
    thick = float(np.median([value for value in thicknesses if value] or [0.0]))
    too_small = step < _SMALLEST_STEP_MM or step * _THICKNESS_RATIO < thick
    too_large = thick > 0 and step > _THICKNESS_RATIO * max(thick, 1.0)
    if len(places) <= _FEWEST_STEPS or not (too_small or too_large):
        return None
    return f"steps of {step:.3g} mm between slices" + (f" of {thick:g} mm" if thick else "")


def covered_mm(positions: Sequence[float], spacing_mm: float | None) -> float | None:
    """How much of the body's length slices cover, from edge to edge; None for fewer than two positions."""
    if len(positions) < 2 or spacing_mm is None:  # noqa: PLR2004
        return None
    return max(positions) - min(positions) + spacing_mm


def _known(thicknesses: Sequence[float | None]) -> tuple[float, ...]:
    return tuple(value for value in thicknesses if value) or (0.0,)


@dataclass(frozen=True, slots=True)
class Turn:
    """How a picture is brought nose up, patient's right on the left: transposed first, then flipped."""

    transpose: bool = False
    flip_rows: bool = False
    flip_columns: bool = False

    @property
    def changes(self) -> bool:
        """Whether anything is turned at all."""
        return self.transpose or self.flip_rows or self.flip_columns

    def apply(self, pixels: npt.NDArray[np.generic]) -> npt.NDArray[np.generic]:
        """The turned picture, contiguous; ``(rows, columns)`` may swap."""
        turned = pixels.T if self.transpose else pixels
        turned = turned[::-1] if self.flip_rows else turned
        turned = turned[:, ::-1] if self.flip_columns else turned
        return np.ascontiguousarray(turned)

    def spacing(self, pixel_spacing: tuple[float, float]) -> tuple[float, float]:
        """(row, column) spacing of the turned picture."""
        return pixel_spacing[::-1] if self.transpose else pixel_spacing


def upright(orientation: Orientation | None) -> Turn:
    """The turn that makes columns run to the patient's left (+x) and rows to the back (+y), as an axial CT is shown."""
    if orientation is None:
        return Turn()
    across, down = orientation[:3], orientation[3:]
    transpose = abs(across[1]) > abs(across[0])
    if transpose:
        across, down = down, across
    return Turn(transpose, flip_rows=down[1] < 0, flip_columns=across[0] < 0)
