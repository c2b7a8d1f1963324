"""Where the finding of a slice is and how large, as far as the data set drew it."""

from __future__ import annotations

from collections.abc import Callable, Iterable

import numpy as np
import numpy.typing as npt

from hemo_core.bundle.contract import InputContract
from hemo_core.scans.preprocess import crop_resize
from hemo_trainer.data.pictures import mask_of, prepare_record
from hemo_trainer.datasets.record import Reference, SliceRecord
from hemo_trainer.heatmap_quality.localise import box_share
from hemo_trainer.heatmap_quality.maps import box_mask, head_mask
from hemo_trainer.network.predict import Grey

Mask = npt.NDArray[np.bool_]

_HALF = 128


def marked(record: SliceRecord, contract: InputContract) -> Mask | None:
    """What the source marked, boxes or a mask drawn by hand, as the model sees it: bool ``(H, W)``; None if nothing.

    Raises:
        DatasetError, ScanError: the picture or the mask cannot be read.
    """
    if record.boxes:
        return box_mask(record.boxes, record.path, contract)
    drawn = mask_of(record)
    if drawn is None or not drawn.any():
        return None
    crop = prepare_record(record, contract).boxes[0]
    picture = drawn.astype(np.uint8)[..., None] * np.uint8(255)
    return np.asarray(crop_resize(picture, crop, contract.height, contract.width)[..., 0] >= _HALF, np.bool_)


def marked_sizes(
    records: Iterable[SliceRecord], pixels_of: Callable[[SliceRecord], Grey], contract: InputContract
) -> dict[Reference, float]:
    """The share of the head, from 0 to 1, that is marked, by the reference of each positive slice with marks.

    Args:
        records: slices.
        pixels_of: model input of a record, uint8 ``(H, W, C)``.
        contract: the input.

    Raises:
        DatasetError, ScanError: a picture or a mask cannot be read.
    """
    sizes = {}
    for record in records:
        if not record.label:
            continue
        inside = marked(record, contract)
        if inside is not None:
            sizes[record.reference] = box_share(inside, head_mask(pixels_of(record)[..., 0]))
    return sizes
