"""What the exporter needs of a run's data: scans to compare precisions on, and slices to calibrate integers with.

Both hold pictures of patients: they stay in the run folder and never enter a bundle.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from hemo_trainer.data.prepared import TrainingData
from hemo_trainer.datasets.record import SliceRecord, by_series

PARITY, CALIBRATION = "parity.npz", "calibration.npz"
_SCANS, _SLICES, _SEED = 40, 512, 11


def write_export_data(data: TrainingData, out: Path) -> None:
    """Write ``parity.npz`` (scans of validation patients) and ``calibration.npz`` (training slices).

    ``parity.npz``: ``pixels`` uint8 ``(n, H, W, C)``, ``labels`` int8 ``(n,)`` with −1 where uncertain, ``scan`` int32
    ``(n,)``, the slices of each scan in order. ``calibration.npz``: ``pixels`` uint8 of at most 512 slices.
    """
    rng = np.random.default_rng(_SEED)
    series = by_series(record for record in data.sides["val"] if record.source not in data.train_only)
    chosen = [series[pick] for pick in rng.permutation(len(series))[:_SCANS]]
    slices = [record for records in chosen for record in records]
    scan = np.repeat(np.arange(len(chosen), dtype=np.int32), [len(records) for records in chosen])
    labels = np.array([-1 if record.label is None else record.label for record in slices], np.int8)
    np.savez_compressed(out / PARITY, pixels=_pixels(slices, data), labels=labels, scan=scan)
    rows = data.rows("train")
    picked = [data.records[rows[pick]] for pick in rng.permutation(len(rows))[:_SLICES]]
    np.savez_compressed(out / CALIBRATION, pixels=_pixels(picked, data))


def _pixels(records: Sequence[SliceRecord], data: TrainingData) -> np.ndarray[tuple[int, ...], np.dtype[np.uint8]]:
    return np.stack([data.pixels_of(record) for record in records])
