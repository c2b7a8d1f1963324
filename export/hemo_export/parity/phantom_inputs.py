"""Generated heads as model input, for what the exporter must try where a run left no slices of its own."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from hemo_core.bundle.contract import InputContract
from hemo_core.phantoms import Phantom, PhantomSpec, make_phantom
from hemo_core.phantoms.spec import BLEEDS
from hemo_core.scans.preprocess import prepare
from hemo_core.scans.scan import Geometry, Scan, ScanRef, Slice

_ROWS, _SLICES = 256, 16
_FIRST = 1000  # other heads than those that the gates ask about


def phantom_slices(contract: InputContract, scans: int) -> npt.NDArray[np.uint8]:
    """Slices of ``scans`` phantoms, prepared as a worker prepares a patient's.

    Every kind of bleed comes up in turn, no bleed among them. Equal arguments give equal slices.

    Returns:
        uint8 ``(slices, H, W, C)``.
    """
    return np.concatenate([prepare(as_scan(_phantom(seed)), contract).pixels for seed in range(_FIRST, _FIRST + scans)])


def as_scan(phantom: Phantom) -> Scan:
    """A phantom as a reader would give it."""
    name = f"phantom-{phantom.spec.seed}"
    ref = ScanRef(name, "phantoms", name, (), "image")
    slices = tuple(Slice(plane, ref.path) for plane in phantom.hu)
    return Scan(ref, slices, "hu", Geometry("frame", slice_spacing_mm=phantom.spec.spacing_mm), (), {})


def _phantom(seed: int) -> Phantom:
    size = 0.3 + 0.2 * (seed % 4)
    bleed = BLEEDS[seed % len(BLEEDS)]
    spec = PhantomSpec(seed, bleed, size, slices=_SLICES, spacing_mm=8.0, rows=_ROWS, detail="fast")
    return make_phantom(spec)
