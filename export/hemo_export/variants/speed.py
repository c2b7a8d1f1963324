"""How fast a bundle's precisions score on this machine, and how much memory a process needs for it."""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import time
from collections.abc import Sequence
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from hemo_core.bundle import Bundle
from hemo_core.bundle.manifest import Precision
from hemo_core.errors import ExportError
from hemo_core.inference.session import Device, Engine

Float: TypeAlias = npt.NDArray[np.float32]

BATCHES = (1, 8, 32)
_ROUNDS = (3, 9)  # at least and at most
_BUDGET_S = 2.0  # for one batch size, all precisions together
_CHILD_S = 120.0


def time_precisions(
    bundle: Bundle, precisions: Sequence[Precision], *, device: Device = "cpu"
) -> dict[Precision, dict[str, Any]]:
    """Measure several precisions in turns, so that whatever else the machine does meets all of them.

    Timed is what a slice costs from picture to logit: the CNN on a batch, then the recurrent half on it as one scan.

    Args:
        bundle: holds the graphs.
        precisions: what to measure, each with as many threads as cores.
        device: what a bundle records is measured on the CPU.

    Returns:
        For each precision ``ms_per_slice`` by batch size, the median of at least three rounds;
        ``peak_mebibytes``, the peak resident memory of a process that does nothing else (Python and onnxruntime
        included); ``provider``; ``threads``; ``rounds``.

    Raises:
        PrecisionRefused: the bundle does not hold one of them for this device.
        DeviceError: the device did not come up.
        ExportError: the process whose memory is measured failed.
    """
    threads = os.cpu_count() or 1
    spent: dict[Precision, dict[str, float]] = {precision: {} for precision in precisions}
    rounds: dict[str, int] = {}
    for batch in BATCHES:
        engines = {
            precision: Engine(bundle, device=device, threads=threads, batch=batch, precision=precision)
            for precision in precisions
        }
        times = _in_turns(engines, _slices(bundle, batch))
        rounds[str(batch)] = len(next(iter(times.values())))
        for precision, seconds in times.items():
            spent[precision][str(batch)] = round(1e3 * statistics.median(seconds) / batch, 3)
    return {
        precision: {
            "ms_per_slice": spent[precision],
            "peak_mebibytes": peak_mebibytes(bundle, precision, device=device),
            "provider": engines[precision].provider,
            "threads": threads,
            "rounds": rounds,
        }
        for precision in precisions
    }


def time_precision(bundle: Bundle, precision: Precision) -> dict[str, Any]:
    """:func:`time_precisions` of one precision. To compare precisions, measure them together."""
    return time_precisions(bundle, (precision,))[precision]


def peak_mebibytes(bundle: Bundle, precision: Precision, *, device: Device = "cpu") -> int:
    """Peak resident memory of a fresh process that scores the largest batch once, MiB.

    Raises:
        ExportError: the process failed.
    """
    command = [
        sys.executable,
        "-m",
        "hemo_export.variants.memory",
        str(bundle.path),
        precision,
        device,
        str(max(BATCHES)),
    ]
    ran = subprocess.run(command, capture_output=True, text=True, timeout=_CHILD_S, check=False)
    if ran.returncode != 0:
        raise ExportError(f"its memory cannot be measured: {ran.stderr.strip()[-300:]}", path=str(bundle.path))
    return round(int(ran.stdout) / 2**20)


def score_batch(engine: Engine, slices: Float) -> None:
    """What is timed: ``(n, H, W, C)`` → logits."""
    engine.sequence(engine.cnn(slices).embeddings)


def _in_turns(engines: dict[Precision, Engine], slices: Float) -> dict[Precision, list[float]]:
    """Seconds of each round, beginning with another precision each time; one round before them is not counted."""
    for engine in engines.values():
        score_batch(engine, slices)
    found: dict[Precision, list[float]] = {precision: [] for precision in engines}
    order, until = list(engines), time.perf_counter() + _BUDGET_S
    for number in range(_ROUNDS[1]):
        if number >= _ROUNDS[0] and time.perf_counter() > until:
            break
        first = number % len(order)
        for precision in (*order[first:], *order[:first]):
            start = time.perf_counter()
            score_batch(engines[precision], slices)
            found[precision].append(time.perf_counter() - start)
    return found


def _slices(bundle: Bundle, count: int) -> Float:
    """Noise: a convolution takes as long on it as on a head."""
    shape = (count, bundle.input.height, bundle.input.width, bundle.input.channels)
    return np.random.default_rng(0).random(shape, np.float32)
