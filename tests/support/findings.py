"""Scoring contracts that tests use."""

from __future__ import annotations

from hemo_core.bundle.contract import ScoringContract
from hemo_core.bundle.findings import Finding, named


def one_finding(*, beta: float = 1.0, temperature: float = 1.0, threshold: float = 0.5) -> ScoringContract:
    """Of a model with one output, called as the released one is."""
    return ScoringContract((named("hemorrhage", "primary", temperature=temperature, threshold=threshold),), beta)


def three_findings(beta: float = 1.0) -> ScoringContract:
    """One primary finding, in the middle, and two details; each with a temperature and a threshold of its own."""
    return ScoringContract(
        (
            Finding("left_sided", "a bleed on the left", "detail", 1.0, 0.3),
            Finding("bleed", "intracranial bleed", "primary", 2.0, 0.5, "1386000"),
            Finding("mass_effect", "mass effect", "detail", 0.5, 0.9),
        ),
        beta,
    )
