"""Heat maps, heads and boxes on the model's input picture."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt

from hemo_core.bundle.contract import InputContract
from hemo_trainer.data.cache import prepared_picture
from hemo_trainer.datasets.record import Box

Float = npt.NDArray[np.float32]
Grey = npt.NDArray[np.uint8]
Mask = npt.NDArray[np.bool_]

_HEAD_GREY = 24  # as the head crop tells head from air
_CENTRE_SPREAD = 0.25


def enlarged(heat: Float, height: int, width: int) -> Float:
    """A heat map at input size, bilinear as on the overlay: ``(h, w)`` → float32 ``(height, width)``."""
    return np.asarray(cv2.resize(heat, (width, height), interpolation=cv2.INTER_LINEAR), np.float32)


def head_mask(picture: Grey) -> Mask:
    """Where the head is, skull and inside: uint8 ``(H, W)`` → bool ``(H, W)``; everywhere if none stands out."""
    bright = (picture > _HEAD_GREY).astype(np.uint8)
    outlines, _ = cv2.findContours(bright, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
    if not outlines:
        return np.ones(picture.shape, np.bool_)
    filled = np.zeros(picture.shape, np.uint8)
    cv2.drawContours(filled, [max(outlines, key=cv2.contourArea)], -1, 1, cv2.FILLED)
    return filled.astype(np.bool_)


def centre_heat(head: Mask) -> Float:
    """A map that knows nothing but where the head is: a Gaussian around its centre, float32 ``(H, W)``, peak 1.

    Its standard deviation is a quarter of the picture's side.
    """
    rows, columns = np.nonzero(head)
    down = (np.arange(head.shape[0]) - rows.mean()) / (_CENTRE_SPREAD * head.shape[0])
    across = (np.arange(head.shape[1]) - columns.mean()) / (_CENTRE_SPREAD * head.shape[1])
    heat = np.exp(-0.5 * (down[:, None] ** 2 + across[None, :] ** 2))
    return np.asarray(heat / heat.max(), np.float32)


def box_mask(boxes: Sequence[Box], path: Path, contract: InputContract) -> Mask:
    """Boxes drawn on a picture file, as the model's input shows them: bool ``(H, W)``.

    Args:
        boxes: ``(x0, y0, x1, y1)`` in pixels of the file.
        path: the file; the head crop is found again as for the model's input.
        contract: the input.

    Raises:
        DatasetError: the picture cannot be decoded.
    """
    crop = prepared_picture(path, contract).boxes[0]
    return mapped_boxes(boxes, crop, contract.height, contract.width)


def mapped_boxes(boxes: Sequence[Box], crop: tuple[int, int, int], height: int, width: int) -> Mask:
    """Boxes in source pixels, cropped to ``(x0, y0, side)`` and resized: bool ``(height, width)``.

    A pixel belongs to a box if its centre does. A box too small to hold a centre keeps the pixel it lies in.
    """
    x0, y0, side = crop
    mask = np.zeros((height, width), np.bool_)
    for left, top, right, bottom in boxes:
        columns = _pixels((left - x0) * width / side, (right - x0) * width / side, width)
        rows = _pixels((top - y0) * height / side, (bottom - y0) * height / side, height)
        mask[rows, columns] = True
    return mask


def _pixels(first: float, last: float, count: int) -> slice:
    """The pixels whose centres lie between two edges."""
    begin, end = math.ceil(first - 0.5), math.ceil(last - 0.5)
    if begin >= end:
        begin = math.floor((first + last) / 2)
        end = begin + 1
    return slice(min(max(begin, 0), count), min(max(end, 0), count))
