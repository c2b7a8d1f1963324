"""Patient-disjoint splits. Slices of one patient never stand on two sides."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence

from hemo_core.errors import PatientLeak
from hemo_trainer.config import SplitConfig
from hemo_trainer.datasets.record import SliceRecord, Split
from hemo_trainer.folds import k_folds

__all__ = ["Sides", "k_folds", "refuse_leaks", "split_hash", "split_records"]

Sides = Mapping[Split, list[SliceRecord]]


def split_records(records: Sequence[SliceRecord], config: SplitConfig) -> dict[Split, list[SliceRecord]]:
    """Assign each patient to a side: the published one, else by a hash of source and patient.

    Raises:
        PatientLeak: the published split puts one patient on two sides.
    """
    sides: dict[Split, list[SliceRecord]] = {"train": [], "val": [], "test": []}
    for record in records:
        sides[record.split or _hashed(record.patient_key, config)].append(record)
    refuse_leaks(sides)
    return sides


def refuse_leaks(sides: Sides) -> None:
    """Raise PatientLeak, naming them, if any patient stands on more than one side."""
    seen: dict[str, Split] = {}
    for side, records in sides.items():
        for record in records:
            other = seen.setdefault(record.patient_key, side)
            if other != side:
                raise PatientLeak(
                    f"patient {record.patient_key} is in {other} and in {side}",
                    path=str(record.path),
                    hint="one patient belongs to one side; otherwise every score is inflated",
                )


def split_hash(sides: Sides) -> str:
    """sha256 over the patients of each side: two runs with the same hash were split alike."""
    digest = hashlib.sha256()
    for side in sorted(sides):
        patients = sorted({record.patient_key for record in sides[side]})
        digest.update(f"{side}:{','.join(patients)};".encode())
    return digest.hexdigest()


def _hashed(patient: str, config: SplitConfig) -> Split:
    number = int.from_bytes(hashlib.sha256(f"{config.salt}:{patient}".encode()).digest()[:8], "big") / 2**64
    if number < config.test:
        return "test"
    return "val" if number < config.test + config.val else "train"
