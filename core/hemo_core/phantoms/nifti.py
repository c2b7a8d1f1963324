"""Phantom → NIfTI-1."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from hemo_core.phantoms.dicom import orientation, position
from hemo_core.phantoms.spec import Phantom
from hemo_core.scans.phantom_marks import WORD


def affine(phantom: Phantom) -> np.ndarray:
    """Voxel (column, row, slice) → RAS mm, ``(4, 4)``; sheared if the gantry is tilted."""
    spec = phantom.spec
    _, _, _, _, cosine, sine = orientation(spec)
    step = phantom.table_mm[1] - phantom.table_mm[0] if len(phantom.table_mm) > 1 else spec.spacing_mm
    pixel = spec.pixel_spacing_mm
    lps = np.eye(4)
    lps[:3, 0] = (pixel, 0, 0)
    lps[:3, 1] = (0, pixel * cosine, pixel * sine)
    lps[:3, 2] = (0, 0, step)
    lps[:3, 3] = position(phantom, 0)
    return np.asarray(np.diag((-1.0, -1.0, 1.0, 1.0)) @ lps)


def write_nifti(phantom: Phantom, path: Path) -> Path:
    """Write ``path`` (``.nii`` or ``.nii.gz``), int16 Hounsfield units, marked in ``descrip``.

    Returns:
        ``path``.
    """
    import nibabel

    path.parent.mkdir(parents=True, exist_ok=True)
    image = nibabel.Nifti1Image(np.ascontiguousarray(phantom.hu.transpose(2, 1, 0)), affine(phantom))
    image.header["descrip"] = f"{WORD} {phantom.spec.seed}".encode()
    image.header.set_xyzt_units("mm")
    nibabel.save(image, str(path))
    return path
