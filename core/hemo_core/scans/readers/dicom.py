"""A DICOM series, or one DICOM file, → slices in Hounsfield units, ordered from foot to head."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from hemo_core.errors import BadGeometry
from hemo_core.scans.quality import QualityNotes
from hemo_core.scans.readers import geometry
from hemo_core.scans.readers.dicom_grey import to_grey
from hemo_core.scans.readers.dicom_header import (
    Header,
    Plane,
    aspect_ratio,
    header_of,
    parse,
    shown_uid,
    valid_uid,
)
from hemo_core.scans.readers.dicom_hounsfield import to_hounsfield
from hemo_core.scans.readers.dicom_pixels import check_pixels, stored_frame
from hemo_core.scans.readers.safe_open import check_size
from hemo_core.scans.readers.square import RESAMPLED_NOTE, is_square, squared
from hemo_core.scans.readers.unpack import read_plain
from hemo_core.scans.rules.kernels import is_sharp
from hemo_core.scans.scan import HEAD_MM, Geometry, OrderFrom, Pixels, Quality, Scan, ScanRef, Slice, Units

if TYPE_CHECKING:
    from pydicom.dataset import Dataset

_SECONDARY_CAPTURE = "1.2.840.10008.5.1.4.1.1.7"
_LOSSY_SYNTAXES = frozenset(
    {
        "1.2.840.10008.1.2.4.50",  # JPEG baseline
        "1.2.840.10008.1.2.4.51",  # JPEG extended
        "1.2.840.10008.1.2.4.81",  # JPEG-LS near-lossless
    }
)
_TILT_DEG = 1.0


@dataclass(frozen=True, slots=True, eq=False)
class DicomFile:
    """One parsed file, its pixels not yet decoded."""

    header: Header
    dataset: Dataset


@dataclass(frozen=True, slots=True, eq=False)
class _Frame:
    """One frame of one file, and where it lies."""

    file: DicomFile
    index: int
    plane: Plane
    position_mm: float | None

    @property
    def header(self) -> Header:
        return self.file.header

    @property
    def uid(self) -> str | None:
        uid = shown_uid(self.header.sop_uid)
        return f"{uid}#{self.index + 1}" if uid and self.header.frames > 1 else uid


def load_file(mount: Path, path: str) -> DicomFile:
    """Parse one file and refuse what cannot be decoded. Raises ScanError subclasses."""
    stream = read_plain(mount, path)
    dataset = parse(stream, path, header_only=False)
    header = header_of(dataset, path, has_pixels="PixelData" in dataset)
    check_pixels(dataset, header, stream)
    return DicomFile(header, dataset)


def read_dicom(ref: ScanRef, mount: Path) -> Scan:
    """Read a series.

    Files of another size or orientation than most (a localizer among the slices), copies, and slices at a position
    that is already taken are left out with a code; the series goes on.

    Raises:
        ScanError: subclasses, for the first file that cannot be read: a series is never scored in part.
    """
    notes = QualityNotes()
    files = _without_copies([load_file(mount, path) for path in sorted(ref.files)], notes)
    all_frames = [frame for file in files for frame in _frames(file)]
    frames = _one_stack(all_frames, notes)
    _check_total(frames)
    frames, order_from = _ordered(frames, notes)
    frames = _one_each(frames, notes)
    _note_headers([frame.header for frame in frames], notes)
    scan = _assemble(ref, frames, order_from, notes)
    return replace(scan, geometry=replace(scan.geometry, slices_found=len(all_frames)))


def _frames(file: DicomFile) -> list[_Frame]:
    planes = file.header.planes
    return [_Frame(file, index, plane, geometry.position_along(plane)) for index, plane in enumerate(planes)]


def _without_copies(files: Sequence[DicomFile], notes: QualityNotes) -> list[DicomFile]:
    """One file for each SOP Instance UID; files that share one though their pixels differ are no copies."""
    kept: dict[tuple[str, bytes], DicomFile] = {}
    for file in files:
        kept.setdefault((file.header.sop_uid or file.header.path, file.dataset.PixelData), file)
    if len(kept) < len(files):
        notes.add(
            Quality.EXTRA_SLICES_DROPPED, f"{len(files) - len(kept)} copies of files of the series were left out."
        )
    return list(kept.values())


def _one_stack(frames: Sequence[_Frame], notes: QualityNotes) -> list[_Frame]:
    """The frames of the most common size and orientation."""
    stacks: list[list[_Frame]] = []
    for frame in frames:
        for stack in stacks:
            if _alike(stack[0], frame):
                stack.append(frame)
                break
        else:
            stacks.append([frame])
    largest = max(stacks, key=len)
    others = len(frames) - len(largest)
    if others:
        text = f"{others} of {len(frames)} images have another size or orientation than the rest and were left out."
        notes.add(Quality.EXTRA_SLICES_DROPPED, text)
    return largest


def _alike(one: _Frame, other: _Frame) -> bool:
    same_size = (one.header.rows, one.header.columns) == (other.header.rows, other.header.columns)
    turned = one.plane.orientation, other.plane.orientation
    same_time = one.plane.time_point == other.plane.time_point
    return same_size and same_time and (None in turned or geometry.same_orientation(*turned))


def _check_total(frames: Sequence[_Frame]) -> None:
    first = frames[0].header
    check_size(first.rows, first.columns, len(frames), first.path)


def _ordered(frames: Sequence[_Frame], notes: QualityNotes) -> tuple[list[_Frame], OrderFrom]:
    """Foot to head by position along the normal; where positions cannot be believed, by slice location or number."""
    if len(frames) == 1:
        return list(frames), "single"
    placed = [frame.position_mm for frame in frames]
    doubt = geometry.why_incredible(placed, [frame.plane.thickness for frame in frames])
    if doubt is None:
        return sorted(frames, key=lambda frame: (frame.position_mm or 0.0, *_preference(frame))), "position"
    located = [frame.header.slice_location if frame.header.frames == 1 else None for frame in frames]
    if geometry.why_incredible(located, [frame.plane.thickness for frame in frames]) is None:
        text = f"The positions in the headers are not believed: {doubt}; slice locations ordered the slices."
        notes.add(Quality.POSITIONS_NOT_CREDIBLE, text)
        moved = [replace(frame, position_mm=place) for frame, place in zip(frames, located, strict=True)]
        return sorted(moved, key=lambda frame: (frame.position_mm or 0.0, *_preference(frame))), "position"
    if any(position is not None for position in placed):
        notes.add(Quality.POSITIONS_NOT_CREDIBLE, f"The positions in the headers are not believed: {doubt}.")
    notes.add(Quality.UNKNOWN_SPACING, "The headers give no positions to rely on; the order is that of the numbers.")
    numbers = {(frame.header.instance_number, frame.index) for frame in frames}
    if len(numbers) < len(frames):
        message = "the slices have neither positions nor distinct instance numbers, so their order is not known"
        raise BadGeometry(message, path=frames[0].header.path, hint="convert the series with its geometry, or to NIfTI")
    unplaced = [replace(frame, position_mm=None) for frame in frames]
    return sorted(unplaced, key=lambda frame: (frame.header.instance_number, frame.index)), "frame"


def _preference(frame: _Frame) -> tuple[bool, bool, int, int, int, str]:
    """Which of several slices at one position comes first: soft kernel, without loss, then the earliest acquired."""
    header = frame.header
    sharp = is_sharp(header.kernel, header.description)
    lossy = header.lossy or header.transfer_syntax in _LOSSY_SYNTAXES
    return sharp, lossy, header.acquisition_number, header.instance_number, frame.index, header.sop_uid or header.path


def _one_each(frames: Sequence[_Frame], notes: QualityNotes) -> list[_Frame]:
    """One frame for each position; ``frames`` are sorted by position, then preference."""
    kernels = {frame.header.kernel for frame in frames}
    if len(kernels) > 1:
        notes.add(Quality.MIXED_KERNELS, f"Slices were reconstructed with {len(kernels)} different kernels.")
    kept: list[_Frame] = []
    for frame in frames:
        here = frame.position_mm
        before = kept[-1].position_mm if kept else None
        if here is None or before is None or here - before >= geometry.SAME_POSITION_MM:
            kept.append(frame)
    doubled = len(frames) - len(kept)
    if doubled:
        text = f"{doubled} slices lie at a position that another slice has; one of each was used."
        notes.add(Quality.DUPLICATE_POSITIONS, text)
        notes.add(Quality.EXTRA_SLICES_DROPPED, f"{doubled} slices at doubled positions were left out.")
    return kept


def _note_headers(headers: Sequence[Header], notes: QualityNotes) -> None:
    """Codes that the headers alone justify."""
    uids = [(header.sop_uid, header.series_uid, header.study_uid) for header in headers]
    if not all(valid_uid(uid) for row in uids for uid in row):
        text = "Identifiers in the header break the DICOM rules (PS3.5 9.1) or are absent; they were kept as they are."
        notes.add(Quality.INVALID_UID, text)
    if any(header.lossy or header.transfer_syntax in _LOSSY_SYNTAXES for header in headers):
        text = "The slices were compressed with loss before they came here (0028,2110); subtle blood may be gone."
        notes.add(Quality.LOSSY_COMPRESSED, text)
    if any(header.phantom for header in headers):
        notes.add(Quality.PHANTOM, "The header says that this is a phantom, not a patient.")


def _assemble(ref: ScanRef, frames: Sequence[_Frame], order_from: OrderFrom, notes: QualityNotes) -> Scan:
    """Decode the kept frames and put the scan together."""
    orientation = frames[0].plane.orientation
    axial = orientation is None or geometry.angle_to_axis(orientation) <= geometry.NOT_AXIAL_DEG
    if not axial:
        notes.add(Quality.NOT_AXIAL, "The slices are not axial; the model was trained on axial slices.")
    turn = geometry.upright(orientation) if axial else geometry.Turn()
    if turn.changes:
        notes.add(
            Quality.REORIENTED, "The slices were turned or mirrored to stand nose up, patient's right on the left."
        )
    if orientation is None:
        text = "The headers give no orientation that can be read; the slices were taken as stored."
        notes.add(Quality.UNKNOWN_ORIENTATION, text)
    units: Units = "hu" if all(_is_hounsfield(frame.header) for frame in frames) else "grey8"
    if units == "grey8":
        notes.add(Quality.UNKNOWN_WINDOW, "Not a CT slice: grey levels are not Hounsfield units.")
    slices = []
    for frame in frames:
        pixels = _squared(_decode(frame, units, notes), frame, notes)
        slices.append(Slice(turn.apply(pixels), frame.header.path, frame.uid, frame.position_mm))  # type: ignore[arg-type]
    return Scan(ref, tuple(slices), units, _geometry(frames, order_from, turn, notes), notes.codes, notes.notes)


def _squared(pixels: Pixels, frame: _Frame, notes: QualityNotes) -> Pixels:
    """Square pixels, by the spacing or, without one, by the Pixel Aspect Ratio (0028,0034)."""
    spacing = frame.plane.pixel_spacing or aspect_ratio(frame.file.dataset)
    if spacing is None or is_square(spacing):
        return pixels
    notes.add(Quality.RESAMPLED_PIXELS, RESAMPLED_NOTE)
    return squared(pixels, spacing, frame.header.path)


def _is_hounsfield(header: Header) -> bool:
    monochrome = header.photometric in {"", "MONOCHROME1", "MONOCHROME2"}
    return monochrome and header.modality in {"CT", ""} and not header.sop_class.startswith(_SECONDARY_CAPTURE)


def _decode(frame: _Frame, units: Units, notes: QualityNotes) -> Pixels:
    dataset, header = frame.file.dataset, frame.header
    stored = stored_frame(dataset, header, frame.index)
    if units == "grey8":
        if header.photometric == "MONOCHROME1":
            notes.add(Quality.MONOCHROME1, "Stored for inverted display (MONOCHROME1); it was turned back.")
        return to_grey(dataset, header, stored)
    pixels, codes = to_hounsfield(dataset, header, frame.index, stored)
    for code in codes:
        notes.add(Quality(code), _REPAIRS[Quality(code)])
    return pixels


_REPAIRS = {
    Quality.MONOCHROME1: "Stored for inverted display (MONOCHROME1); Hounsfield units do not depend on that.",
    Quality.WRAPPED_12_BIT: "Stored values had wrapped around at 12 bits and were unwrapped.",
}


def _geometry(frames: Sequence[_Frame], order_from: OrderFrom, turn: geometry.Turn, notes: QualityNotes) -> Geometry:
    """Spacing and tilt, with their codes."""
    positions = [frame.position_mm for frame in frames if frame.position_mm is not None]
    steps = geometry.spacing(positions, [frame.plane.thickness for frame in frames])
    if steps.missing:
        text = f"Slices are missing, about {steps.missing}: some gaps are wider than 1.5 times the usual distance."
        notes.add(Quality.MISSING_SLICES, text)
    if steps.variable:
        text = f"The distance between slices varies from {steps.smallest_mm:.2f} to {steps.largest_mm:.2f} mm."
        notes.add(Quality.VARIABLE_SPACING, text)
    covered = geometry.covered_mm(positions, steps.median_mm)
    if covered is not None and covered < HEAD_MM:
        text = f"The slices cover {covered:.0f} mm, less than a head: what lies outside was not looked at."
        notes.add(Quality.PARTIAL_COVERAGE, text)
    tilt = _tilt(frames[0])
    if tilt is not None and tilt >= _TILT_DEG:
        notes.add(Quality.GANTRY_TILT, f"The slices are tilted by {tilt:.1f} degrees; they were scored as acquired.")
    pixel_spacing = frames[0].plane.pixel_spacing
    if pixel_spacing is not None and not is_square(pixel_spacing):
        pixel_spacing = (min(pixel_spacing), min(pixel_spacing))
    turned = None if pixel_spacing is None else turn.spacing(pixel_spacing)
    return Geometry(order_from, turned, steps.median_mm, tilt, covered)


def _tilt(frame: _Frame) -> float | None:
    """Angle between slice normal and table axis; from the tilt tag where the orientation is absent or ignores it."""
    orientation, said = frame.plane.orientation, frame.header.tilt_deg
    measured = None if orientation is None else geometry.angle_to_axis(orientation)
    if said is not None and (measured is None or measured < _TILT_DEG):
        return abs(said)
    return None if measured is None else round(measured, 3)
