"""A configuration's data, ready for training: records, sides, cached pixels."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from hemo_core.contract import InputContract
from hemo_core.errors import DatasetError
from hemo_trainer.cache import cached_slices
from hemo_trainer.config import TrainConfig
from hemo_trainer.datasets import SliceRecord, by_series, fingerprint, read_source
from hemo_trainer.datasets.record import Split
from hemo_trainer.split import split_hash, split_records

Grey = npt.NDArray[np.uint8]


@dataclass(frozen=True, slots=True, eq=False)
class TrainingData:
    """All labelled slices of a run.

    Attributes:
        records: every slice; rows of ``pixels``.
        pixels: uint8 ``(records, H, W, C)``, memory-mapped.
        sides: records of each side.
        row_of: the row of each picture.
        source_names: name of each source of the configuration, in its order.
        train_only: names of sources that must never be scored.
        fingerprint, split_hash: sha256 of the data and of the split.
    """

    records: tuple[SliceRecord, ...]
    pixels: Grey
    sides: dict[Split, list[SliceRecord]]
    row_of: dict[Path, int]
    source_names: tuple[str, ...]
    train_only: frozenset[str]
    fingerprint: str
    split_hash: str

    def rows(self, side: Split) -> list[int]:
        """Rows of one side."""
        return [self.row_of[record.path] for record in self.sides[side]]

    def scored_series(self, side: Split) -> dict[str, list[tuple[SliceRecord, ...]]]:
        """Series of one side by source, without sources that are for training only."""
        series = by_series(record for record in self.sides[side] if record.source not in self.train_only)
        names = sorted({records[0].source for records in series})
        return {name: [records for records in series if records[0].source == name] for name in names}

    def pixels_of(self, record: SliceRecord) -> Grey:
        """Model input of one of the records, uint8 ``(H, W, C)``."""
        return np.asarray(self.pixels[self.row_of[record.path]])


def load_data(config: TrainConfig, contract: InputContract, cache: Path) -> TrainingData:
    """Read every source, split by patient, preprocess (or find it done) for ``contract``.

    Raises:
        DatasetError: a source is unusable, or a side that training needs is empty.
        PatientLeak: a patient is on two sides.
    """
    records: Sequence[SliceRecord] = [record for source in config.sources for record in read_source(source)]
    sides = split_records(records, config.split)
    for side in ("train", "val"):
        if not any(record.certain for record in sides[side]):
            raise DatasetError(f"no patient is on the {side} side", hint="add patients or change [split]")
    names = tuple(Path(source.path).name if source.layout == "folder" else source.layout for source in config.sources)
    train_only = frozenset(name for name, source in zip(names, config.sources, strict=True) if source.train_only)
    return TrainingData(
        tuple(records),
        cached_slices(records, contract, cache),
        sides,
        {record.path: row for row, record in enumerate(records)},
        names,
        train_only,
        fingerprint(records),
        split_hash(sides),
    )
