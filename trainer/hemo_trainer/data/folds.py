"""Folds for cross-validation: whole patients, balanced over sources and positives, the same on every machine."""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from hemo_core.errors import DatasetError, SettingsError
from hemo_trainer.datasets.record import SliceRecord

MIN_FOLDS = 3


@dataclass(frozen=True, slots=True)
class _Unit:
    """Patients that must stay together: one patient, or a group that shares pictures.

    Attributes:
        patients: their keys.
        positives: positive slices.
        stratum: sources, and whether any of them is positive.
    """

    patients: tuple[str, ...]
    positives: int
    stratum: tuple[str, bool]

    def mark(self, salt: str) -> bytes:
        """What orders units of like size."""
        return hashlib.sha256(f"{salt}:{','.join(self.patients)}".encode()).digest()


def k_folds(
    records: Sequence[SliceRecord], folds: int, *, salt: str = "hemo", groups: Mapping[str, str] | None = None
) -> tuple[frozenset[str], ...]:
    """Deal the patients of ``records`` out to folds.

    Within each stratum (source × positive patient) every fold gets the same number of patients, give or take one, and
    about the same number of positive slices.

    Args:
        records: slices of the patients that are to be scored; leave out those of sources that are for training only.
        folds: how many, at least three.
        salt: changes the assignment.
        groups: the group of a patient key; patients of one group stay together. A patient without one is on its own.

    Returns:
        The patient keys of each fold, disjoint.

    Raises:
        SettingsError: fewer than three folds.
        DatasetError: fewer patients (or groups) than folds.
    """
    if folds < MIN_FOLDS:
        raise SettingsError(
            f"{folds} folds are too few to judge by", hint=f"use {MIN_FOLDS} or more, five where it fits"
        )
    units = _units(records, groups or {})
    if len(units) < folds:
        raise DatasetError(f"{len(units)} patients cannot fill {folds} folds", hint="add patients or use fewer folds")
    dealt: list[list[_Unit]] = [[] for _ in range(folds)]
    for stratum in sorted({unit.stratum for unit in units}):
        _deal([unit for unit in units if unit.stratum == stratum], dealt, salt)
    return tuple(frozenset(patient for unit in fold for patient in unit.patients) for fold in dealt)


def _units(records: Sequence[SliceRecord], groups: Mapping[str, str]) -> list[_Unit]:
    members: defaultdict[str, list[SliceRecord]] = defaultdict(list)
    for record in records:
        members[groups.get(record.patient_key, record.patient_key)].append(record)
    return [_unit(rows) for rows in members.values()]


def _unit(rows: Sequence[SliceRecord]) -> _Unit:
    positives = sum(1 for row in rows if row.label)
    sources = "+".join(sorted({row.source for row in rows}))
    return _Unit(tuple(sorted({row.patient_key for row in rows})), positives, (sources, positives > 0))


def _deal(units: Sequence[_Unit], dealt: list[list[_Unit]], salt: str) -> None:
    """Deal one stratum out in rounds of one unit a fold, patients with the most positive slices first.

    Sizes are compared by powers of two, so that the salt still decides among patients of about the same size.
    """
    order = sorted(units, key=lambda unit: (-unit.positives.bit_length(), unit.mark(salt)))
    for first in range(0, len(order), len(dealt)):
        block = sorted(order[first : first + len(dealt)], key=lambda unit: -unit.positives)
        partial = len(block) < len(dealt)
        places = sorted(range(len(dealt)), key=lambda place: _load(dealt[place], place, salt, by_patients=partial))
        for unit, place in zip(block, places, strict=False):
            dealt[place].append(unit)


def _load(fold: Sequence[_Unit], place: int, salt: str, *, by_patients: bool) -> tuple[int, int, bytes]:
    """How full a fold is; an incomplete round goes by patients first, a complete one by positive slices."""
    patients = sum(len(unit.patients) for unit in fold)
    positives = sum(unit.positives for unit in fold)
    tie = hashlib.sha256(f"{salt}:fold {place}".encode()).digest()
    return (patients, positives, tie) if by_patients else (positives, patients, tie)
