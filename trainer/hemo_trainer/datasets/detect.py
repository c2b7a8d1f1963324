"""Which layout a folder or table has, told from the names of its tables."""

from __future__ import annotations

from pathlib import Path

from hemo_core.errors import DatasetError
from hemo_trainer.config import DataSource, Layout
from hemo_trainer.datasets import cq500, physionet, rsna2019
from hemo_trainer.datasets.folder import class_folders
from hemo_trainer.datasets.tables import table_rows


def detect_source(path: Path) -> DataSource:
    """The data source at ``path``: a folder in one of the known layouts, or a CSV table of slices.

    Raises:
        DatasetError: nothing is there, or no layout fits.
    """
    return DataSource(_layout(path), str(path.resolve()))


def _layout(path: Path) -> Layout:
    if path.is_file() and path.suffix.lower() == ".csv":
        return "csv"
    if not path.is_dir():
        raise DatasetError("is neither a folder nor a CSV table", path=str(path))
    tables: tuple[tuple[str, Layout], ...] = (
        (physionet.TABLE, "ct-ich"),
        (rsna2019.TABLE, "rsna-2019"),
        (cq500.TABLE, "cq500"),
    )
    for name, layout in tables:
        if (path / name).is_file():
            return layout
    if (path / "labels.csv").is_file():
        return _pack_layout(path / "labels.csv")
    if class_folders(path):
        return "folder"
    raise DatasetError(
        "is in no known layout", path=str(path), hint="see docs/datasets.md, or list its slices in a CSV"
    )


def _pack_layout(table: Path) -> Layout:
    """Of the public pack's three tables."""
    columns = set(next(iter(table_rows(table)), {}))
    if "image" in columns:
        return "rsna-slices"
    return "phe-sich" if "ambiguous" in columns else "ct-ich"
