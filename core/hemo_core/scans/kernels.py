"""Reconstruction kernels (Convolution Kernel, 0018,1210): sharp ones drown a bleed in noise."""

from __future__ import annotations

import re

_NAMES = re.compile(r"\b(bone|bone ?plus|edge|lung|ultra ?sharp|sharp|detail\+?|inner ?ear|knochen|hueso|osseux)\b")
_NUMBERED = re.compile(r"^(?:[bhtuj]|[bhqasu][rvfdpw])(\d\d)")  # Siemens: H31s, J70h, Hr64, Br38 …
_SIEMENS_SHARP = 55
_TOSHIBA = re.compile(r"^fc(\d\d)")
_TOSHIBA_SHARP = frozenset({3, 5, 8})  # FC30-39, FC50-59, FC80-89
_PHILIPS_SHARP = frozenset({"d", "e", "l", "yb", "yc", "yd", "ye"})


def is_sharp(kernel: str, description: str = "") -> bool:
    """Whether a series was reconstructed for bone or lung.

    Args:
        kernel: Convolution Kernel, empty where the header has none.
        description: Series Description, which names the kernel in words often enough.
    """
    name = kernel.strip().lower()
    if (found := _TOSHIBA.match(name)) is not None:
        return int(found[1]) // 10 in _TOSHIBA_SHARP
    if (found := _NUMBERED.match(name)) is not None:
        return int(found[1]) >= _SIEMENS_SHARP
    words = re.sub(r"[_\-./^,;()]", " ", f"{name} {description.lower()}")
    return name in _PHILIPS_SHARP or _NAMES.search(words) is not None
