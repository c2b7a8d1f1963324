"""Reconstruction kernels (Convolution Kernel, 0018,1210): sharp ones drown a bleed in noise."""

from __future__ import annotations

import re

from hemo_core.scans.rules.vocabulary import Rules, load_rules

_SIEMENS = re.compile(r"(?:[bhtuj]|[bhqasu][rvfdpw])(\d\d)")  # H31s, J70h, Hr64, Br38 …
_CANON = re.compile(r"fc(\d\d)")  # FC30-39, FC50-59, FC80-89 are for bone and lung


def sharp_rule(kernel: str, rules: Rules) -> str:
    """Why a kernel is one for bone or lung: the rule that says so; empty if it is not.

    Args:
        kernel: Convolution Kernel, empty where the header has none.
    """
    name = kernel.strip().casefold()
    if (found := _CANON.match(name)) is not None:
        family = int(found[1]) // 10
        return f"FC{family}x" if family in rules.table["kernel"]["canon_families"] else ""
    if (found := _SIEMENS.match(name)) is not None:
        least = rules.number("kernel", "siemens_from")
        return f"{least} or sharper" if int(found[1]) >= least else ""
    if name in rules.entries("kernel", "philips"):
        return name
    hit = rules.phrases("kernel", "sharp").first(rules.words(kernel))
    return "" if hit is None else hit.phrase


def is_sharp(kernel: str, description: str = "") -> bool:
    """Whether slices were reconstructed for bone or lung, by the kernel's name or the description's words."""
    rules = load_rules()
    named = rules.phrases("kernel", "sharp").first(rules.words(description))
    return bool(sharp_rule(kernel, rules)) or named is not None
