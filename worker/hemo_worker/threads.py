"""Few threads in each library, since a worker's own threads are its parallelism.

This module imports nothing that starts threads of its own: what it sets is read once, when numpy is imported.
"""

from __future__ import annotations

import os

_VARIABLES = ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "TF_NUM_INTEROP_THREADS")


def few_threads() -> None:
    """Keep libraries from starting a thread per core beside ours. Only works before they are imported.

    OpenBLAS's threads spin while they wait: they took a third of the CPU time of reading a scan.
    """
    for name in _VARIABLES:
        os.environ.setdefault(name, "1")
