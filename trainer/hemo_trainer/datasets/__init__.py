"""Adapters: a data set on disk in, :class:`~hemo_trainer.datasets.record.SliceRecord` rows out."""

from __future__ import annotations

from pathlib import Path

from hemo_core.errors import DatasetError
from hemo_trainer.config import DataSource
from hemo_trainer.datasets.folder import read_folder
from hemo_trainer.datasets.pack import read_series_pack, read_single_slices
from hemo_trainer.datasets.record import SliceRecord, by_series, fingerprint

__all__ = ["SliceRecord", "by_series", "fingerprint", "read_source"]


def read_source(source: DataSource) -> list[SliceRecord]:
    """All slices of one data set.

    Raises:
        DatasetError: the folder is missing or not in the named layout.
    """
    folder = Path(source.path)
    if not folder.is_dir():
        raise DatasetError("data folder is missing", path=source.path)
    if source.layout in ("ct-ich", "phe-sich"):
        return read_series_pack(folder, source.layout)
    if source.layout == "rsna-slices":
        return read_single_slices(folder, source.layout)
    if source.layout == "folder":
        return read_folder(folder, folder.name)
    raise DatasetError(f"unknown layout {source.layout!r}", hint="ct-ich, phe-sich, rsna-slices or folder")
