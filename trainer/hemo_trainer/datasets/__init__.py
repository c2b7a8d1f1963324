"""Adapters: a data set on disk in, :class:`~hemo_trainer.datasets.record.SliceRecord` rows out."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType

from hemo_core.errors import DatasetError, EmptyFile, FileMissing
from hemo_trainer.config import DataSource, named_sources
from hemo_trainer.datasets.cq500 import read_cq500
from hemo_trainer.datasets.folder import read_folder
from hemo_trainer.datasets.listing import read_listing
from hemo_trainer.datasets.pack import read_series_pack, read_single_slices
from hemo_trainer.datasets.physionet import TABLE as PHYSIONET_TABLE
from hemo_trainer.datasets.physionet import read_physionet
from hemo_trainer.datasets.reading import Reading, UnusableFile, refuse
from hemo_trainer.datasets.record import SliceRecord, by_series, fingerprint
from hemo_trainer.datasets.rsna2019 import read_rsna

__all__ = [
    "Reading",
    "SliceRecord",
    "UnusableFile",
    "by_series",
    "fingerprint",
    "read_dataset",
    "read_source",
]

_Adapter = Callable[[Path, str, Path | None], Reading]


def read_source(source: DataSource, cache: Path | None = None) -> list[SliceRecord]:
    """All slices of one data set; without those that cannot be used if the source says ``skip_unreadable``.

    Args:
        source: layout and place.
        cache: folder in which indices of DICOM headers are kept; None to read them anew.

    Raises:
        DatasetError: the folder is missing or not in the named layout, or files are missing or unreadable, all named.
    """
    reading = read_dataset(source, cache)
    if not source.skip_unreadable:
        refuse(reading.problems, source.path)
    return list(reading.records)


def read_dataset(source: DataSource, cache: Path | None = None) -> Reading:
    """Slices of one data set whose files are there, and what is wrong with the rest; pixels are not read.

    Raises:
        DatasetError: the folder is missing or not in the named layout, a table is malformed, or no slice is left.
    """
    (source,) = named_sources([source])
    path = Path(source.path)
    if source.layout not in _ADAPTERS:
        raise DatasetError(f"unknown layout {source.layout!r}", hint=", ".join(_ADAPTERS))
    if not path.exists() or (source.layout != "csv" and not path.is_dir()):
        raise DatasetError("data folder is missing", path=source.path)
    reading = _ADAPTERS[source.layout](path, source.name, cache)
    gone = _absent(reading.records)
    records = tuple(record for record in reading.records if record.path not in gone)
    if not records and not (reading.problems or gone):
        raise DatasetError("holds no labelled slice", path=source.path)
    return Reading(records, (*reading.problems, *gone.values()))


def _absent(records: Sequence[SliceRecord]) -> dict[Path, UnusableFile]:
    """A problem for each file that is missing or empty."""
    gone = {}
    for path in dict.fromkeys(record.path for record in records):
        if not path.is_file():
            gone[path] = UnusableFile(str(path), FileMissing.code, "a table names it, but it is not there")
        elif not path.stat().st_size:
            gone[path] = UnusableFile(str(path), EmptyFile.code, "has no bytes")
    return gone


def _ct_ich(folder: Path, source: str, _cache: Path | None) -> Reading:
    """PhysioNet's volumes, or the pack's pictures."""
    if (folder / PHYSIONET_TABLE).is_file():
        return read_physionet(folder, source)
    return Reading(tuple(read_series_pack(folder, source, "ct-ich")))


def _plain(read: Callable[[Path, str], list[SliceRecord]]) -> _Adapter:
    return lambda folder, source, _cache: Reading(tuple(read(folder, source)))


_ADAPTERS: Mapping[str, _Adapter] = MappingProxyType(
    {
        "ct-ich": _ct_ich,
        "phe-sich": _plain(lambda folder, source: read_series_pack(folder, source, "phe-sich")),
        "rsna-slices": _plain(read_single_slices),
        "rsna-2019": read_rsna,
        "cq500": read_cq500,
        "csv": _plain(read_listing),
        "folder": _plain(read_folder),
    }
)
