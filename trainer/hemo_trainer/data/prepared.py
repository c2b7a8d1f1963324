"""A configuration's data, ready for training: records, sides, cached pixels."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import numpy.typing as npt

from hemo_core.bundle.contract import InputContract
from hemo_core.errors import DatasetError
from hemo_core.files import write_durably
from hemo_core.records import dumps, load
from hemo_trainer.config import SplitConfig, TrainConfig
from hemo_trainer.data.cache import pixels_key, readable_slices
from hemo_trainer.data.duplicates import (
    HASH,
    Twin,
    find_twins,
    hash_pictures,
    of_other_patients,
    patient_groups,
    with_group_mates,
)
from hemo_trainer.data.split import refuse_shared_pictures, split_hash, split_records
from hemo_trainer.datasets import (
    DataSource,
    SliceRecord,
    UnusableFile,
    by_series,
    fingerprint,
    read_dataset,
)
from hemo_trainer.datasets.layouts import named_sources
from hemo_trainer.datasets.reading import refuse
from hemo_trainer.datasets.record import Reference, Split, labels_key, other_findings
from hemo_trainer.datasets.thin import average_thin

Grey = npt.NDArray[np.uint8]
_Twins = tuple[Twin, ...]


@dataclass(frozen=True, slots=True, eq=False)
class TrainingData:
    """All labelled slices of a run.

    Attributes:
        records: every slice; rows of ``pixels``.
        pixels: uint8 ``(records, H, W, C)``, memory-mapped.
        sides: records of each side.
        row_of: the row of each slice, by its ``reference``.
        train_only: names of sources that must never be scored.
        fingerprint, split_hash: sha256 of the data and of the split.
        labels_key: changes with any label of any finding.
        pixels_key: changes with the pixels, see :func:`hemo_trainer.data.cache.pixels_key`.
        groups: the group of each patient that shares pictures with another, by patient key.
        skipped: files that were left out because the configuration says so.
    """

    records: tuple[SliceRecord, ...]
    pixels: Grey
    sides: dict[Split, list[SliceRecord]]
    row_of: dict[Reference, int]
    train_only: frozenset[str]
    fingerprint: str
    labels_key: str
    split_hash: str
    pixels_key: str
    groups: Mapping[str, str] = field(default_factory=dict)
    skipped: tuple[UnusableFile, ...] = ()

    def rows(self, side: Split) -> list[int]:
        """Rows of one side whose slices were read, each by itself; exams read as a whole teach nothing about slices."""
        return [self.row_of[record.reference] for record in self.sides[side] if record.exam_label is None]

    def learned_beside(self, findings: Sequence[str]) -> int:
        """How many findings the labels tell of that are none of these."""
        return len(set(other_findings(self.records)) - set(findings))

    @property
    def unscored(self) -> frozenset[str]:
        """Patient keys of the sources that are for training only."""
        return frozenset(record.patient_key for record in self.records if record.source in self.train_only)

    def scored_series(self, side: Split) -> dict[str, list[tuple[SliceRecord, ...]]]:
        """Series of one side by source, without sources that are for training only."""
        series = by_series(record for record in self.sides[side] if record.source not in self.train_only)
        names = sorted({records[0].source for records in series})
        return {name: [records for records in series if records[0].source == name] for name in names}

    def pixels_of(self, record: SliceRecord) -> Grey:
        """Model input of one of the records, uint8 ``(H, W, C)``."""
        return np.asarray(self.pixels[self.row_of[record.reference]])


def load_data(config: TrainConfig, contract: InputContract, cache: Path) -> TrainingData:
    """Everything that a configuration names, for training. Raises as :func:`load_sources` does."""
    return load_sources(
        config.sources, config.split, contract, cache, findings=config.findings, needed=("train", "val")
    )


def load_sources(
    sources: Sequence[DataSource],
    split: SplitConfig,
    contract: InputContract,
    cache: Path,
    *,
    findings: Sequence[str] = (),
    needed: Sequence[Split] = (),
) -> TrainingData:
    """Read every source, split by patient, preprocess (or find it done) for ``contract``.

    Args:
        sources: what to read.
        split: how patients without a published side are dealt out.
        contract: the model's input contract.
        cache: folder of preprocessed slices.
        findings: that are wanted, the primary one first; see :func:`~hemo_trainer.datasets.read_dataset`.
        needed: sides that must hold a slice or an exam with a label.

    Raises:
        DatasetError: a source is unusable, files are missing or unreadable, or a side that is needed is empty.
        PatientLeak: a patient, or a picture under two patients' names, is on two sides.
    """
    sources = named_sources(sources)
    listed, missing = _listed(sources, findings, contract, cache)
    split_records(listed, split)  # a leak by name is told before anything is decoded
    may_skip = frozenset(source.name for source in sources if source.skip_unreadable)
    records, pixels, unreadable = readable_slices(listed, contract, cache, may_skip)
    key = pixels_key(records, contract, cache)
    twins = cached_twins(records, pixels, cache / f"twins-{HASH}-{_owners_key(records, key)}.json")
    groups = patient_groups(records, twins)
    sides = split_records(records, split, groups)
    refuse_shared_pictures(sides, records, twins)
    for side in needed:
        if not any((record.label, record.exam_label) != (None, None) for record in sides[side]):
            raise DatasetError(f"no patient with a label is on the {side} side", hint="add patients or change [split]")
    return TrainingData(
        tuple(records),
        pixels,
        sides,
        {record.reference: row for row, record in enumerate(records)},
        frozenset(source.name for source in sources if source.train_only),
        fingerprint(records),
        labels_key(records),
        split_hash(sides),
        key,
        groups,
        (*missing, *unreadable),
    )


def cached_twins(records: Sequence[SliceRecord], pixels: Grey, path: Path) -> list[Twin]:
    """Pictures that two patients share, found in ``path`` or looked for and written there."""
    if path.is_file():
        return list(load(_Twins, path.read_bytes(), error=DatasetError, path=path))
    twins = of_other_patients(records, list(find_twins(hash_pictures(pixels))))
    write_durably(path, dumps(twins))
    return twins


def _owners_key(records: Sequence[SliceRecord], key: str) -> str:
    """Names what is known of pixels and of the patients they belong to."""
    owners = [record.patient_key for record in records]
    return hashlib.sha256(json.dumps([key, owners]).encode()).hexdigest()[:16]


def _listed(
    sources: Sequence[DataSource], findings: Sequence[str], contract: InputContract, cache: Path
) -> tuple[list[SliceRecord], list[UnusableFile]]:
    """Records of all sources, thin series averaged, and the problems of sources that may leave files out."""
    readings = [(source, read_dataset(source, cache, findings)) for source in sources]
    refuse([one for source, reading in readings if not source.skip_unreadable for one in reading.problems])
    records = [record for _, reading in readings for record in reading.records]
    problems = [one for _, reading in readings for one in reading.problems]
    return average_thin(records, contract.slice_spacing_mm), problems


def training_rows(data: TrainingData, excluded: frozenset[str]) -> list[int]:
    """Rows of slices read each by itself, without those of ``excluded`` and of who shares a picture with them."""
    excluded = with_group_mates(excluded, data.groups)
    return [
        row
        for row, record in enumerate(data.records)
        if record.patient_key not in excluded and record.exam_label is None
    ]


def dropped_patients(data: TrainingData, excluded: frozenset[str], share: float) -> frozenset[str]:
    """Patients outside ``excluded`` that a fold does without, so that ``share`` of them remain.

    Positive and other patients of each source are thinned out alike. Who remains
    at a smaller share remains at a larger.
    """
    positive = {record.patient_key for record in data.records if record.label}
    strata: dict[tuple[str, bool], set[str]] = {}
    for record in data.records:
        key = record.patient_key
        if key not in excluded and record.source not in data.train_only:
            strata.setdefault((record.source, key in positive), set()).add(key)
    dropped: set[str] = set()
    for patients in strata.values():
        order = sorted(patients, key=lambda key: hashlib.sha256(key.encode()).digest())
        dropped.update(order[max(1, round(share * len(order))) :])
    return frozenset(dropped)
