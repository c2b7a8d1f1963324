"""Preprocessed slices in one memory-mapped array, so that an epoch never decodes a picture twice."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt

from hemo_core.bundle.contract import InputContract
from hemo_core.errors import DatasetError, HemoError
from hemo_core.records import encode
from hemo_core.scans.preprocess import Prepared
from hemo_trainer.data.pictures import prepare_record, read_pictures
from hemo_trainer.datasets.reading import UnusableFile, refuse
from hemo_trainer.datasets.record import SliceRecord, fingerprint

Grey = npt.NDArray[np.uint8]


def cached_slices(records: Sequence[SliceRecord], contract: InputContract, folder: Path) -> Grey:
    """Model input of every record, uint8 ``(len(records), H, W, C)``, memory-mapped from ``folder``.

    Raises:
        DatasetError: pictures cannot be decoded; all are named.
    """
    array, problems = _array(records, contract, folder)
    refuse(list(problems.values()))
    return array


def readable_slices(
    records: Sequence[SliceRecord], contract: InputContract, folder: Path, may_skip: frozenset[str]
) -> tuple[list[SliceRecord], Grey, list[UnusableFile]]:
    """Records whose pixels can be read, these pixels as :func:`cached_slices` gives them, and what was left out.

    Args:
        records: of all sources.
        contract: the model's input contract.
        folder: of the cache.
        may_skip: names of the sources whose unreadable pictures may be left out.

    Raises:
        DatasetError: pictures of other sources cannot be decoded; all are named.
    """
    noted = folder / f"skipped-{cache_key(records, contract)}.json"
    skipped = {int(row): UnusableFile(**found) for row, found in _noted(noted).items()}
    if not skipped:
        array, skipped = _array(records, contract, folder)
        refuse([problem for row, problem in skipped.items() if records[row].source not in may_skip])
        if not skipped:
            return list(records), array, []
        noted.write_text(json.dumps({row: problem.to_json() for row, problem in skipped.items()}), encoding="utf-8")
    kept = [record for row, record in enumerate(records) if row not in skipped]
    return kept, cached_slices(kept, contract, folder), list(skipped.values())


def cache_key(records: Sequence[SliceRecord], contract: InputContract) -> str:
    """Names the array: changes with the data and with the contract."""
    return hashlib.sha256(json.dumps([fingerprint(records), encode(contract)]).encode()).hexdigest()[:16]


def prepared_picture(path: Path, contract: InputContract) -> Prepared:
    """One picture file, prepared as the worker would. Raises DatasetError if it cannot be decoded."""
    try:
        return prepare_record(SliceRecord("", "", 0, path, 0), contract)
    except HemoError as error:
        raise DatasetError(f"picture cannot be decoded: {error.message}", path=str(path)) from error


def _noted(path: Path) -> dict[str, dict[str, str]]:
    return dict(json.loads(path.read_text(encoding="utf-8"))) if path.is_file() else {}


def _array(
    records: Sequence[SliceRecord], contract: InputContract, folder: Path
) -> tuple[Grey, dict[int, UnusableFile]]:
    """The array, found or made; kept only if no row has a problem."""
    path = folder / f"slices-{cache_key(records, contract)}.npy"
    problems: dict[int, UnusableFile] = {}
    if not path.is_file():
        folder.mkdir(parents=True, exist_ok=True)
        partial = path.with_suffix(f".{os.getpid()}.tmp")
        shape = (len(records), contract.height, contract.width, contract.channels)
        array = np.lib.format.open_memmap(partial, mode="w+", dtype=np.uint8, shape=shape)
        for rows in read_pictures(records, contract):
            for row, pixels in rows:
                if isinstance(pixels, UnusableFile):
                    problems[row] = pixels
                else:
                    array[row] = pixels
        array.flush()
        if problems:
            partial.unlink()
            return array, dict(sorted(problems.items()))
        partial.replace(path)
    return np.lib.format.open_memmap(path, mode="r"), problems
