"""What a process of ours sets for itself: few threads, memory that is kept, and a parent that it does not outlive.

It imports nothing that starts threads of its own: what :func:`few_threads` sets is read when numpy is imported.
"""

from __future__ import annotations

import ctypes
import os
import platform
import sys

_FEW_THREADS = ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "TF_NUM_INTEROP_THREADS")
_PR_SET_PDEATHSIG = 1
_M_TRIM_THRESHOLD, _M_TOP_PAD, _M_MMAP_THRESHOLD = -1, -2, -3  # mallopt(3)
_KEPT_BYTES = 256 << 20
_PAD_BYTES = 16 << 20
_LARGEST_BLOCK = 32 << 20  # what glibc allows


def few_threads() -> None:
    """Keep libraries from starting a thread per core beside ours. Only works before they are imported.

    OpenBLAS's threads spin while they wait: they took a third of the CPU time of reading a scan.
    """
    for name in _FEW_THREADS:
        os.environ.setdefault(name, "1")


def keep_freed_memory() -> None:
    """Keep freed memory instead of giving it back to the kernel after every slice. Without glibc nothing is changed.

    Decoding allocates and frees megabytes a slice. By default glibc maps such blocks afresh each time, and the page
    faults cost more than the arithmetic: 0.5 of 2.9 ms a slice were measured. Call it early.
    """
    if platform.libc_ver()[0] != "glibc":
        return
    mallopt = ctypes.CDLL(None).mallopt
    for option, value in (
        (_M_MMAP_THRESHOLD, _LARGEST_BLOCK),
        (_M_TRIM_THRESHOLD, _KEPT_BYTES),
        (_M_TOP_PAD, _PAD_BYTES),
    ):
        mallopt(option, value)


def die_with_parent(number: int) -> None:
    """Called in a child: have the kernel send it a signal when its parent dies, see prctl(2). Only Linux can."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, number, 0, 0, 0)
