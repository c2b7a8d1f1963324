"""A scan: ordered slices, their geometry and identity, and the quality codes found on the way.

One scan is one series of one study (DICOM PS3.3 A.3), one NIfTI volume, one picture, or one folder of pictures.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Any, Literal, Self, TypeAlias

import numpy as np
import numpy.typing as npt

from hemo_core import records
from hemo_core.errors import HemoError

Pixels: TypeAlias = npt.NDArray[np.float32] | npt.NDArray[np.uint8]
Units = Literal["hu", "grey8"]
SourceKind = Literal["dicom", "nifti", "image"]
OrderFrom = Literal["position", "affine", "frame", "name", "single"]

HEAD_MM = 90.0
"""Less than this is no whole head: from the skull base to the vertex an adult's measures 130 mm and more."""


class Quality(StrEnum):
    """What a reader of the report should know about the input before trusting the score.

    Attributes:
        text: what it means, in one plain sentence; a finding of the reader may say more, see :attr:`Scan.notes`.
    """

    text: str

    def __new__(cls, code: str, text: str = "") -> Self:
        """A member that equals its code."""
        member = str.__new__(cls, code)
        member._value_ = code
        member.text = text
        return member

    MISSING_SLICES = "missing_slices", "Slices are missing from the series: a bleed may lie in a gap."
    DUPLICATE_POSITIONS = "duplicate_positions", "Several slices lie at the same position; one of each was used."
    GANTRY_TILT = "gantry_tilt", "The gantry was tilted; the slices were scored as acquired."
    VARIABLE_SPACING = "variable_spacing", "The distance between slices changes within the series."
    MIXED_KERNELS = "mixed_kernels", "Slices were reconstructed with different kernels."
    WRAPPED_12_BIT = "wrapped_12_bit", "Stored values had wrapped around at 12 bits and were unwrapped."
    CLIPPED_RANGE = "clipped_range", "The stored values do not span the whole Hounsfield range."
    ZERO_PIXELS = "zero_pixels", "Some slices hold nothing but one value."
    MONOCHROME1 = "monochrome1", "Stored for inverted display (MONOCHROME1); the score does not depend on that."
    LOSSY_COMPRESSED = "lossy_compressed", "Compressed with loss before it came here; subtle blood may be gone."
    BLOCK_ARTEFACTS = "block_artefacts", "Compression blocks are visible; the score is not to be relied on."
    ORDER_FROM_NAMES = "order_from_names", "The order of the slices was taken from file names."
    UNKNOWN_SPACING = "unknown_spacing", "The distance between slices is not known."
    UNKNOWN_WINDOW = "unknown_window", "The picture's window is not known; grey levels are not Hounsfield units."
    NOT_AXIAL = "not_axial", "The slices are not axial; the model was trained on axial slices."
    INVALID_UID = "invalid_uid", "Identifiers break the DICOM rules; they were kept as they are."
    PARTIAL_COVERAGE = "partial_coverage", "The slices do not cover a whole head; what lies outside was not looked at."
    POSITIONS_NOT_CREDIBLE = "positions_not_credible", "The positions in the headers are not believed; see the note."
    THIN_SLICES_AVERAGED = "thin_slices_averaged", "Thin slices were averaged to the model's spacing before scoring."
    IMPLAUSIBLE = "implausible", "Does not look like a head CT; it was scored on request."
    PHANTOM = "phantom", "A synthetic phantom, not a patient."
    EXTRA_SLICES_DROPPED = "extra_slices_dropped", "Slices that do not belong to the series were left out."
    REORIENTED = "reoriented", "The slices were turned or mirrored to stand nose up, the patient's right on the left."
    UNKNOWN_ORIENTATION = (
        "unknown_orientation",
        "The file does not say for sure how the patient lay: left and right, or foot and head, may be swapped.",
    )
    RESAMPLED_PIXELS = "resampled_pixels", "The pixels were not square; the slices were resampled."
    SHIFTED_HOUNSFIELD = (
        "shifted_hounsfield",
        "Stored as Hounsfield units plus an offset, which was recognised and taken off.",
    )
    IMPORTED_MODEL = "imported_model", "Scored by an imported model: no evidence of its accuracy is known."
    HEATMAPS_FAILED = (
        "heatmaps_failed_check",
        "The model's heat maps hardly depend on what it learned (randomisation check failed).",
    )


