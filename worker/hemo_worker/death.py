"""Children that do not outlive their parent."""

from __future__ import annotations

import ctypes
import sys

_PR_SET_PDEATHSIG = 1


def die_with_parent(number: int) -> None:
    """Called in a child: have the kernel send it a signal when its parent dies, see prctl(2). Only Linux can."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, number, 0, 0, 0)
