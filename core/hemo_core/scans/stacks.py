"""DICOM files → stacks: what one reconstruction of one acquisition of one patient gave.

Headers are grouped by patient, study and series, as far as these identifiers can be believed: one that is blank, or new
in every file, tells nothing, and then frame of reference, series number, description and geometry decide. A series is
divided further where its files differ in what makes them one picture of the head (size, orientation, contrast medium),
and by kernel, image type and acquisition where those lie over each other. Names and folders of files decide nothing,
unless no identifier is left at all.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Hashable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from itertools import combinations
from typing import TypeVar

from hemo_core.scans.choice import contrast_of
from hemo_core.scans.readers import geometry
from hemo_core.scans.readers.dicom_header import Header, valid_uid
from hemo_core.scans.recognise import FoundDicom
from hemo_core.scans.rules.vocabulary import Rules
from hemo_core.scans.scan import Quality

_FEWEST_TO_TELL = 3
_OVERLAP_MM = 1.0
Key = TypeVar("Key", bound=Hashable)


@dataclass(frozen=True, slots=True)
class Instance:
    """One file, without what it shares with the rest of its stack.

    Attributes:
        header: of the first file that says the same of all that is shared; its path and instance are another file's.
        position_mm: along the slice normal; None without one, and for a multi-frame object.
    """

    path: str
    sop_uid: str
    frames: int
    position_mm: float | None
    number: int
    acquisition: int
    fingerprint: str
    header: Header

    @property
    def folder(self) -> str:
        """The folder it lies in."""
        return self.path.rpartition("/")[0]


@dataclass(frozen=True, slots=True)
class Stack:
    """Files that are slices of one picture of a head, or of whatever else it is of.

    Attributes:
        instances: by path, copies left out.
        copies: each whole copy of the stack, a list of instances; they are rows of their own.
        dropped: paths of further copies, which are copies of single files.
        ambiguous_uids: several instances bear one SOP Instance UID, though their pixels differ.
        mixed_kernels: its series holds other reconstructions, too.
    """

    instances: tuple[Instance, ...]
    copies: tuple[tuple[Instance, ...], ...] = ()
    dropped: tuple[str, ...] = ()
    ambiguous_uids: bool = False
    mixed_kernels: bool = False

    @property
    def header(self) -> Header:
        """What its files share."""
        return self.instances[0].header

    @property
    def slices(self) -> int:
        """Frames of all its files."""
        return sum(one.frames for one in self.instances)

    @property
    def span_mm(self) -> tuple[float, float] | None:
        """Lowest and highest position; None where files have none."""
        return _span(self.instances)

    @property
    def spacing_mm(self) -> float | None:
        """Median distance of neighbours; for a multi-frame file the slice thickness."""
        positions = sorted({round(one.position_mm, 2) for one in self.instances if one.position_mm is not None})
        return geometry.spacing(positions, []).median_mm or self.header.planes[0].thickness

    @property
    def quality(self) -> tuple[str, ...]:
        """Codes that the headers alone justify."""
        uids = (self.header.study_uid, self.header.series_uid, self.header.sop_uid)
        made_up = self.ambiguous_uids or len({one.header.series_uid for one in self.instances}) > 1
        codes = {
            Quality.INVALID_UID: made_up or not all(valid_uid(uid) for uid in uids),
            Quality.MIXED_KERNELS: self.mixed_kernels,
            Quality.EXTRA_SLICES_DROPPED: bool(self.dropped),
        }
        return tuple(code.value for code, holds in codes.items() if holds)


@dataclass(slots=True)
class StackTable:
    """All DICOM files of an input.

    Attributes:
        rules: say what is contrast.
        digest: of the pixels of the file at a path; asked for only where two files bear one SOP Instance UID.
    """

    rules: Rules
    digest: Callable[[str], str]
    _instances: list[Instance] = field(default_factory=list)
    _shared: dict[Hashable, Header] = field(default_factory=dict)
    _contrast: dict[int, bool] = field(default_factory=dict)

    def add(self, found: FoundDicom) -> None:
        """Take in one file."""
        header = found.header
        position = geometry.position_along(header.planes[0]) if header.frames == 1 else None
        shared = self._shared.setdefault(_shared_key(header), header)
        self._instances.append(
            Instance(
                header.path,
                found.sop_uid,
                header.frames,
                position,
                header.instance_number,
                header.acquisition_number,
                found.fingerprint,
                shared,
            )
        )

    def studies(self) -> Iterator[list[Stack]]:
        """The stacks of each study of each patient, both in order of discovery."""
        for study in _grouped(self._instances, _study_key(self._instances)).values():
            series = _grouped(study, _series_key(study))
            yield [stack for members in series.values() for stack in self._stacks(members)]

    def _stacks(self, members: list[Instance]) -> Iterator[Stack]:
        """A series, as many stacks as it holds."""
        kernels = {_kernel(one) for one in members}
        for part in self._divided(members):
            mixed = kernels != {_kernel(one) for one in part}
            yield replace(self._stack(part), mixed_kernels=mixed)

    def _divided(self, members: list[Instance]) -> Iterator[list[Instance]]:
        """A series, divided into what can be one picture."""
        for alike in _grouped(members, self._picture_key).values():
            for turned in _by_orientation(alike):
                yield from _apart(turned, (_kernel, _image_type, _acquisition))

    def _picture_key(self, one: Instance) -> Hashable:
        header = one.header
        spacing = header.planes[0].pixel_spacing
        return (
            (header.rows, header.columns, header.modality, header.has_pixels),
            None if spacing is None else tuple(round(value, 2) for value in spacing),
            header.photometric in {"", "MONOCHROME1", "MONOCHROME2"},
            "LOCALIZER" in header.image_type,
            self._has_contrast(header),
        )

    def _has_contrast(self, header: Header) -> bool:
        """Worked out once for all files that share a header."""
        known = self._contrast.get(id(header))
        if known is None:
            known = self._contrast[id(header)] = contrast_of(header, self.rules).meaning == "contrast"
        return known

    def _stack(self, members: list[Instance]) -> Stack:
        """Copies set apart: files with one SOP Instance UID and the same pixels."""
        members = sorted(members, key=lambda one: one.path)
        by_uid = _grouped(members, lambda one: one.sop_uid)
        if len(by_uid) == len(members):
            return Stack(tuple(members))
        same: dict[Hashable, list[Instance]] = {}
        for uid, files in by_uid.items():
            for one in files:
                same.setdefault((uid, self.digest(one.path) if len(files) > 1 else ""), []).append(one)
        fewest = min(map(len, same.values()))
        layers = [tuple(sorted((files[at] for files in same.values()), key=_path)) for at in range(fewest)]
        dropped = tuple(one.path for files in same.values() for one in files[fewest:])
        return Stack(layers[0], tuple(layers[1:]), dropped, ambiguous_uids=len(same) > len(by_uid))


def _path(one: Instance) -> str:
    return one.path


def _grouped(items: Iterable[Instance], key: Callable[[Instance], Key]) -> dict[Key, list[Instance]]:
    found: dict[Key, list[Instance]] = defaultdict(list)
    for one in items:
        found[key(one)].append(one)
    return found


def _shared_key(header: Header) -> Hashable:
    """All that is kept of a header but what differs from slice to slice."""
    plane = header.planes[0]
    turned = None if plane.orientation is None else tuple(round(value, 2) for value in plane.orientation)
    ids = (header.patient, header.study_uid, header.series_uid, header.frame_of_reference, header.series_number)
    told = (header.description, header.body_part, header.kernel, header.contrast, header.contrast_ml > 0)
    kind = (header.modality, header.image_type, header.sop_class, header.photometric, header.rescale_type)
    return ids, told, kind, header.rows, header.columns, turned, plane.pixel_spacing, header.has_pixels, header.frames


def _study_key(instances: Sequence[Instance]) -> Callable[[Instance], Hashable]:
    """Whose study a file is of.

    A patient's or a study's identifier that is another one in each of three or more files of one series was made up
    file by file, and tells nothing; for a patient's, those files must also lie as the slices of one head do.
    """
    by_series = _grouped(instances, lambda one: one.header.series_uid)
    patients = {
        uid
        for uid, files in by_series.items()
        if uid and _all_new([one.header.patient for one in files]) and _lie_as_one(files)
    }
    studies = {uid for uid, files in by_series.items() if uid and _all_new([one.header.study_uid for one in files])}

    def key(one: Instance) -> Hashable:
        header = one.header
        patient = "" if header.series_uid in patients else header.patient
        study = "" if header.series_uid in studies else header.study_uid
        told = study or header.frame_of_reference or header.series_uid
        return patient, told, "" if told or patient else one.folder

    return key


def _series_key(study: Sequence[Instance]) -> Callable[[Instance], Hashable]:
    """Which series of its study a file is of; a Series Instance UID that is new in every file tells nothing."""

    def told(one: Instance) -> Hashable:
        header = one.header
        return header.series_number, header.description, header.modality, header.frame_of_reference

    alike = _grouped(study, told)
    made_up = {key for key, files in alike.items() if _all_new([one.header.series_uid for one in files])}

    def key(one: Instance) -> Hashable:
        return told(one) if told(one) in made_up or not one.header.series_uid else one.header.series_uid

    return key


def _all_new(values: Sequence[str]) -> bool:
    return len(values) >= _FEWEST_TO_TELL and len(set(values)) == len(values)


def _lie_as_one(files: Sequence[Instance]) -> bool:
    """Whether files lie one above the other at even distances, numbered in turn, in one frame of reference."""
    positions = sorted(one.position_mm for one in files if one.position_mm is not None)
    steps = geometry.spacing(positions, [])
    numbers = sorted(one.number for one in files)
    one_frame = len({one.header.frame_of_reference for one in files}) == 1
    regular = steps.median_mm is not None and not (steps.missing or steps.variable) and steps.smallest_mm > 0
    return len(positions) == len(files) and regular and one_frame and numbers[-1] - numbers[0] == len(files) - 1


def _by_orientation(members: list[Instance]) -> list[list[Instance]]:
    """Parallel slices together, within about a degree; a file that does not say goes with the most."""
    groups: list[list[Instance]] = []
    unsaid: list[Instance] = []
    for one in members:
        mine = one.header.planes[0].orientation
        if mine is None:
            unsaid.append(one)
            continue
        home = next((g for g in groups if geometry.same_orientation(g[0].header.planes[0].orientation, mine)), None)
        if home is None:
            groups.append([one])
        else:
            home.append(one)
    if unsaid:
        max(groups, key=len).extend(unsaid) if groups else groups.append(unsaid)
    return groups


def _kernel(one: Instance) -> Hashable:
    return one.header.kernel.casefold()


def _image_type(one: Instance) -> Hashable:
    return one.header.image_type


def _acquisition(one: Instance) -> Hashable:
    return one.acquisition


def _apart(members: list[Instance], attributes: Sequence[Callable[[Instance], Hashable]]) -> Iterator[list[Instance]]:
    """Divided by each attribute in turn, wherever files that differ in it lie over each other.

    Base and vertex of a head are often two acquisitions in one series; a second pass over the same place is another.
    """
    if not attributes:
        yield members
        return
    parts = list(_grouped(members, attributes[0]).values())
    divided = parts if any(_overlap(one, other) for one, other in combinations(parts, 2)) else [members]
    for part in divided:
        yield from _apart(part, attributes[1:])


def _overlap(one: Sequence[Instance], other: Sequence[Instance]) -> bool:
    """Whether two sets of files cover the same place; without positions, whether they bear the same numbers."""
    spans = _span(one), _span(other)
    if spans[0] is None or spans[1] is None:
        return not {file.number for file in one}.isdisjoint(file.number for file in other)
    shared = min(spans[0][1], spans[1][1]) - max(spans[0][0], spans[1][0])
    lone = len(one) == 1 or len(other) == 1
    return shared >= 0 if lone else shared > _OVERLAP_MM


def _span(members: Sequence[Instance]) -> tuple[float, float] | None:
    positions = [one.position_mm for one in members if one.position_mm is not None]
    return (min(positions), max(positions)) if len(positions) == len(members) else None
