"""Who a fold trains on."""

from __future__ import annotations

import hashlib

from hemo_trainer.data.duplicates import with_group_mates
from hemo_trainer.data.prepared import TrainingData


def training_rows(data: TrainingData, away: frozenset[str]) -> list[int]:
    """Rows of every slice that was read by itself, but for those of ``away`` and of who shares a picture with them."""
    away = with_group_mates(away, data.groups)
    return [
        row for row, record in enumerate(data.records) if record.patient_key not in away and record.exam_label is None
    ]


def left_out(data: TrainingData, away: frozenset[str], share: float) -> frozenset[str]:
    """Patients outside ``away`` that a fold does without, so that ``share`` of them remain.

    Bleeding and other patients of each source are thinned out alike. Who remains
    at a smaller share remains at a larger.
    """
    bleeding = {record.patient_key for record in data.records if record.label and record.certain}
    strata: dict[tuple[str, bool], set[str]] = {}
    for record in data.records:
        key = record.patient_key
        if key not in away and record.source not in data.train_only:
            strata.setdefault((record.source, key in bleeding), set()).add(key)
    dropped: set[str] = set()
    for patients in strata.values():
        order = sorted(patients, key=lambda key: hashlib.sha256(key.encode()).digest())
        dropped.update(order[max(1, round(share * len(order))) :])
    return frozenset(dropped)
