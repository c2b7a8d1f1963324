"""Whether a series was acquired with contrast medium: what a description and the agent's field say, in many tongues."""

from __future__ import annotations

import re
from dataclasses import dataclass
from itertools import pairwise
from typing import Literal

from hemo_core.scans.rules.vocabulary import Rules
from hemo_core.scans.rules.words import Hit, Words

Meaning = Literal["plain", "contrast", "unclear", "silent"]

_SECTION = "contrast"
_LISTS = ("neutral", "plain", "given", "agent", "examination", "without", "before", "with", "after")
_REACH = 1  # words that the vocabulary does not know may stand between "without" and "contrast"
_NUMBER = re.compile(r"\d+")


@dataclass(frozen=True, slots=True)
class Reading:
    """What a text says of contrast medium.

    Attributes:
        meaning: ``unclear`` where it says both, as "W WO CONTRAST" does; ``silent`` where it says nothing.
        rule: the phrases of the vocabulary that say so; never the text.
    """

    meaning: Meaning
    rule: str = ""


def read_description(text: str, rules: Rules) -> Reading:
    """What a series' description says."""
    words = rules.words(text)
    hits = [hit for hit in rules.phrases(_SECTION, *_LISTS).find(words) if hit.kind != "neutral"]
    between = {*rules.entries(_SECTION, "between"), *rules.entries(_SECTION, "joins")}
    plain, given, examination = _evidence(words, hits, frozenset(between), rules)
    if plain and given:
        return Reading("unclear", f"{plain}; {given}")
    if plain:
        return Reading("plain", plain)
    if given or examination:
        return Reading("contrast", given or examination)
    amount = _amount(words, rules)
    return Reading("contrast", amount) if amount else Reading("silent")


def read_agent(text: str, rules: Rules) -> Reading:
    """What Contrast/Bolus Agent (0018,0010) says: an agent's name, or one of many ways to say that none was given."""
    words = rules.words(text)
    spelt = " ".join(words)
    none = {" ".join(rules.words(entry)) for entry in rules.entries("agent_field", "none")}
    if spelt in none:
        return Reading("plain" if spelt else "silent", "none" if spelt else "")
    said = read_description(text, rules)
    return said if said.meaning == "plain" else Reading("contrast", "an agent is named")


def _evidence(words: Words, hits: list[Hit], between: frozenset[str], rules: Rules) -> tuple[str, str, str]:
    """Rules that say plain, contrast, and an examination that uses contrast."""
    plain = given = examination = ""
    alone = frozenset(rules.entries(_SECTION, "without_alone"))
    pending: list[Hit] = []
    for at, hit in enumerate(hits):
        following = hits[at + 1] if at + 1 < len(hits) else None
        if hit.kind in {"without", "before", "with", "after"}:
            pending.append(hit)
            if following is None or not _reaches(hit, following, words, between):
                found = _left_alone(pending, words, alone)
                plain, given = plain or found[0], given or found[1]
                pending = []
            continue
        signs = {one.kind for one in pending}
        negated, affirmed = signs & {"without", "before"}, signs & {"with", "after"}
        if hit.kind == "given" and negated and _joined(pending[-1], hit, words, rules):
            affirmed = {"with"}
        told = " ".join([*(one.phrase for one in pending), hit.phrase])
        if hit.kind == "plain":
            plain = plain or told
            given = given or (told if affirmed else "")
        elif negated or affirmed:
            plain = plain or (told if negated else "")
            given = given or (told if affirmed else "")
        elif hit.kind == "examination":
            examination = examination or told
        else:
            given = given or told
        if following is None or not _same_medium(hit, following, words, between):
            pending = []
    return plain, given, examination


def _left_alone(pending: list[Hit], words: Words, alone: frozenset[str]) -> tuple[str, str]:
    """What signs say that no name of a medium follows: "HEAD WO" is plain; "PRE" and "POST" count at the very end."""
    kinds = {one.kind for one in pending}
    told = " ".join(one.phrase for one in pending)
    last = pending[-1].end == len(words)
    negated = any(one.phrase in alone for one in pending) or ("before" in kinds and last)
    affirmed = ("after" in kinds and last) or ("with" in kinds and negated)
    return (told if negated else ""), (told if affirmed else "")


def _reaches(sign: Hit, following: Hit, words: Words, between: frozenset[str]) -> bool:
    """Whether a sign belongs to what follows it."""
    unknown = [word for word in words[sign.end : following.start] if word not in between]
    return len(unknown) <= _REACH and (following.kind != "examination" or not unknown)


def _joined(sign: Hit, hit: Hit, words: Words, rules: Rules) -> bool:
    """Whether an "and" stands between: "pre and post contrast" is both."""
    return not set(rules.entries(_SECTION, "joins")).isdisjoint(words[sign.end : hit.start])


def _same_medium(hit: Hit, following: Hit, words: Words, between: frozenset[str]) -> bool:
    """Whether two names stand for one medium, as in "without IV contrast"."""
    gap = words[hit.end : following.start]
    return hit.kind == following.kind == "agent" and all(word in between for word in gap)


def _amount(words: Words, rules: Rules) -> str:
    """``150cc`` or ``4 ml``: fluid in a description is medium."""
    units = rules.entries(_SECTION, "amount_units")
    for unit in units:
        fused = any(word.endswith(unit) and _NUMBER.fullmatch(word[: -len(unit)]) for word in words)
        apart = any(_NUMBER.fullmatch(number) and word == unit for number, word in pairwise(words))
        if fused or apart:
            return f"an amount in {unit}"
    return ""
