"""Adapter for CQ500: DICOM exams, each read as a whole by three radiologists.

Chilamkurthy et al., Lancet 2018, 392:2388. ``reads.csv`` has a row an exam: ``name`` (``CQ500-CT-0``), ``Category``,
``R1:ICH`` … ``R3:ICH`` and further findings. An exam's folder is named ``CQ500CT0 CQ500CT0`` and may hold several
series; the one that scoring would choose is taken.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from hemo_core.errors import DatasetError, FileMissing
from hemo_core.scans.scan import ScanRef, decode_row, encode_row
from hemo_trainer.datasets.hemorrhage import HEMORRHAGE
from hemo_trainer.datasets.index import Place, in_order, index_dicom, remembered, spacing_of
from hemo_trainer.datasets.layout import Layout
from hemo_trainer.datasets.reading import Reading, UnusableFile
from hemo_trainer.datasets.record import SliceRecord
from hemo_trainer.datasets.tables import flag, table_rows

TABLE = "reads.csv"
_READERS = ("R1:ICH", "R2:ICH", "R3:ICH")
_MAJORITY = 2
_NUMBER = re.compile(r"CQ500-?CT-?(\d+)", re.IGNORECASE)


def read_cq500(folder: Path, source: str, cache: Path | None = None) -> Reading:
    """Slices of each exam of the table, labelled as the exam was by two of three readers.

    No slice was read, so none has a label: they count for exam figures only.

    Args:
        folder: holds the table, and the exams' folders anywhere below it.
        source: name of the data set.
        cache: folder in which the headers' index is kept.

    Raises:
        DatasetError: the table is missing or malformed.
    """
    table = folder / TABLE
    reads = {_number(row["name"]): _bleeds(row, table) for row in table_rows(table, ("name", *_READERS))}
    refs = _refs(folder, cache)
    chosen = {number: ref for number in reads if (ref := _usable(refs.get(number, []))) is not None}
    absent = [_why_none(number, refs.get(number, []), folder) for number in reads if number not in chosen]
    files = {number: [folder / name for name in ref.files] for number, ref in chosen.items()}
    places, unreadable = index_dicom([path for paths in files.values() for path in paths], cache)
    records = [
        record
        for number, paths in files.items()
        for record in _exam_records([path for path in paths if path in places], places, source, number, reads[number])
    ]
    return Reading(tuple(records), (*absent, *unreadable))


def _usable(refs: Sequence[ScanRef]) -> ScanRef | None:
    return next((ref for ref in refs if ref.rejection is None and ref.failure is None), None)


def _number(name: str) -> str:
    found = _NUMBER.search(name)
    return found[1] if found else name


def _bleeds(row: Mapping[str, str], table: Path) -> int:
    return int(sum(flag(row, reader, table) for reader in _READERS) >= _MAJORITY)


def _refs(folder: Path, cache: Path | None) -> dict[str, list[ScanRef]]:
    """What discovery finds below the folder, by exam number."""
    from hemo_core.scans.discover import discover

    def find() -> list[dict[str, Any]]:
        return [encode_row(ref) for ref in discover(folder) if ref.kind == "dicom"]

    files = sorted(path for path in folder.rglob("*") if path.is_file())
    found: defaultdict[str, list[ScanRef]] = defaultdict(list)
    for row in remembered(cache, "series", files, list[dict[str, Any]], find):
        ref = decode_row(row, error=DatasetError)
        found[_number(ref.files[0])].append(ref)
    return found


def _why_none(number: str, refs: Sequence[ScanRef], folder: Path) -> UnusableFile:
    name = f"CQ500-CT-{number}"
    if not refs:
        return UnusableFile(name, FileMissing.code, f"{TABLE} names it, but no DICOM series of it is below {folder}")
    why = {found.code: found.reason for ref in refs if (found := ref.failure or ref.rejection) is not None}
    return UnusableFile(
        name, next(iter(why)), f"none of its {len(refs)} series can be scored: {'; '.join(why.values())}"
    )


def _exam_records(
    files: Sequence[Path], places: Mapping[Path, Place], source: str, number: str, bleeds: int
) -> list[SliceRecord]:
    spacing = spacing_of([places[path] for path in files])
    return [
        SliceRecord(
            source=source,
            patient=f"CQ500-CT-{number}",
            order=order,
            path=path,
            labels={},
            exam_labels={HEMORRHAGE: bleeds},
            spacing_mm=spacing,
        )
        for order, path in enumerate(in_order(files, places))
    ]


LAYOUTS = (
    Layout(
        "cq500",
        lambda source, _findings, cache: read_cq500(Path(source.path), source.name, cache),
        lambda folder: (folder / TABLE).is_file(),
    ),
)
