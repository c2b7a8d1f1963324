"""Does the score hang on what the map marks? Deletion and insertion (Petsiuk et al. 2018, RISE, arXiv:1806.07421).

Deletion blanks the picture to black, insertion reveals it out of a blurred copy, both cell by cell of the heat map, the
warmest first. A map that knows what the score hangs on makes the score fall early, or rise early.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import cv2
import numpy as np
import numpy.typing as npt

Float = npt.NDArray[np.float32]
Doubles = npt.NDArray[np.float64]
Grey = npt.NDArray[np.uint8]
Mask = npt.NDArray[np.bool_]
Order = npt.NDArray[np.intp]
Way = Literal["deletion", "insertion"]

_BLUR_SHARE = 0.1


@dataclass(frozen=True, slots=True, eq=False)
class Staircase:
    """Pictures on the way from one end to the other.

    Attributes:
        shares: ``(steps + 1,)``, the share of the cells that were blanked or revealed.
        pictures: uint8 ``(steps + 1, H, W, C)``.
    """

    shares: Doubles
    pictures: Grey


def staircase(way: Way, picture: Grey, order: Order, cells: tuple[int, int], steps: int) -> Staircase:
    """Blank or reveal a slice cell by cell.

    Args:
        way: ``deletion`` begins with the slice and ends black, ``insertion`` begins blurred and ends with the slice.
        picture: uint8 ``(H, W, C)``.
        order: the cells, row by row, in the order in which they are taken.
        cells: rows and columns of cells.
        steps: pictures but the first.
    """
    touched = taken(order, cells, steps, (picture.shape[0], picture.shape[1]))[..., None]
    blank = np.zeros_like(picture) if way == "deletion" else blurred(picture)
    before, after = (picture, blank) if way == "deletion" else (blank, picture)
    counts = _counts(len(order), steps)
    return Staircase(counts / len(order), np.where(touched, after, before))


def taken(order: Order, cells: tuple[int, int], steps: int, size: tuple[int, int]) -> Mask:
    """Which pixels have been taken after each step: bool ``(steps + 1, H, W)``."""
    rank = np.empty(len(order), np.intp)
    rank[order] = np.arange(len(order))
    rows = np.arange(size[0]) * cells[0] // size[0]
    columns = np.arange(size[1]) * cells[1] // size[1]
    ranks = rank.reshape(cells)[rows[:, None], columns[None, :]]  # (H, W)
    return np.asarray(ranks[None] < _counts(len(order), steps)[:, None, None])


def warmest_first(heat: Float, rng: np.random.Generator) -> Order:
    """The cells of ``(h, w)`` by falling heat; equal ones in an order of chance."""
    shuffled = rng.permutation(heat.size)
    return np.asarray(shuffled[np.argsort(-heat.ravel()[shuffled], kind="stable")], np.intp)


def blurred(picture: Grey) -> Grey:
    """Where insertion begins: a Gaussian blur of a tenth of the picture's side, in which no bleed keeps its edge."""
    sigma = _BLUR_SHARE * picture.shape[0]
    return np.asarray(cv2.GaussianBlur(picture, (0, 0), sigma), np.uint8).reshape(picture.shape)


def area(shares: Doubles, curve: Doubles) -> float:
    """Area under ``curve`` ``(steps + 1,)`` over ``shares`` from 0 to 1, by trapezoids."""
    return float(np.trapezoid(curve, shares))


def _counts(cells: int, steps: int) -> npt.NDArray[np.intp]:
    """Cells taken after each step."""
    return np.rint(np.linspace(0, cells, steps + 1)).astype(np.intp)
