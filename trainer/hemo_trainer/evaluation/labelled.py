"""Labelled data to be measured on: a configuration's side, or a folder or table in any known layout."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from hemo_core.bundle.contract import Contract
from hemo_core.errors import DatasetError
from hemo_trainer.config import SplitConfig, load_config
from hemo_trainer.data.prepared import TrainingData, load_sources
from hemo_trainer.datasets.layouts import detect_source
from hemo_trainer.datasets.record import SliceRecord, Split, by_series
from hemo_trainer.network.predict import Grey

Series = tuple[SliceRecord, ...]


@dataclass(frozen=True, slots=True, eq=False)
class Labelled:
    """What is to be measured.

    Attributes:
        series: labelled series in order, without sources that are for training only.
        pixels_of: model input of a record, uint8 ``(H, W, C)``.
        side: of the split; None if all of the data is measured.
        fingerprint: sha256 of all data read.
        split_hash: sha256 of the split; None if all of the data is measured.
    """

    series: tuple[Series, ...]
    pixels_of: Callable[[SliceRecord], Grey]
    side: Split | None
    fingerprint: str
    split_hash: str | None

    @property
    def records(self) -> list[SliceRecord]:
        """Every slice of the series."""
        return [record for one in self.series for record in one]


def open_labelled(path: Path, contract: Contract, cache: Path, side: Split | None) -> Labelled:
    """Read what is to be measured.

    Args:
        path: a TOML configuration, or a folder or CSV table in any known layout.
        contract: of the model, whose findings are wanted.
        cache: folder of preprocessed slices.
        side: of the split. Default: ``test`` of a configuration, all of a folder or table.

    Raises:
        SettingsError: the configuration cannot be used.
        DatasetError: the data cannot be read, or there is nothing on that side.
        PatientLeak: the split leaks.
    """
    scoring = contract.scoring
    findings = (scoring.primary.name, *(one.name for one in scoring.details))
    if path.suffix.lower() == ".toml":
        config = load_config(path)
        chosen = side or "test"
        data = load_sources(config.sources, config.split, contract.input, cache, findings=findings, needed=(chosen,))
        return _side(data, chosen)
    data = load_sources((detect_source(path),), SplitConfig(), contract.input, cache, findings=findings)
    if side is not None:
        return _side(data, side)
    return Labelled(tuple(by_series(data.records)), data.pixels_of, None, data.fingerprint, None)


def _side(data: TrainingData, side: Split) -> Labelled:
    series = tuple(one for found in data.scored_series(side).values() for one in found)
    if not series:
        raise DatasetError(f"no patient is on the {side} side", hint="name another --side, or other data")
    return Labelled(series, data.pixels_of, side, data.fingerprint, data.split_hash)
