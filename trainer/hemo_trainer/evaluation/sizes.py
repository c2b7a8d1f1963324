"""How large the bleed of a slice is, where the data set drew boxes."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from hemo_core.contract import InputContract
from hemo_trainer.datasets.record import SliceRecord
from hemo_trainer.heatmap_quality.localise import box_share
from hemo_trainer.heatmap_quality.maps import box_mask, head_mask
from hemo_trainer.predict import Grey


def bleed_sizes(
    records: Iterable[SliceRecord], pixels_of: Callable[[SliceRecord], Grey], contract: InputContract
) -> dict[SliceRecord, float]:
    """The share of the head, from 0 to 1, that a slice's boxes take: for each slice that has any.

    Args:
        records: slices.
        pixels_of: model input of a record, uint8 ``(H, W, C)``.
        contract: the input.

    Raises:
        DatasetError: a picture cannot be decoded.
    """
    return {
        record: box_share(box_mask(record.boxes, record.path, contract), head_mask(pixels_of(record)[..., 0]))
        for record in records
        if record.label and record.certain and record.boxes
    }
