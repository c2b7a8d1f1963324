"""What a model was trained on, kept with it, so that nobody measures it on its own training data.

Patients are kept as the first 48 bits of a sha256 of their key (source and patient), pictures as perceptual hashes:
neither shows who was scanned, both tell whether a patient or a picture is the same.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from hemo_core.errors import BundleSchema, PatientLeak
from hemo_core.records import decode
from hemo_core.training_run import PatientMarks, PictureMarks, TrainedOn
from hemo_trainer.data.duplicates import HASH, Hashes, find_twins, hash_pictures
from hemo_trainer.datasets.record import SliceRecord, by_series

Grey = npt.NDArray[np.uint8]
PixelsOf = Callable[[SliceRecord], Grey]

_PREFIX = 12
_PER_SERIES = 12
_NAMED = 20


@dataclass(frozen=True, slots=True)
class LeakCheck:
    """What data was compared with, where no leak was found.

    Attributes:
        recorded: whether the model knows what it was trained on; models of version 0.1 do not.
        patients: training patients that the data was compared with.
        pictures: training pictures that the data was compared with; 0 if another version of the hash made their marks.
        compared: pictures of the data that show enough to be compared.
    """

    recorded: bool
    patients: int = 0
    pictures: int = 0
    compared: int = 0


def training_marks(records: Sequence[SliceRecord], pixels_of: PixelsOf) -> TrainedOn:
    """What to keep of the slices that a model was trained on, for ``run.json`` under ``data.trained_on``.

    Args:
        records: all of them, of whatever source.
        pixels_of: model input of a record, uint8 ``(H, W, C)``.

    Returns:
        Patients, and pictures: up to twelve telling slices of each series.
    """
    patients = sorted({_mark(record.patient_key) for record in records})
    chosen = [hashes for series in by_series(records) if len(hashes := _spread(series, pixels_of))]
    packed = np.concatenate(chosen) if chosen else np.zeros((0, 0), np.uint8)
    pictures = PictureMarks(HASH, len(packed), base64.b64encode(packed.tobytes()).decode("ascii"))
    return TrainedOn(PatientMarks(len(patients), "".join(patients)), pictures)


def refuse_training_data(
    bundle_manifest: Mapping[str, Any], records: Sequence[SliceRecord], pixels_of: PixelsOf
) -> LeakCheck:
    """Refuse to measure a model on patients or pictures that it was trained on.

    Args:
        bundle_manifest: ``bundle.json``, or a run's ``run.json``.
        records: what is to be scored.
        pixels_of: model input of a record, for the bundle's input contract.

    Returns:
        What was compared; ``recorded`` is False if the model does not say what it was trained on.

    Raises:
        PatientLeak: names the patients and the pictures.
        BundleSchema: the model's record of its training is malformed.
    """
    marks = _marks_of(bundle_manifest)
    if marks is None:
        return LeakCheck(recorded=False)
    known = _known_patients(marks)
    by_name = sorted({record.patient_key for record in records if _mark(record.patient_key) in known})
    trained = _known_pictures(marks)
    hashes = hash_pictures([pixels_of(record) for record in records])
    seen = {twin.one for twin in find_twins(hashes, trained)}
    by_picture = [records[row] for row in sorted(seen) if records[row].patient_key not in by_name]
    if by_name or by_picture:
        raise PatientLeak(
            "; ".join(_reasons(by_name, by_picture)),
            path=str(by_picture[0].path) if by_picture and not by_name else None,
            hint="score patients that the model has never seen: another side of the split, or other data",
        )
    return LeakCheck(recorded=True, patients=len(known), pictures=len(trained.bits), compared=int(hashes.telling.sum()))


def _reasons(by_name: Sequence[str], by_picture: Sequence[SliceRecord]) -> list[str]:
    reasons = []
    if by_name:
        reasons.append(f"the model was trained on {len(by_name)} of these patients: {_listed(by_name)}")
    if by_picture:
        names = [f"{record.patient_key} {record.path.name}" for record in by_picture]
        reasons.append(f"the model was trained on {len(names)} of these pictures under another name: {_listed(names)}")
    return reasons


def _listed(names: Sequence[str]) -> str:
    more = f" and {len(names) - _NAMED} more" if len(names) > _NAMED else ""
    return ", ".join(names[:_NAMED]) + more


def _mark(patient_key: str) -> str:
    return hashlib.sha256(patient_key.encode()).hexdigest()[:_PREFIX]


def _spread(series: Sequence[SliceRecord], pixels_of: PixelsOf) -> npt.NDArray[np.uint8]:
    """Hashes of telling slices, evenly over the series, ``(n, bytes)``."""
    hashes = hash_pictures([pixels_of(record) for record in series])
    telling = np.flatnonzero(hashes.telling)
    places = np.unique(np.linspace(0, len(telling) - 1, min(_PER_SERIES, len(telling))).round().astype(int))
    return np.asarray(hashes.bits[telling[places]], np.uint8)


def _marks_of(manifest: Mapping[str, Any]) -> TrainedOn | None:
    """A run keeps them under ``data``, a bundle its run's ``data`` under ``training``."""
    data = manifest.get("data") or manifest.get("training", {}).get("data", {})
    found = data.get("trained_on")
    return None if found is None else decode(TrainedOn, found, error=BundleSchema, what="record of what was trained on")


def _known_patients(marks: TrainedOn) -> frozenset[str]:
    prefixes = marks.patients.sha256_prefixes
    return frozenset(prefixes[place : place + _PREFIX] for place in range(0, len(prefixes), _PREFIX))


def _known_pictures(marks: TrainedOn) -> Hashes:
    """None of them, if another version hashed them in another way: then only patients can be compared."""
    count = marks.pictures.count if marks.pictures.hash == HASH else 0
    packed = np.frombuffer(base64.b64decode(marks.pictures.packed) if count else b"", np.uint8)
    packed = packed.reshape(count, -1 if count else 0)
    return Hashes(packed, np.ones(count, np.bool_))
