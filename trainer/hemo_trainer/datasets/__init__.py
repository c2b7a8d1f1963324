"""Data sets: one on disk in, :class:`~hemo_trainer.datasets.record.SliceRecord` rows out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from hemo_core.bundle.findings import default_name
from hemo_core.errors import DatasetError, EmptyFile, FileMissing
from hemo_trainer.datasets.layouts import layout_of, named_sources
from hemo_trainer.datasets.reading import Reading, UnusableFile, refuse
from hemo_trainer.datasets.record import SliceRecord, by_series, fingerprint
from hemo_trainer.datasets.source import DataSource

__all__ = [
    "DataSource",
    "Reading",
    "SliceRecord",
    "UnusableFile",
    "by_series",
    "fingerprint",
    "read_dataset",
    "read_source",
]


def read_source(source: DataSource, cache: Path | None = None, findings: Sequence[str] = ()) -> list[SliceRecord]:
    """All slices of one data set; without those that cannot be used if the source says ``skip_unreadable``.

    Args:
        source: layout and place.
        cache: folder in which indices of DICOM headers are kept; None to read them anew.
        findings: as for :func:`read_dataset`.

    Raises:
        DatasetError: the folder is missing or not in the named layout, or files are missing or unreadable, all named.
    """
    reading = read_dataset(source, cache, findings)
    if not source.skip_unreadable:
        refuse(reading.problems, source.path)
    return list(reading.records)


def read_dataset(source: DataSource, cache: Path | None = None, findings: Sequence[str] = ()) -> Reading:
    """Slices of one data set whose files are there, and what is wrong with the rest; pixels are not read.

    Args:
        source: layout and place.
        cache: folder in which indices of DICOM headers are kept; None to read them anew.
        findings: that are wanted, the primary one first; default the one that models look for unless told otherwise.

    Raises:
        DatasetError: the folder is missing or not in the named layout, a table is malformed, or no slice is left.
    """
    (source,) = named_sources([source])
    layout, path = layout_of(source), Path(source.path)
    if not path.exists() or path.is_dir() == layout.is_table:
        raise DatasetError("data folder is missing", path=source.path)
    findings = findings or (default_name(),)
    reading = layout.read(source, findings, cache)
    gone = _absent(reading.records)
    records = tuple(
        record if record.finding == findings[0] else replace(record, finding=findings[0])
        for record in reading.records
        if record.path not in gone
    )
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
