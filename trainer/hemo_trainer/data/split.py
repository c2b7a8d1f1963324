"""Patient-disjoint splits. Slices of one patient, and of patients who share pictures, never stand on two sides."""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Mapping, Sequence

from hemo_core.errors import PatientLeak
from hemo_trainer.config import SplitConfig
from hemo_trainer.data.duplicates import Twin, describe_twin
from hemo_trainer.data.folds import k_folds
from hemo_trainer.datasets.record import SliceRecord, Split

__all__ = ["Sides", "k_folds", "refuse_leaks", "refuse_shared_pictures", "split_hash", "split_records"]

Sides = Mapping[Split, list[SliceRecord]]
_NAMED = 20


def split_records(
    records: Sequence[SliceRecord], config: SplitConfig, groups: Mapping[str, str] | None = None
) -> dict[Split, list[SliceRecord]]:
    """Assign each patient to a side: the published one, else by a hash of source and patient.

    Args:
        records: all slices.
        config: fractions and salt.
        groups: the group of a patient key, see :func:`hemo_trainer.data.duplicates.patient_groups`. A group goes where
            one of its patients was published to be, else by the hash of its name.

    Raises:
        PatientLeak: the published split puts one patient on two sides.
    """
    groups = groups or {}
    published: dict[str, Split] = {}
    for record in records:
        if record.split:
            published.setdefault(groups.get(record.patient_key, record.patient_key), record.split)
    sides: dict[Split, list[SliceRecord]] = {"train": [], "val": [], "test": []}
    for record in records:
        name = groups.get(record.patient_key, record.patient_key)
        sides[record.split or published.get(name) or _hashed(name, config)].append(record)
    refuse_leaks(sides)
    return sides


def refuse_leaks(sides: Sides) -> None:
    """Raise PatientLeak, naming them, if any patient stands on more than one side."""
    where: defaultdict[str, dict[Split, str]] = defaultdict(dict)
    for side, records in sides.items():
        for record in records:
            where[record.patient_key].setdefault(side, str(record.path))
    leaks = {patient: found for patient, found in where.items() if len(found) > 1}
    if leaks:
        lines = [f"patient {patient} is in {' and in '.join(found)}" for patient, found in sorted(leaks.items())]
        raise PatientLeak(
            _named(lines),
            path=next(iter(next(iter(leaks.values())).values())),
            hint="one patient belongs to one side; otherwise every score is inflated",
        )


def refuse_shared_pictures(sides: Sides, records: Sequence[SliceRecord], twins: Sequence[Twin]) -> None:
    """Raise PatientLeak, naming them, if the same picture stands on two sides under two patients' names.

    Args:
        sides: a split of ``records``.
        records: rows that ``twins`` speak of.
        twins: of different patients.
    """
    side_of: dict[str, str] = {record.patient_key: side for side, members in sides.items() for record in members}
    apart = [
        twin for twin in twins if side_of[records[twin.one].patient_key] != side_of[records[twin.other].patient_key]
    ]
    if apart:
        raise PatientLeak(
            f"the same picture is on two sides: {_named([describe_twin(twin, records, side_of) for twin in apart])}",
            path=str(records[apart[0].one].path),
            hint="put both patients on one side, or take one of them out",
        )


def split_hash(sides: Sides) -> str:
    """sha256 over the patients of each side: two runs with the same hash were split alike."""
    digest = hashlib.sha256()
    for side in sorted(sides):
        patients = sorted({record.patient_key for record in sides[side]})
        digest.update(f"{side}:{','.join(patients)};".encode())
    return digest.hexdigest()


def _named(lines: Sequence[str]) -> str:
    more = f"; and {len(lines) - _NAMED} more" if len(lines) > _NAMED else ""
    return "; ".join(lines[:_NAMED]) + more


def _hashed(patient: str, config: SplitConfig) -> Split:
    number = int.from_bytes(hashlib.sha256(f"{config.salt}:{patient}".encode()).digest()[:8], "big") / 2**64
    if number < config.test:
        return "test"
    return "val" if number < config.test + config.val else "train"
