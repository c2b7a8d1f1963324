"""What DICOM headers say about a data set's files, read once and remembered: large sets have hundreds of thousands."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from hemo_core import __version__
from hemo_core.errors import DatasetError, FileUnreadable, HemoError
from hemo_core.files import write_durably
from hemo_core.records import Record, dumps, load
from hemo_trainer.datasets.reading import UnusableFile

_THREADS = 8


@dataclass(frozen=True, slots=True)
class Place:
    """Where a DICOM slice belongs.

    Attributes:
        patient: Patient ID (0010,0020); in public sets a pseudonym. Empty where the header has none.
        study, series: instance UIDs (0020,000D) and (0020,000E).
        position_mm: distance along the slice normal, growing to the head; None where the header does not tell.
        number: instance number (0020,0013).
    """

    patient: str
    study: str
    series: str
    position_mm: float | None
    number: int


@dataclass(frozen=True, slots=True)
class _Indexed:
    """What one file's header gave: a place or a problem."""

    place: Place | None = None
    problem: UnusableFile | None = None


def index_dicom(files: Sequence[Path], cache: Path | None) -> tuple[dict[Path, Place], list[UnusableFile]]:
    """Places of DICOM files, and a problem for each whose header cannot be read.

    Args:
        files: they exist.
        cache: folder in which the index is kept; None to read every header anew.
    """
    ordered = sorted(files)

    def read_all() -> tuple[_Indexed, ...]:
        with ThreadPoolExecutor(_THREADS, thread_name_prefix="index") as pool:
            return tuple(pool.map(_index, ordered))

    rows = remembered(cache, "dicom", ordered, tuple[_Indexed, ...], read_all)
    places = {path: row.place for path, row in zip(ordered, rows, strict=True) if row.place}
    return places, [row.problem for row in rows if row.problem]


def remembered(
    cache: Path | None, name: str, files: Iterable[Path], kind: type[Record], make: Callable[[], Record]
) -> Record:
    """``make()``, a ``kind`` of record, kept in ``cache`` as long as names, sizes and times of ``files`` stay the same.

    Another version of hemo-batch, which may read headers in another way, makes it anew.
    """
    if cache is None:
        return make()
    path = cache / f"index-{name}-{_state(files)}.json"
    if path.is_file():
        return load(kind, path.read_bytes(), error=DatasetError, what="index of headers", path=path)
    made = make()
    cache.mkdir(parents=True, exist_ok=True)
    write_durably(path, dumps(made))
    return made


def _state(files: Iterable[Path]) -> str:
    digest = hashlib.sha256(__version__.encode())
    for path in files:
        found = path.stat()
        digest.update(f"{path}\0{found.st_size}\0{found.st_mtime_ns}\0{found.st_ctime_ns}\n".encode())
    return digest.hexdigest()[:16]


def _index(path: Path) -> _Indexed:
    try:
        return _Indexed(place=_place(path))
    except HemoError as error:
        return _Indexed(problem=UnusableFile.of(error, str(path)))


def _place(path: Path) -> Place:
    """Raises ScanError subclasses where the header cannot be read."""
    import pydicom

    from hemo_core.scans.readers import geometry
    from hemo_core.scans.readers.dicom_header import parsing, read_dicom_header

    try:
        with path.open("rb") as stream:
            header = read_dicom_header(stream, str(path))
            stream.seek(0)
            with parsing(str(path)):  # the core never reads who the patient is; a split by patient must
                named = pydicom.dcmread(stream, force=True, stop_before_pixels=True, specific_tags=["PatientID"])
                patient = str(named.get("PatientID", "") or "").strip()
    except OSError as error:
        raise FileUnreadable(f"cannot be read: {error.strerror}", path=str(path)) from error
    position = geometry.position_along(header.planes[0])
    return Place(patient, header.study_uid, header.series_uid, position, header.instance_number)


def spacing_of(places: Sequence[Place]) -> float | None:
    """Median distance of the slices of one series in mm; None where it is not known."""
    from hemo_core.scans.readers import geometry

    positions = sorted({round(place.position_mm, 2) for place in places if place.position_mm is not None})
    return geometry.spacing(positions, []).median_mm


def in_order(files: Iterable[Path], places: Mapping[Path, Place]) -> list[Path]:
    """Files of one series from foot to head: by position, where none has one by instance number, then by name."""

    def rank(path: Path) -> tuple[float, int, str]:
        place = places[path]
        return (0.0 if place.position_mm is None else place.position_mm, place.number, path.name)

    return sorted(files, key=rank)
