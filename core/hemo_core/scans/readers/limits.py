"""How large a head CT can be. Everything beyond is refused from the header, before a pixel is decoded."""

from __future__ import annotations

from hemo_core.errors import TooLarge

MAX_SIDE = 4096
MAX_SLICES = 4000
MAX_VOXELS = 1 << 30


def check_size(rows: int, columns: int, slices: int, path: str) -> None:
    """Refuse what no head CT is.

    Raises:
        TooLarge: a side, the number of slices, or the number of pixels together is beyond the limits.
    """
    if max(rows, columns) > MAX_SIDE or slices > MAX_SLICES or rows * columns * slices > MAX_VOXELS:
        raise TooLarge(
            f"the header announces {slices} x {rows} x {columns} pixels",
            path=path,
            hint=f"at most {MAX_SLICES} slices of {MAX_SIDE} x {MAX_SIDE} and {MAX_VOXELS} pixels together are read",
        )