@dataclass(frozen=True, slots=True, eq=False)
class Slice:
    """One image plane.

    Attributes:
        pixels: ``(rows, columns)``; float32 Hounsfield units or uint8 grey, see :attr:`Scan.units`.
        source: path of its file below the input root, POSIX style.
        sop_instance_uid: SOP Instance UID (0008,0018), with ``#frame`` for a multi-frame object; None for pictures.
        position_mm: signed distance along the slice normal; None where the format has no geometry.
    """

    pixels: Pixels
    source: str
    sop_instance_uid: str | None = None
    position_mm: float | None = None


@dataclass(frozen=True, slots=True)
class Geometry:
    """How the slices lie in space.

    Attributes:
        order_from: what the order of the slices was derived from; ``frame`` is the order stored in the file, or the
            instance numbers where a series has no positions.
        pixel_spacing_mm: (row, column) spacing.
        slice_spacing_mm: median distance between neighbouring slice centres.
        tilt_deg: gantry tilt, the angle between the slice normal and the table axis (0 if not tilted).
        covered_mm: how much of the body's length the slices cover, from edge to edge.
        slices_found: slices in the scan's files, those that were left out included; None where none was.
    """

    order_from: OrderFrom
    pixel_spacing_mm: tuple[float, float] | None = None
    slice_spacing_mm: float | None = None
    tilt_deg: float | None = None
    covered_mm: float | None = None
    slices_found: int | None = None


@dataclass(frozen=True, slots=True)
class Cause:
    """Why a series or file is not scored.

    Attributes:
        code: of :mod:`hemo_core.errors`, or of the rule that turned it away.
    """

    code: str
    reason: str


@dataclass(frozen=True, slots=True)
class ScanRef:
    """What discovery knows of a scan before any pixel is read: one row of a job's manifest.

    Attributes:
        scan_id: 16 hex digits, stable on every machine: a hash of the sorted SOP Instance UIDs, else of the bytes.
        root: name of the input root (a worker maps it to a mount point).
        path: what a person would call the scan, relative to the root: the file, or the folder that holds the series.
        files: its files, relative to the root, in no particular order for DICOM, in slice order for picture folders.
        failure: discovery already knows that it cannot be read; it gets a failed row.
        fingerprint: of its files, in their order; what is read must have the same.
        rejection: it can be read but must not be scored (localizer, bone kernel …); it gets a rejected row.
    """

    scan_id: str
    root: str
    path: str
    files: tuple[str, ...]
    kind: SourceKind
    study_uid: str | None = None
    series_uid: str | None = None
    duplicate_of: str | None = None
    rejection: Cause | None = None
    failure: Cause | None = None
    quality: tuple[str, ...] = ()
    fingerprint: str | None = None


def encode_row(ref: ScanRef) -> dict[str, Any]:
    """A row of a job's manifest, JSON-ready. There ``failure`` is called ``error``, as it always was."""
    row: dict[str, Any] = records.encode(ref)
    row["error"] = row.pop("failure")
    return row


def decode_row(row: object, *, error: type[HemoError], what: str = "scan", path: Path | None = None) -> ScanRef:
    """Inverse of :func:`encode_row`. Raises ``error``, naming the field."""
    named = {**row, "failure": row.get("error")} if isinstance(row, dict) else row
    return records.decode(ScanRef, named, error=error, what=what, path=path)


@dataclass(frozen=True, slots=True, eq=False)
class Scan:
    """A decoded scan. Patient names and ids are never kept.

    Attributes:
        slices: in anatomical order (by position, foot to head), at least one.
        units: ``hu`` for Hounsfield units, ``grey8`` for pictures in an unknown or baked-in window.
        quality: codes of :class:`Quality`, without duplicates, in order of discovery.
        notes: one sentence for each quality code that has something to say, keyed by code.
    """

    ref: ScanRef
    slices: tuple[Slice, ...]
    units: Units
    geometry: Geometry
    quality: tuple[str, ...] = ()
    notes: Mapping[str, str] = field(default_factory=dict)
