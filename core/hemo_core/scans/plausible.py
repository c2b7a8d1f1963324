"""Whether a scan looks like a head CT.

A coarse gate against photographs, screenshots, other parts of the body, phantoms and sheets of slices, not a judge of
anatomy. What is measured on a picture and where the limits lie is in :mod:`hemo_core.scans.look`.
"""

from __future__ import annotations

import numpy as np

from hemo_core.bundle.contract import Window
from hemo_core.scans.look import look, problem
from hemo_core.scans.preprocess import apply_window
from hemo_core.scans.quality import sample
from hemo_core.scans.scan import Pixels, Scan, Units

_SMALLEST_SIDE = 64
_BRAIN = Window(40.0, 120.0)
_SAMPLED = 15
_PICTURES_SHARE = 0.5
_HOUNSFIELD_SHARE = 0.25


def why_implausible(scan: Scan) -> str | None:
    """Why a scan does not look like a head CT, in one sentence; None if it does.

    A series is judged by its slices together: of those that are not nearly empty half must pass, of slices in
    Hounsfield units a quarter, since the header already says that they are CT. One at least must show a head; only a
    single slice may be nearly empty, as above the head.
    """
    slices = [one.pixels for one in sample(scan.slices, _SAMPLED)]
    verdicts = [_verdict(one, scan.units) for one in slices]
    bad = [reason for reason, _ in verdicts if reason is not None]
    empty = sum(is_empty for _, is_empty in verdicts)
    heads = len(slices) - len(bad) - empty
    share = _HOUNSFIELD_SHARE if scan.units == "hu" else _PICTURES_SHARE
    alone = len(slices) == empty == 1
    if heads >= max(share * (heads + len(bad)), 1) or alone:
        return None
    if not bad:
        return "no head in it: nearly empty throughout"
    where = "" if len(slices) == 1 else f"{len(bad)} of {len(slices)} slices looked at: "
    return where + max(set(bad), key=lambda reason: (bad.count(reason), reason))


def slice_problem(pixels: Pixels, units: Units) -> str | None:
    """Why one slice does not look like a head CT; None if it does, or if it is nearly empty as above the head.

    Args:
        pixels: ``(rows, columns)``, Hounsfield units or grey levels.
    """
    return _verdict(pixels, units)[0]


def _verdict(pixels: Pixels, units: Units) -> tuple[str | None, bool]:
    """What is wrong with a slice, and whether it is nearly empty with nothing wrong."""
    if min(pixels.shape) < _SMALLEST_SIDE:
        return f"{pixels.shape[0]} x {pixels.shape[1]} pixels are too few for a head CT", False
    grey = apply_window(np.asarray(pixels, np.float32), _BRAIN) if units == "hu" else np.asarray(pixels, np.uint8)
    seen = look(grey)
    reason = problem(seen)
    return reason, reason is None and seen.nearly_empty
