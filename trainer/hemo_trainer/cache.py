"""Preprocessed slices in one memory-mapped array, so that an epoch never decodes a picture twice."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt

from hemo_core.contract import InputContract
from hemo_core.errors import DatasetError
from hemo_core.preprocess import Prepared, prepare
from hemo_core.scan import Geometry, Scan, ScanRef, Slice
from hemo_trainer.datasets.record import SliceRecord, fingerprint

Grey = npt.NDArray[np.uint8]


def cached_slices(records: Sequence[SliceRecord], contract: InputContract, folder: Path) -> Grey:
    """Model input of every record, uint8 ``(len(records), H, W, C)``, memory-mapped from ``folder``.

    Raises:
        DatasetError: a picture cannot be decoded.
    """
    key = hashlib.sha256(json.dumps([fingerprint(records), contract.to_json()]).encode()).hexdigest()[:16]
    path = folder / f"slices-{key}.npy"
    if not path.is_file():
        folder.mkdir(parents=True, exist_ok=True)
        partial = path.with_suffix(f".{os.getpid()}.tmp")
        shape = (len(records), contract.height, contract.width, contract.channels)
        array = np.lib.format.open_memmap(partial, mode="w+", dtype=np.uint8, shape=shape)
        with ThreadPoolExecutor(os.cpu_count()) as pool:
            for row, pixels in enumerate(pool.map(lambda record: load_slice(record.path, contract), records)):
                array[row] = pixels
        array.flush()
        partial.replace(path)
    return np.lib.format.open_memmap(path, mode="r")


def load_slice(path: Path, contract: InputContract) -> Grey:
    """One picture file as model input, uint8 ``(H, W, C)``. Raises DatasetError if it cannot be decoded."""
    return np.asarray(prepared_picture(path, contract).pixels[0], np.uint8)


def prepared_picture(path: Path, contract: InputContract) -> Prepared:
    """One picture file, prepared as the worker would. Raises DatasetError if it cannot be decoded."""
    grey = cv2.imread(str(path), cv2.IMREAD_GRAYSCALE)
    if grey is None:
        raise DatasetError("picture cannot be decoded", path=str(path))
    ref = ScanRef(scan_id="", root="", path=path.name, files=(path.name,), kind="image")
    scan = Scan(ref, (Slice(np.asarray(grey, np.uint8), path.name),), "grey8", Geometry(order_from="single"))
    return prepare(scan, contract)
