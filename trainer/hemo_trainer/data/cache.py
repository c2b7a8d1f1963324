"""Preprocessed slices in one memory-mapped array, so that an epoch never decodes a picture twice."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt

from hemo_core.bundle.contract import InputContract
from hemo_core.errors import DatasetError, HemoError
from hemo_core.files import replacing_path, write_durably
from hemo_core.records import dumps, encode, load
from hemo_core.scans.preprocess import VERSION, Prepared
from hemo_trainer.data.pictures import prepare_record, read_pictures
from hemo_trainer.datasets.reading import UnusableFile, refuse
from hemo_trainer.datasets.record import SliceRecord

Grey = npt.NDArray[np.uint8]
_Skipped = tuple[tuple[int, UnusableFile], ...]
_Known = dict[str, tuple[int, int, int, str]]
_DIGESTS = "digests.json"


def cached_slices(records: Sequence[SliceRecord], contract: InputContract, folder: Path) -> Grey:
    """Model input of every record, uint8 ``(len(records), H, W, C)``, memory-mapped from ``folder``.

    Raises:
        DatasetError: pictures cannot be decoded; all are named.
    """
    try:
        return _array(records, contract, folder)
    except _UndecodedError as undecoded:
        refuse(list(undecoded.problems.values()))
        raise


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
    noted = folder / f"skipped-{pixels_key(records, contract, folder)}.json"
    skipped = dict(load(_Skipped, noted.read_bytes(), error=DatasetError, path=noted) if noted.is_file() else ())
    if not skipped:
        try:
            return list(records), _array(records, contract, folder), []
        except _UndecodedError as undecoded:
            skipped = undecoded.problems
        refuse([problem for row, problem in skipped.items() if records[row].source not in may_skip])
        write_durably(noted, dumps(tuple(skipped.items())))
    kept = [record for row, record in enumerate(records) if row not in skipped]
    return kept, cached_slices(kept, contract, folder), list(skipped.values())


def pixels_key(records: Sequence[SliceRecord], contract: InputContract, folder: Path) -> str:
    """Names the array: changes with the bytes of the files, their order, the contract, and how pixels are prepared.

    Who the patients are and what is labelled is no part of it.
    """
    digests = _file_digests({path for record in records for path, _ in record.made_of}, folder)
    rows = [
        ([(digests[path], frame) for path, frame in record.made_of], record.spacing_mm if record.averaged else None)
        for record in records
    ]
    made_by = [VERSION, cv2.__version__, encode(contract)]
    return hashlib.sha256(json.dumps([made_by, rows]).encode()).hexdigest()[:16]


def prepared_picture(path: Path, contract: InputContract) -> Prepared:
    """One picture file, prepared as the worker would. Raises DatasetError if it cannot be decoded."""
    try:
        return prepare_record(SliceRecord("", "", 0, path, {}), contract)
    except HemoError as error:
        raise DatasetError(f"picture cannot be decoded: {error.message}", path=str(path)) from error


def _file_digests(paths: Iterable[Path], folder: Path) -> dict[Path, str]:
    """sha256 of each file's bytes, empty where they cannot be read.

    ``folder`` remembers them for as long as size and both times of a file stay the same: no program can set the time of
    a file's last change (``st_ctime``) back.
    """
    memory = folder / _DIGESTS
    known = load(_Known, memory.read_bytes(), error=DatasetError, path=memory) if memory.is_file() else {}
    with ThreadPoolExecutor(os.cpu_count(), thread_name_prefix="digest") as pool:
        found = dict(pool.map(lambda path: (str(path), _digested(path, known.get(str(path)))), paths))
    if any(known.get(name) != one for name, one in found.items()):
        folder.mkdir(parents=True, exist_ok=True)
        write_durably(memory, dumps(known | found))
    return {Path(name): digest for name, (*_, digest) in found.items()}


def _digested(path: Path, known: tuple[int, int, int, str] | None) -> tuple[int, int, int, str]:
    try:
        with path.open("rb") as file:
            state = os.fstat(file.fileno())
            now = (state.st_size, state.st_mtime_ns, state.st_ctime_ns)
            return known if known and known[:3] == now else (*now, hashlib.file_digest(file, "sha256").hexdigest())
    except OSError:
        return 0, 0, 0, ""


class _UndecodedError(Exception):
    """Rows of an array that is not kept for it, with what is wrong with each."""

    def __init__(self, problems: dict[int, UnusableFile]) -> None:
        super().__init__(len(problems))
        self.problems = problems


def _array(records: Sequence[SliceRecord], contract: InputContract, folder: Path) -> Grey:
    """The array, found or made. Raises _UndecodedError."""
    path = folder / f"slices-{pixels_key(records, contract, folder)}.npy"
    problems: dict[int, UnusableFile] = {}
    if not path.is_file():
        shape = (len(records), contract.height, contract.width, contract.channels)
        with replacing_path(path) as partial:
            array = np.lib.format.open_memmap(partial, mode="w+", dtype=np.uint8, shape=shape)
            for rows in read_pictures(records, contract):
                for row, pixels in rows:
                    if isinstance(pixels, UnusableFile):
                        problems[row] = pixels
                    else:
                        array[row] = pixels
            array.flush()
            if problems:
                raise _UndecodedError(dict(sorted(problems.items())))
    return np.lib.format.open_memmap(path, mode="r")
