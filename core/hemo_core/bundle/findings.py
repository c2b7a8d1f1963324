"""Findings: what a model looks for. A bundle names them; no other place knows one by name."""

from __future__ import annotations

import re
import tomllib
from dataclasses import dataclass
from functools import cache
from importlib import resources
from typing import Literal, get_args

Role = Literal["primary", "detail"]

Standing = Literal["no_finding", "review", "positive"]

REVIEW, NO_FINDING = "review", "no_finding"
"""The labels of a scan that is not labelled with its primary finding."""
STANDINGS: tuple[Standing, ...] = get_args(Standing)
"""What a label comes to, whatever the finding is called; the later, the more urgent."""

_NAME = re.compile(r"[a-z][a-z0-9_]{0,63}")


@dataclass(frozen=True, slots=True)
class Measured:
    """A figure with its 95 % interval."""

    value: float
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class Finding:
    """One output channel of a model.

    Attributes:
        name: for machines: labels, columns, JSON keys. Lower-case letters, digits, underscores.
        text: for people, in the middle of a sentence.
        role: ``primary`` decides a scan's label, ``detail`` is told beside it. A model has exactly one primary finding.
        temperature: calibration, probability = sigmoid(logit / temperature) (Guo et al. 2017, arXiv:1706.04599).
        threshold: calibrated probability from which a scan, or a slice, counts as positive.
        snomed_code: SNOMED CT concept id.
        auc: area under the ROC curve, of scans that the model was not fitted to; None where nobody measured it.
    """

    name: str
    text: str
    role: Role
    temperature: float
    threshold: float
    snomed_code: str | None = None
    auc: Measured | None = None

    def __post_init__(self) -> None:
        """Raises ValueError."""
        if not _NAME.fullmatch(self.name) or self.name in {REVIEW, NO_FINDING}:
            raise ValueError(f"a finding cannot be called {self.name!r}")
        if not (self.text and self.text.isprintable()):
            raise ValueError(f"the text of {self.name} is empty or not printable")
        if self.temperature <= 0 or not 0 <= self.threshold <= 1:
            raise ValueError(f"{self.name} has temperature {self.temperature:g} and threshold {self.threshold:g}")
        if self.snomed_code is not None and not re.fullmatch(r"[0-9]{6,18}", self.snomed_code):
            raise ValueError(f"{self.snomed_code!r} is no SNOMED CT concept id")


def named(name: str, role: Role, *, temperature: float = 1.0, threshold: float = 0.5) -> Finding:
    """A finding with its :func:`wording`. Raises ValueError: the name, the temperature or the threshold is none."""
    text, code = wording(name)
    return Finding(name, text, role, temperature, threshold, code)


def wording(name: str) -> tuple[str, str | None]:
    """Text and SNOMED CT code that ``findings.toml`` has for a name; else the name itself in words, and no code."""
    known = _known().get(name, {})
    return known.get("text", name.replace("_", " ")), known.get("snomed_code")


def standing(label: str) -> Standing:
    """What a scan's label comes to."""
    return "no_finding" if label == NO_FINDING else "review" if label == REVIEW else "positive"


def urgency(label: str | None) -> int:
    """The greater, the more urgent; least for a scan without a label."""
    return STANDINGS.index(standing(label)) if label else -1


def default_name() -> str:
    """What a model looks for where nobody says what."""
    return next(iter(_known()))


@cache
def _known() -> dict[str, dict[str, str]]:
    return tomllib.loads(resources.files("hemo_core.bundle").joinpath("findings.toml").read_text("utf-8"))
