"""Records: what is written to disk or sent. Plain JSON outside, frozen dataclasses inside, msgspec between them.

A wrong type is refused and named, a whole number is taken for a float, and a field that is not known, because a newer
version of hemo-batch wrote it, is ignored. Text may hold lone surrogates: file names that are no UTF-8 have them.
"""

from __future__ import annotations

import json
from collections.abc import Collection
from pathlib import Path
from typing import Any, Never, TypeVar

import msgspec

from hemo_core.errors import HemoError

Record = TypeVar("Record")


def decode(
    cls: type[Record],
    value: object,
    *,
    error: type[HemoError],
    what: str = "record",
    path: Path | str | None = None,
    strict: bool = True,
) -> Record:
    """A record from what JSON or TOML gave.

    Args:
        cls: a dataclass, or whatever msgspec converts to; its fields may be paths.
        value: dicts, lists, text, numbers, booleans, None.
        error: the class to raise.
        what: the record's name in the message.
        path: its file in the message.
        strict: False to read numbers from text, as a CSV file has them.

    Raises:
        HemoError: ``error``, naming the field that is missing or has the wrong type or value.
    """
    try:
        return msgspec.convert(value, type=cls, strict=strict, dec_hook=_decode_other)
    except msgspec.ValidationError as problem:
        text = str(problem)
        raise error(f"malformed {what}: {text[:1].lower()}{text[1:]}", path=_text(path)) from problem


def loads(data: str | bytes, *, error: type[HemoError], what: str = "record", path: Path | str | None = None) -> Any:
    """Parse JSON, whose numbers are all finite. Raises like :func:`decode`."""
    try:
        return json.loads(data, parse_constant=_refuse)
    except (ValueError, RecursionError) as problem:
        raise error(f"malformed {what}: {problem}", path=_text(path)) from problem


def load(
    cls: type[Record],
    data: str | bytes,
    *,
    error: type[HemoError],
    what: str = "record",
    path: Path | str | None = None,
) -> Record:
    """A record from its JSON: :func:`loads` and :func:`decode`."""
    return decode(cls, loads(data, error=error, what=what, path=path), error=error, what=what, path=path)


def check_version(
    value: object,
    readable: Collection[int],
    *,
    error: type[HemoError],
    what: str = "record",
    path: Path | str | None = None,
) -> int:
    """The ``schema_version`` that a record names. Raises ``error`` where it is none of ``readable``."""
    version = value.get("schema_version") if isinstance(value, dict) else None
    if type(version) is not int or version not in readable:
        known = " or ".join(map(str, readable))
        raise error(
            f"this {what} is of version {version!r}, not {known}",
            path=_text(path),
            hint="update hemo-batch, or mend the file",
        )
    return version


def encode(record: object) -> Any:
    """What :func:`decode` takes back: a record as dicts, lists and plain values."""
    return msgspec.to_builtins(record, enc_hook=_encode_other)


def dumps(record: object) -> bytes:
    """The one text of a record's JSON: sorted keys, two spaces, ASCII, a newline at the end.

    Raises:
        ValueError: a number is not finite.
    """
    return (json.dumps(encode(record), sort_keys=True, indent=2, allow_nan=False) + "\n").encode("ascii")


def _decode_other(kind: type, value: object) -> object:
    if kind is Path and isinstance(value, str):
        return Path(value)
    message = f"Expected `{kind.__name__}`, got `{type(value).__name__}`"
    raise TypeError(message)


def _encode_other(value: object) -> object:
    if isinstance(value, Path):
        return str(value)
    message = f"a {type(value).__name__} has no place in a record"
    raise TypeError(message)


def _refuse(constant: str) -> Never:
    message = f"{constant} is no number"
    raise ValueError(message)


def _text(path: Path | str | None) -> str | None:
    return None if path is None else str(path)
