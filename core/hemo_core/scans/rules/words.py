"""Free text of headers → words, and phrases of a vocabulary found among them."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import lru_cache

Words = tuple[str, ...]

_PARTING = re.compile(r"[^a-z0-9]+")
_HUMP = re.compile(r"(?<=[a-z])(?=[A-Z][a-z])")


@dataclass(frozen=True, slots=True)
class Hit:
    """A phrase found.

    Attributes:
        kind: the list of the vocabulary it stands in.
        phrase: as that list spells it.
        start, end: words it covers, ``words[start:end]``.
    """

    kind: str
    phrase: str
    start: int
    end: int


@dataclass(frozen=True, slots=True)
class Phrases:
    """Lists of phrases, compiled. Where two lists hold the same phrase, the one that comes first has it.

    Attributes:
        lists: phrases by the name of their list.
    """

    lists: Mapping[str, tuple[str, ...]]
    _compiled: dict[int, list[tuple[str, str, Words]]] = field(init=False, default_factory=dict)

    def __post_init__(self) -> None:
        for kind, phrases in self.lists.items():
            for phrase in phrases:
                parts = tuple(_folded(phrase).split())
                self._compiled.setdefault(len(parts), []).append((kind, phrase, parts))

    def find(self, words: Words) -> list[Hit]:
        """Phrases from left to right, at each place the longest, none overlapping."""
        hits, at = [], 0
        while at < len(words):
            hit = self._longest_at(words, at)
            at = hit.end if hit else at + 1
            hits += [hit] if hit else []
        return hits

    def first(self, words: Words) -> Hit | None:
        """The leftmost phrase."""
        return next(iter(self.find(words)), None)

    def _longest_at(self, words: Words, at: int) -> Hit | None:
        for length in sorted(self._compiled, reverse=True):
            here = words[at : at + length]
            if len(here) < length:
                continue
            for kind, phrase, parts in self._compiled[length]:
                if all(map(_stands_for, parts, here)):
                    return Hit(kind, phrase, at, at + length)
        return None


def to_words(text: str, spellings: Iterable[tuple[str, str]] = ()) -> Words:
    """Words without case and accents.

    Args:
        text: of a header.
        spellings: what is written in signs, and how it is read; applied longest first, before words are parted.
    """
    folded = _folded(_HUMP.sub(" ", text))
    for written, meant in sorted(spellings, key=lambda pair: -len(pair[0])):
        folded = _spelling(written).sub(f" {meant} ", folded)
    return tuple(word for word in _PARTING.split(folded) if word)


def _folded(text: str) -> str:
    """Without case and accents."""
    parted = unicodedata.normalize("NFKD", text)
    return "".join(char for char in parted if not unicodedata.combining(char)).casefold()


def _stands_for(part: str, word: str) -> bool:
    return word.startswith(part[:-1]) if part.endswith("*") else word == part


@lru_cache(maxsize=512)
def _spelling(written: str) -> re.Pattern[str]:
    """A spelling by itself: ``c-`` is not the beginning of ``c-spine``, ``-c`` not the end of ``ct-c``."""
    left = r"(?<![a-z0-9])" if written[0].isalnum() or written[0] == "-" else ""
    right = r"(?![a-z0-9])" if written[-1].isalnum() or written[-1] in "+-" else ""
    return re.compile(left + re.escape(written) + right)
