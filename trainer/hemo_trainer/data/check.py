"""What a data set holds, what of it cannot be used, and which pictures it holds twice."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from hemo_core.bundle.contract import InputContract
from hemo_core.errors import PatientLeak
from hemo_trainer.config import SplitConfig, load_config
from hemo_trainer.data.duplicates import (
    REPEATED,
    Hashes,
    Twin,
    describe_twin,
    find_twins,
    hash_pictures,
    of_other_patients,
    patient_groups,
)
from hemo_trainer.data.pictures import read_pictures
from hemo_trainer.data.split import refuse_shared_pictures, split_records
from hemo_trainer.datasets import DataSource, SliceRecord, UnusableFile, by_series, read_dataset
from hemo_trainer.datasets.layouts import detect_source, named_sources
from hemo_trainer.datasets.record import exam_label, other_findings
from hemo_trainer.datasets.thin import average_thin

Progress = Callable[[int, int], None]


@dataclass(frozen=True, slots=True)
class FindingCounts:
    """Slices that show a further finding, and slices of which the source does not tell."""

    positive: int
    unknown: int


@dataclass(frozen=True, slots=True)
class SourceContents:
    """What a source holds; counts are of slices unless they say otherwise.

    Attributes:
        source: its name.
        patients: None where they are unknown.
        bleeding_patients: with a positive exam; None where there are none, or patients are unknown.
        series: that have several slices.
        single_slices: without a series.
        slices: all.
        positive, negative, uncertain: by their own label.
        in_exams_read_as_a_whole: which have none of their own.
        with_boxes, with_mask: in which the finding was drawn.
        subtypes: what else the labels tell of.
        published_split: by side.
    """

    source: str
    patients: int | None
    bleeding_patients: int | None
    series: int
    single_slices: int
    slices: int
    positive: int
    negative: int
    uncertain: int
    in_exams_read_as_a_whole: int
    with_boxes: int
    with_mask: int
    subtypes: dict[str, FindingCounts]
    published_split: dict[str, int]


@dataclass(frozen=True, slots=True)
class DatasetReport:
    """What :func:`check_data` found.

    Attributes:
        sources: what each source holds.
        problems: files that are missing or cannot be read.
        leaks: one sentence for each way in which the split puts one person on two sides.
        shared_pictures: pictures that two patients share; these patients are kept on one side.
        repeated_pictures: pictures that a series holds twice.
        groups: patients that share pictures.
        too_empty_to_compare: pictures that show too little to be compared.
    """

    sources: tuple[SourceContents, ...]
    problems: tuple[UnusableFile, ...] = ()
    leaks: tuple[str, ...] = ()
    shared_pictures: tuple[str, ...] = ()
    repeated_pictures: tuple[str, ...] = ()
    groups: tuple[tuple[str, ...], ...] = ()
    too_empty_to_compare: int = 0

    @property
    def ok(self) -> bool:
        """Whether training could start on all of it."""
        return not (self.problems or self.leaks)


def check_data(
    sources: Sequence[DataSource],
    split: SplitConfig,
    contract: InputContract,
    findings: Sequence[str] = (),
    progress: Progress | None = None,
) -> DatasetReport:
    """Read every picture of every source once, keep none.

    Args:
        sources: what to read.
        split: how patients without a published side would be dealt out.
        contract: pictures are compared as the model would see them.
        findings: that are wanted, the primary one first; see :func:`~hemo_trainer.datasets.read_dataset`.
        progress: called with (pictures read, pictures in all).

    Raises:
        DatasetError: a folder or table is missing or malformed.
        SettingsError: two sources have one name.
    """
    readings = [read_dataset(source, findings=findings) for source in named_sources(sources)]
    listed = average_thin([one for reading in readings for one in reading.records], contract.slice_spacing_mm)
    unreadable, found = _hashed(listed, contract, progress)
    kept = [row for row in range(len(listed)) if row not in unreadable]
    records = [listed[row] for row in kept]
    hashes = Hashes(found.bits[kept], found.telling[kept])
    twins = list(find_twins(hashes))
    shared = of_other_patients(records, twins)
    within = [twin for twin in twins if twin.bits <= REPEATED and twin not in set(shared)]
    groups = patient_groups(records, shared)
    return DatasetReport(
        tuple(count_source(records, name) for name in sorted({record.source for record in records})),
        tuple(problem for reading in readings for problem in reading.problems) + tuple(unreadable.values()),
        _leaks(records, split, shared, groups),
        tuple(describe_twin(twin, records) for twin in shared),
        tuple(describe_twin(twin, records) for twin in within),
        _grouped(groups),
        int((~hashes.telling).sum()),
    )


def count_source(records: Sequence[SliceRecord], source: str) -> SourceContents:
    """What a source holds, of the records of all sources."""
    mine = [record for record in records if record.source == source]
    series = by_series(mine)
    known = {record.patient for record in mine if not record.single}
    return SourceContents(
        source,
        patients=len(known) or None,
        bleeding_patients=len({one[0].patient for one in series if exam_label(one) and not one[0].single}) or None,
        series=sum(not one[0].single for one in series),
        single_slices=sum(record.single for record in mine),
        slices=len(mine),
        positive=sum(record.label == 1 for record in mine),
        negative=sum(record.label == 0 for record in mine),
        uncertain=sum(record.label is None and record.exam_label is None for record in mine),
        in_exams_read_as_a_whole=sum(record.exam_label is not None for record in mine),
        with_boxes=sum(bool(record.boxes) for record in mine),
        with_mask=sum(record.mask is not None for record in mine),
        subtypes={
            name: FindingCounts(
                sum(record.labels.get(name) == 1 for record in mine),
                sum(record.labels.get(name) is None for record in mine),
            )
            for name in other_findings(records)
        },
        published_split=dict(Counter(record.split for record in mine if record.split)),
    )


def _hashed(
    records: Sequence[SliceRecord], contract: InputContract, progress: Progress | None
) -> tuple[dict[int, UnusableFile], Hashes]:
    """Problems by row, and the hashes of all rows; that of a row with a problem means nothing."""
    width = hash_pictures(np.zeros((1, contract.height, contract.width, 1), np.uint8)).bits.shape[1]
    hashes = Hashes(np.zeros((len(records), width), np.uint8), np.zeros(len(records), np.bool_))
    problems: dict[int, UnusableFile] = {}
    done = 0
    for rows in read_pictures(records, contract):
        for row, pixels in rows:
            if isinstance(pixels, UnusableFile):
                problems[row] = pixels
            else:
                one = hash_pictures([pixels])
                hashes.bits[row], hashes.telling[row] = one.bits[0], one.telling[0]
        done += len(rows)
        if progress:
            progress(done, len(records))
    return dict(sorted(problems.items())), hashes


def _leaks(
    records: Sequence[SliceRecord], split: SplitConfig, shared: Sequence[Twin], groups: dict[str, str]
) -> tuple[str, ...]:
    try:
        refuse_shared_pictures(split_records(records, split, groups), records, shared)
    except PatientLeak as leak:
        return (leak.message,)
    return ()


def _grouped(groups: dict[str, str]) -> tuple[tuple[str, ...], ...]:
    members: defaultdict[str, list[str]] = defaultdict(list)
    for patient, name in groups.items():
        members[name].append(patient)
    return tuple(tuple(sorted(patients)) for _, patients in sorted(members.items()))


def sources_of(path: Path) -> tuple[tuple[DataSource, ...], SplitConfig, InputContract, tuple[str, ...]]:
    """What :func:`check_data` takes: of a TOML configuration, or the data at a path by itself.

    Raises:
        SettingsError, DatasetError: the configuration cannot be used, or no layout fits.
    """
    if path.suffix.lower() == ".toml":
        config = load_config(path)
        return config.sources, config.split, config.input, config.findings
    return (detect_source(path),), SplitConfig(), InputContract(), ()
