"""Strings on their way to people: hostile or undecodable file names must neither run nor mislead."""

from __future__ import annotations

import html
import re
import unicodedata
from importlib import resources
from string import Template

_UNPRINTABLE = {"Cc", "Cf", "Cs", "Zl", "Zp"}
_FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n", "＝", "＋", "－", "＠")


class Html(str):
    """Text that is HTML already."""

    __slots__ = ()


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


def fill(template: str, **values: str | float) -> Html:
    """Put values into a template's ``$names``. All but :class:`Html` is escaped.

    Raises:
        KeyError: the template names a value that was not given.
    """
    safe = {
        name: value if isinstance(value, Html) else html.escape(visible(str(value))) for name, value in values.items()
    }
    return Html(Template(template).substitute(safe))


def join(parts: list[Html]) -> Html:
    """One piece of HTML from many."""
    return Html("".join(parts))


def asset(package: str, name: str) -> str:
    """A file of a package's ``assets/``: style, script or template."""
    return resources.files(package).joinpath("assets", name).read_text("utf-8")


def page_style(package: str, name: str) -> Html:
    """The style that every page of ours shares, and after it the package's own."""
    shared = resources.files("hemo_core").joinpath("templates", "page.css").read_text("utf-8")
    return Html(shared + asset(package, name))


def _escaped(char: str) -> str:
    if unicodedata.category(char) == "Cs":  # os.fsdecode writes byte b as U+DC00 + b
        return f"\\x{ord(char) & 0xFF:02x}"
    return char.encode("unicode_escape").decode("ascii")
