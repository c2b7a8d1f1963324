"""Pictures that are the same, found by a perceptual hash of the model's input.

The skull is brought upright, to one place and one size; of a 64 × 64 cosine transform (Zauner, "Implementation and
benchmarking of perceptual image hash functions", 2010) the signs of every second coefficient with 12 ≤ u + v < 36 are
kept. The usual hash, the lowest 8 × 8 or 16 × 16 coefficients against their median, does not do for heads: all of them
share these. What was measured is in docs/datasets.md.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache

import cv2
import numpy as np
import numpy.typing as npt

from hemo_trainer.datasets.record import SliceRecord

Grey = npt.NDArray[np.uint8]
Packed = npt.NDArray[np.uint8]

HASH = "skull-dct64-12-36"
SAME_PICTURE = 18
"""Bits of difference up to which two pictures are taken to be the same."""
REPEATED = 4
"""The same within a series, where neighbours are alike."""

_SIDE, _FIRST, _LAST, _STEP = 64, 12, 36, 2
_BONE = 0.85
_RADII = 2.35
_SMOOTH_FROM = 1.2
_TISSUE = (40, 215)
_LEAST_TISSUE = 0.08
_LEAST_CONTRAST = 20.0
_BLOCK = 2048


@dataclass(frozen=True, slots=True, eq=False)
class Hashes:
    """Hashes of pictures.

    Attributes:
        bits: uint8 ``(n, 37)``, packed.
        telling: bool ``(n,)``; False for a picture that shows too little to be told from others: nothing at all, or the
            very top of a skull.
    """

    bits: Packed
    telling: npt.NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Twin:
    """Two pictures that are the same: rows, and bits of difference."""

    one: int
    other: int
    bits: int


def hash_pictures(pixels: Grey | Sequence[Grey]) -> Hashes:
    """Hash model input, uint8 ``(n, H, W, C)``; the first channel counts."""
    places = _places()
    packed = np.zeros((len(pixels), (len(places) + 7) // 8), np.uint8)
    telling = np.zeros(len(pixels), np.bool_)
    for row, picture in enumerate(pixels):
        grey = np.ascontiguousarray(picture[..., 0])
        packed[row], telling[row] = _hash(grey, places), _is_telling(grey)
    return Hashes(packed, telling)


def find_twins(one: Hashes, other: Hashes | None = None, *, limit: int = SAME_PICTURE) -> Iterator[Twin]:
    """Pairs of telling pictures that differ in no more than ``limit`` bits.

    Args:
        one: pictures.
        other: compared with these; ``one`` with itself if None, each pair once.
        limit: bits.
    """
    rows, columns = np.flatnonzero(one.telling), np.flatnonzero((other or one).telling)
    left, right = one.bits[rows], (other or one).bits[columns]
    for top in range(0, len(rows), _BLOCK):
        for start in range(top if other is None else 0, len(columns), _BLOCK):
            distance = _distances(left[top : top + _BLOCK], right[start : start + _BLOCK])
            for row, column in np.argwhere(distance <= limit):
                first, second = int(rows[top + row]), int(columns[start + column])
                if other is not None or first < second:
                    yield Twin(first, second, int(distance[row, column]))


def patient_groups(records: Sequence[SliceRecord], twins: Sequence[Twin]) -> dict[str, str]:
    """The group of each patient that shares a picture with another: patients of one group stay on one side.

    Returns:
        Patient key → smallest patient key of its group; patients on their own are left out.
    """
    parent: dict[str, str] = {}

    def root(patient: str) -> str:
        while parent.setdefault(patient, patient) != patient:
            patient = parent[patient]
        return patient

    for twin in twins:
        one, other = root(records[twin.one].patient_key), root(records[twin.other].patient_key)
        parent[max(one, other)] = min(one, other)
    groups = {patient: root(patient) for patient in parent}
    shared = {name for patient, name in groups.items() if patient != name}
    return {patient: name for patient, name in groups.items() if name in shared}


def with_group_mates(patients: frozenset[str], groups: Mapping[str, str]) -> frozenset[str]:
    """These patient keys and those of everyone who shares a picture with one of them."""
    names = {groups[patient] for patient in patients if patient in groups}
    return patients | {patient for patient, name in groups.items() if name in names}


def of_other_patients(records: Sequence[SliceRecord], twins: Sequence[Twin]) -> list[Twin]:
    """Twins of two patients."""
    return [twin for twin in twins if records[twin.one].patient_key != records[twin.other].patient_key]


def describe_twin(twin: Twin, records: Sequence[SliceRecord], sides: Mapping[str, str] | None = None) -> str:
    """For people: whose pictures, which files, and on which sides."""
    parts = []
    for record in (records[twin.one], records[twin.other]):
        side = f" ({sides[record.patient_key]})" if sides else ""
        place = "" if record.frame is None else f" slice {record.frame}"
        parts.append(f"{record.patient_key}{side} {record.path.name}{place}")
    return f"{parts[0]} = {parts[1]}"


@lru_cache(maxsize=1)
def _places() -> npt.NDArray[np.int64]:
    """Flat places of the coefficients that are used."""
    u, v = np.mgrid[:_SIDE, :_SIDE]
    inside = (u + v >= _FIRST) & (u + v < _LAST)
    return np.flatnonzero(inside)[::_STEP]


def _hash(grey: Grey, places: npt.NDArray[np.int64]) -> Packed:
    return np.packbits(cv2.dct(_upright(grey).astype(np.float32)).ravel()[places] > 0)


def _upright(grey: Grey) -> Grey:
    """The head ``(64, 64)`` with its skull centred, its long axis vertical, its size always the same.

    Bone is white in every brain window, so its outline is where it was after a change of window, size or border.
    """
    bone = np.asarray(grey >= _BONE * grey.max(), np.uint8)
    outlines, _ = cv2.findContours(bone, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
    skull = cv2.drawContours(np.zeros_like(bone), [max(outlines, key=cv2.contourArea)], -1, 1, cv2.FILLED)
    moments = cv2.moments(skull, binaryImage=True)
    x, y = moments["m10"] / moments["m00"], moments["m01"] / moments["m00"]
    wide, high, skewed = (moments[name] / moments["m00"] for name in ("mu20", "mu02", "mu11"))
    axis = 0.5 * np.arctan2(2 * skewed, wide - high)
    turn = axis - np.pi / 2 if axis > 0 else axis + np.pi / 2
    step = max(np.sqrt((wide + high) / 2), 1.0) * _RADII * 2 / _SIDE
    across, down, half = np.cos(turn) * step, np.sin(turn) * step, (_SIDE - 1) / 2
    matrix = np.array([[across, -down, x - (across - down) * half], [down, across, y - (down + across) * half]])
    smooth = cv2.GaussianBlur(grey, (0, 0), step / 2) if step > _SMOOTH_FROM else grey
    return np.asarray(cv2.warpAffine(smooth, matrix, (_SIDE, _SIDE), flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP))


def _is_telling(grey: Grey) -> bool:
    tissue = np.mean((grey > _TISSUE[0]) & (grey < _TISSUE[1]))
    return bool(tissue >= _LEAST_TISSUE and grey.std() >= _LEAST_CONTRAST)


def _distances(one: Packed, other: Packed) -> npt.NDArray[np.int64]:
    """Hamming distances ``(n, m)``: for signs ±1 the product is bits − 2 · distance."""
    signs = [np.unpackbits(bits, axis=1).astype(np.float32) * 2 - 1 for bits in (one, other)]
    bits = signs[0].shape[1]
    return np.asarray(np.rint((bits - signs[0] @ signs[1].T) / 2), np.int64)
