"""DICOM pictures that are no CT slices (screen captures, scanned films) → 8-bit grey; read only on request."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from hemo_core.errors import Implausible
from hemo_core.scans.readers.colour import is_colour
from hemo_core.scans.readers.dicom_header import Header
from hemo_core.scans.readers.dicom_pixels import Stored

if TYPE_CHECKING:
    from pydicom.dataset import Dataset


def to_grey(dataset: Dataset, header: Header, stored: Stored) -> npt.NDArray[np.uint8]:
    """Stored values in the object's own window, else stretched over their range; MONOCHROME1 inverted.

    Args:
        stored: ``(rows, columns)``, or ``(rows, columns, 3)`` that is grey but for a light tint.

    Returns:
        uint8 ``(rows, columns)``.

    Raises:
        Implausible: the picture is in colour.
    """
    if stored.ndim == 3:  # noqa: PLR2004 - rows, columns, samples
        if is_colour(_eight_bits(stored)):
            raise Implausible("a colour picture is no head CT", path=header.path)
        stored = stored[..., 1]  # green: closest to the luminance of a tint
    if stored.dtype == np.uint8:
        grey = np.asarray(stored, np.uint8)
    else:
        low, high = _window(dataset) or (float(stored.min()), float(stored.max()))
        grey = np.rint(np.clip((stored - low) * (255.0 / max(high - low, 1.0)), 0, 255)).astype(np.uint8)
    return 255 - grey if header.photometric == "MONOCHROME1" else grey


def _eight_bits(stored: Stored) -> npt.NDArray[np.uint8]:
    if stored.dtype == np.uint8:
        return np.asarray(stored, np.uint8)
    scaled = np.clip(stored * (255.0 / max(float(stored.max()), 1.0)), 0, 255)
    return np.asarray(np.rint(scaled), np.uint8)


def _window(dataset: Dataset) -> tuple[float, float] | None:
    """(lowest, highest) stored value of the first display window (PS3.3 C.11.2.1.2), or None."""
    centre, width = _first(dataset.get("WindowCenter")), _first(dataset.get("WindowWidth"))
    if centre is None or not width or width <= 0:
        return None
    slope, intercept = _first(dataset.get("RescaleSlope")) or 1.0, _first(dataset.get("RescaleIntercept")) or 0.0
    return (centre - width / 2 - intercept) / slope, (centre + width / 2 - intercept) / slope


def _first(value: Any) -> float | None:
    try:
        return float(value if isinstance(value, (int, float)) else value[0])
    except (TypeError, ValueError, IndexError):
        return None
