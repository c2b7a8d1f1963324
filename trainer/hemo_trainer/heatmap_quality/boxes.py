"""Pointing game and energy in the box over many slices, beside what maps that know nothing would score."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from hemo_core.bundle.contract import InputContract
from hemo_core.errors import DatasetError
from hemo_trainer.figures.intervals import mean_json
from hemo_trainer.heatmap_quality.explained import ExplainedSlice, PixelsOf, patient_of
from hemo_trainer.heatmap_quality.localise import box_share, localised
from hemo_trainer.heatmap_quality.maps import box_mask, centre_heat, enlarged, head_mask


@dataclass(frozen=True, slots=True)
class Located:
    """How the maps of one slice lie to its boxes.

    Attributes:
        patient: whose slice it is.
        shown: a worker would draw the map.
        empty: there is nothing to draw.
        hit, energy: of the slice's own map, see :class:`~hemo_trainer.heatmap_quality.localise.Localised`.
        centre_hit, centre_energy: of a Gaussian around the head's centre.
        head_share, picture_share: of the head, and of the whole picture, that the boxes take.
    """

    patient: str
    shown: bool
    empty: bool
    hit: float
    energy: float
    centre_hit: float
    centre_energy: float
    head_share: float
    picture_share: float


def localisation(slices: Sequence[ExplainedSlice], pixels_of: PixelsOf, contract: InputContract) -> dict[str, Any]:
    """``pointing_game`` and ``energy_in_box``, of all slices with boxes and of those that a worker would show.

    Raises:
        DatasetError: no slice has a box.
    """
    rows = [locate(item, pixels_of, contract) for item in slices if item.record.boxes]
    if not rows:
        raise DatasetError("no slice has a box")
    groups = {"all": rows, "shown": [row for row in rows if row.shown]}
    return {
        "pointing_game": {name: _json(group, "hit") for name, group in groups.items() if group},
        "energy_in_box": {name: _json(group, "energy") for name, group in groups.items() if group},
    }


def locate(item: ExplainedSlice, pixels_of: PixelsOf, contract: InputContract) -> Located:
    """Measure one slice with boxes. Raises DatasetError if its picture cannot be decoded."""
    head = head_mask(pixels_of(item.record)[..., 0])
    inside = box_mask(item.record.boxes, item.record.path, contract)
    own = localised(enlarged(item.heat, contract.height, contract.width), inside)
    centre = localised(centre_heat(head), inside)
    return Located(
        patient_of(item),
        item.shown,
        own.empty,
        own.hit,
        own.energy,
        centre.hit,
        centre.energy,
        box_share(inside, head),
        float(inside.mean()),
    )


def _json(rows: Sequence[Located], what: str) -> dict[str, Any]:
    patients = [row.patient for row in rows]
    names = {"value": what, "centre": f"centre_{what}", "chance": "head_share", "chance_picture": "picture_share"}
    return {
        **{name: mean_json([getattr(row, field) for row in rows], patients) for name, field in names.items()},
        "count": len(rows),
        "patients": len(set(patients)),
        "empty": sum(row.empty for row in rows),
    }
