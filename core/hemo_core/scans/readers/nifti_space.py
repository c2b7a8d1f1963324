"""Where the slices of a NIfTI volume lie, as far as its header can be believed (nifti1.h: xyzt_units, qform, sform)."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import numpy.typing as npt

from hemo_core.scans.quality import QualityNotes
from hemo_core.scans.readers.geometry import covered_mm
from hemo_core.scans.scan import HEAD_MM, Geometry, OrderFrom, Quality

Affine = npt.NDArray[np.float64]

_MM_PER_UNIT = {1: 1000.0, 3: 0.001}  # metres and micrometres; everything else is taken for millimetres
_SPACE_UNITS = 0b111
_TILT_DEG = 1.0
_OBLIQUE_DEG = 45.0
_SIDE_MM = (80.0, 800.0)
_UNIT_SIDE_MM = 360.0
_STEP_MM = (0.1, 20.0)
_UNIT = 1e-3
_MOST_APART = 0.2


def affine_mm(image: Any) -> Affine:
    """The affine in millimetres: ``(4, 4)``, scaled by the header's own unit of length."""
    affine = np.array(image.affine, np.float64)
    affine[:3] *= _MM_PER_UNIT.get(int(image.header["xyzt_units"]) & _SPACE_UNITS, 1.0)
    return affine


def place(
    affine: Affine, shape: tuple[int, int, int], image: Any, findings: QualityNotes
) -> tuple[Geometry, list[float | None]]:
    """Geometry of canonical axes, and the position of each plane along the normal, growing to the head.

    Args:
        affine: of the closest RAS+ axes, in mm.
        shape: of the volume in these axes.
        image: the nibabel image, for its header.

    Returns:
        The geometry, without spacings if those of the header cannot be those of a head; then no plane has a position.
    """
    normal = np.cross(affine[:3, 0], affine[:3, 1])
    normal = normal / np.linalg.norm(normal)
    normal = normal if normal[2] >= 0 else -normal
    tilt = _tilt(normal, findings)
    _note_orientation(image, findings)
    count = shape[2]
    order: OrderFrom = "affine" if count > 1 else "single"
    steps = np.linalg.norm(affine[:3, :3], axis=0)
    doubt = _why_incredible(steps, shape) or _why_disagree(image)
    if doubt is not None:
        findings.add(Quality.POSITIONS_NOT_CREDIBLE, f"The spacing in the header is not believed: {doubt}.")
        if count > 1:
            findings.add(Quality.UNKNOWN_SPACING, "No slices were averaged: how far they are apart is not known.")
        return Geometry(order, tilt_deg=tilt), [None] * count
    spacing = abs(float(normal @ affine[:3, 2]))
    start = float(normal @ affine[:3, 3])
    positions = [start + index * spacing for index in range(count)]
    covered = covered_mm(positions, spacing)
    if covered is not None and covered < HEAD_MM:
        text = f"The slices cover {covered:.0f} mm, less than a head: what lies outside was not looked at."
        findings.add(Quality.PARTIAL_COVERAGE, text)
    pixel = float(steps[1]), float(steps[0])
    return Geometry(order, pixel, spacing if count > 1 else None, tilt, covered), [*positions]


def _tilt(normal: npt.NDArray[np.float64], findings: QualityNotes) -> float:
    tilt = math.degrees(math.acos(min(1.0, abs(float(normal[2])))))
    if tilt >= _TILT_DEG:
        findings.add(Quality.GANTRY_TILT, f"The slices are tilted by {tilt:.1f} degrees; they were scored as stored.")
    if tilt > _OBLIQUE_DEG:
        findings.add(Quality.NOT_AXIAL, "The slices are not axial; the model was trained on axial slices.")
    return round(tilt, 3)


def _note_orientation(image: Any, findings: QualityNotes) -> None:
    """Codes for a header without orientation, and for one whose two orientations disagree."""
    import nibabel

    sform, qform = int(image.header["sform_code"]), int(image.header["qform_code"])
    if not sform and not qform:
        text = "The header has no orientation (sform and qform codes are 0); left, front, head was assumed (Analyze)."
        findings.add(Quality.UNKNOWN_ORIENTATION, text)
    elif sform and qform and nibabel.aff2axcodes(image.get_sform()) != nibabel.aff2axcodes(image.get_qform()):
        text = "The header has two orientations that disagree (sform and qform); the sform was used."
        findings.add(Quality.UNKNOWN_ORIENTATION, text)


def _why_incredible(steps: npt.NDArray[np.float64], shape: tuple[int, int, int]) -> str | None:
    """Why spacings along the three axes, in mm, cannot be those of a head of that many voxels; None if they can."""
    sides = steps * shape
    size = " x ".join(f"{side:.3g}" for side in sides) + " mm"
    unstated = bool(np.all(np.abs(steps - 1.0) < _UNIT))
    if unstated and (sides[2] < HEAD_MM or max(sides[:2]) > _UNIT_SIDE_MM):
        return f"1 mm along every axis, as converters leave it, makes {size}"
    if min(sides[:2]) < _SIDE_MM[0] or max(sides[:2]) > _SIDE_MM[1]:
        return f"the volume would be {size}"
    if shape[2] > 1 and not _STEP_MM[0] <= steps[2] <= _STEP_MM[1]:
        return f"slices {steps[2]:.3g} mm apart"
    return None


def _why_disagree(image: Any) -> str | None:
    """Why the voxel size in pixdim and that in the affine cannot both be meant; None if they agree within a fifth."""
    stated = np.asarray(image.header.get_zooms()[:3], np.float64)
    steps = np.linalg.norm(np.asarray(image.affine, np.float64)[:3, :3], axis=0)
    if len(stated) < len(steps) or np.all(np.abs(stated / steps - 1.0) < _MOST_APART):
        return None
    listed = (" x ".join(f"{step:.3g}" for step in one) for one in (stated, steps))
    return "pixdim says {} mm, the affine {} mm".format(*listed)
