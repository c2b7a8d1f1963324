"""DICOM files → series. Only what choosing needs is kept of each file, so a folder of many files fits into memory."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from hemo_core.scans.readers import geometry
from hemo_core.scans.readers.dicom_header import Header, valid_uid
from hemo_core.scans.recognise import FoundDicom
from hemo_core.scans.scan import Quality

StackKey = tuple[int, int, tuple[float, ...] | None]


@dataclass(frozen=True, slots=True)
class Member:
    """One file of a series."""

    path: str
    sop_uid: str
    frames: int
    position_mm: float | None


@dataclass(slots=True)
class Series:
    """Files with one Series Instance UID, by stack (size and orientation).

    Attributes:
        key: the UID, or for files without one their folder, series number and description.
    """

    key: str
    stacks: dict[StackKey, list[Member]] = field(default_factory=dict)
    headers: dict[StackKey, Header] = field(default_factory=dict)

    def add(self, found: FoundDicom) -> None:
        """Take in one file."""
        header = found.header
        plane = header.planes[0]
        rounded = None if plane.orientation is None else tuple(round(value, 1) for value in plane.orientation)
        key = (header.rows, header.columns, rounded)
        position = geometry.position_along(plane) if header.frames == 1 else None
        self.headers.setdefault(key, header)
        member = Member(header.path, found.sop_uid, header.frames, position)
        self.stacks.setdefault(key, []).append(member)

    @property
    def header(self) -> Header:
        """First header of the largest stack: the series without a localizer that was filed with it."""
        return self.headers[max(self.stacks, key=lambda key: sum(one.frames for one in self.stacks[key]))]

    @property
    def members(self) -> list[Member]:
        """All files, by path."""
        return sorted((one for stack in self.stacks.values() for one in stack), key=lambda one: one.path)

    @property
    def slices(self) -> int:
        """Frames in the largest stack."""
        return max(sum(one.frames for one in stack) for stack in self.stacks.values())

    @property
    def spacing_mm(self) -> float | None:
        """Median distance of neighbours in the largest stack; for a multi-frame file the slice thickness."""
        stack = max(self.stacks.values(), key=lambda members: sum(one.frames for one in members))
        positions = sorted({round(one.position_mm, 2) for one in stack if one.position_mm is not None})
        return geometry.spacing(positions, []).median_mm or self.header.planes[0].thickness

    @property
    def quality(self) -> tuple[str, ...]:
        """Codes that the headers alone justify."""
        header = self.header
        uids = (header.study_uid, header.series_uid, header.sop_uid)
        codes = [] if all(valid_uid(uid) for uid in uids) else [Quality.INVALID_UID.value]
        mixed = len(self.stacks) > 1 or len({one.sop_uid for one in self.members}) < len(self.members)
        return (*codes, Quality.EXTRA_SLICES_DROPPED.value) if mixed else tuple(codes)


class SeriesTable:
    """Groups the DICOM files of one top-level folder."""

    def __init__(self) -> None:
        self._series: dict[str, Series] = {}

    def add(self, found: FoundDicom) -> None:
        """Put a file into its series."""
        key = series_key(found.header)
        self._series.setdefault(key, Series(key)).add(found)

    def studies(self) -> Iterator[list[Series]]:
        """The series of each study, both in order of discovery, copies of whole series apart."""
        studies: dict[str, list[Series]] = {}
        for series in self._series.values():
            study = series.header.study_uid or f"series {series.key}"
            studies.setdefault(study, []).append(series)
        yield from studies.values()


def series_key(header: Header) -> str:
    """What files of one series share."""
    if header.series_uid:
        return header.series_uid
    folder = header.path.rpartition("/")[0]
    return f"folder {folder}\n{header.series_number}\n{header.description}\n{header.modality}"


def layers(members: Iterable[Member]) -> list[list[Member]]:
    """Split copies off: the first layer has each SOP Instance UID once, the next holds the second copies, and so on.

    A later layer that has all the instances of the first is the same scan filed again; one that has only some is
    folded back into the first, where the reader drops the copies.
    """
    found: list[list[Member]] = []
    counts: dict[str, int] = {}
    for member in members:
        depth = counts.get(member.sop_uid, 0)
        counts[member.sop_uid] = depth + 1
        if depth == len(found):
            found.append([])
        found[depth].append(member)
    whole = [layer for layer in found if len(layer) == len(found[0])]
    partial = [member for layer in found[len(whole) :] for member in layer]
    return [[*whole[0], *partial], *whole[1:]]
