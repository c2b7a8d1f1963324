"""``python -m hemo_export.variants.memory BUNDLE PRECISION DEVICE BATCH``: score one batch, print its peak bytes.

A process of its own, because a peak cannot be taken back, and the exporter's own is TensorFlow's.
"""

from __future__ import annotations

import resource
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import cast

_STATUS = Path("/proc/self/status")


def main(arguments: Sequence[str]) -> None:
    """Score and print."""
    import numpy as np

    from hemo_core.bundle import open_bundle
    from hemo_core.bundle.manifest import Precision
    from hemo_core.inference.session import Device, Engine

    path, precision, device, batch = arguments
    bundle = open_bundle(Path(path))
    engine = Engine(
        bundle,
        device=cast("Device", device),
        batch=int(batch),
        precision=cast("Precision", precision),
    )
    shape = (int(batch), bundle.input.height, bundle.input.width, bundle.input.channels)
    engine.sequence(engine.cnn(np.zeros(shape, np.float32)).embeddings)
    sys.stdout.write(f"{peak_bytes()}\n")


def peak_bytes() -> int:
    """Peak resident memory of this process.

    Linux counts it anew for each program in ``/proc``; ``getrusage`` there begins with the peak of whoever started us.
    """
    if _STATUS.is_file():
        line = next(line for line in _STATUS.read_text("ascii").splitlines() if line.startswith("VmHWM:"))
        return int(line.split()[1]) * 1024
    used = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return used if sys.platform == "darwin" else used * 1024


if __name__ == "__main__":
    main(sys.argv[1:])
