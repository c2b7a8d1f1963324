"""Strings on their way to people: hostile or undecodable file names must neither run nor mislead."""

from __future__ import annotations

import re
import unicodedata

_UNPRINTABLE = {"Cc", "Cf", "Cs", "Zl", "Zp"}
_FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n", "＝", "＋", "－", "＠")


def visible(text: str) -> str:
    """The text with every control, direction-changing and undecodable character written as an escape.

    ``os.fsdecode`` gives lone surrogates for bytes that are no UTF-8; U+202E in a name would show its end first.
    """
    if text.isprintable():
        return text
    return "".join(_escaped(char) if unicodedata.category(char) in _UNPRINTABLE else char for char in text)


def csv_cell(text: str) -> str:
    """The text for a CSV cell that a spreadsheet must not take for a formula (OWASP, CSV injection)."""
    shown = visible(text)
    return f"'{shown}" if shown.startswith(_FORMULA) else shown


def natural_key(text: str) -> tuple[tuple[int, int | str], ...]:
    """Sort key that puts ``slice 10`` after ``slice 9``: the order of pictures, in training and in scoring alike."""
    parts = re.split(r"(\d+)", text.lower())
    return (*((0, int(part)) if part.isdecimal() else (1, part) for part in parts), (1, text))


def _escaped(char: str) -> str:
    if unicodedata.category(char) == "Cs":  # os.fsdecode writes byte b as U+DC00 + b
        return f"\\x{ord(char) & 0xFF:02x}"
    return char.encode("unicode_escape").decode("ascii")
