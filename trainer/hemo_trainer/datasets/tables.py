"""CSV tables of labels: rows as dictionaries, and errors that name the table and the line."""

from __future__ import annotations

import csv
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from hemo_core.errors import DatasetError

_YES = frozenset({"1", "1.0", "true", "yes"})
_NO = frozenset({"0", "0.0", "false", "no"})


def table_rows(table: Path, needed: Sequence[str] = ()) -> Iterator[dict[str, str]]:
    """Rows of a table with a header line; names and values are stripped, a byte order mark is ignored.

    Raises:
        DatasetError: no such table, a needed column is missing, or it is not text.
    """
    if not table.is_file():
        raise DatasetError("table is missing", path=str(table), hint="see docs/datasets.md for the layouts")
    with table.open(newline="", encoding="utf-8-sig") as lines:
        try:
            reader = csv.DictReader(lines)
            names = [name.strip() for name in reader.fieldnames or ()]
            reader.fieldnames = names
            absent = [name for name in needed if name not in names]
            if absent:
                raise DatasetError(f"has no column {', '.join(absent)}", path=str(table), hint=f"it has {names}")
            for row in reader:
                yield {name: (value or "").strip() for name, value in row.items() if name in names}
        except (UnicodeDecodeError, csv.Error) as error:
            raise DatasetError(f"is not a CSV table: {error}", path=str(table)) from error


def flag(row: Mapping[str, str], name: str, table: Path) -> int:
    """A 0 or 1 of one row. Raises DatasetError, showing the row, for anything else."""
    value = row.get(name, "").lower()
    if value in _YES or value in _NO:
        return int(value in _YES)
    raise DatasetError(f"{name} is {row.get(name, '')!r}, not 0 or 1, in {dict(row)}", path=str(table))


def whole(row: Mapping[str, str], name: str, table: Path) -> int:
    """A whole number of one row. Raises DatasetError, showing the row, for anything else."""
    try:
        return int(float(row[name]))
    except (KeyError, ValueError, OverflowError) as error:
        message = f"{name} is {row.get(name, '')!r}, not a whole number, in {dict(row)}"
        raise DatasetError(message, path=str(table)) from error
