"""Whether a map lies on the bleed.

The pointing game (Zhang et al. 2016, arXiv:1608.00507, without its tolerance of 15 pixels) and the energy in the box
(Wang et al. 2020, Score-CAM, arXiv:1910.01279, section 4.2).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Float = npt.NDArray[np.float32]
Mask = npt.NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Localised:
    """How one map lies to one slice's boxes, each figure from 0 to 1.

    Attributes:
        hit: the peak lies in a box; where several pixels share the peak, the share of them that do.
        energy: the share of the map's sum that lies in a box.
        empty: the map is zero everywhere: it points nowhere, and counts as a miss.
    """

    hit: float
    energy: float
    empty: bool


def localised(heat: Float, inside: Mask) -> Localised:
    """Play the pointing game with one map.

    Args:
        heat: ``(H, W)``, not negative.
        inside: ``(H, W)``, the boxes.
    """
    total = float(heat.sum(dtype=np.float64))
    if total <= 0:
        return Localised(0.0, 0.0, empty=True)
    hit = float(inside[heat == heat.max()].mean())
    return Localised(hit, float(heat[inside].sum(dtype=np.float64)) / total, empty=False)


def box_share(inside: Mask, region: Mask) -> float:
    """The share of ``region`` that the boxes take: what a point, or a map, thrown blindly into it would score."""
    return float(inside[region].mean())
