"""The words people read. Every sentence about a result comes from here, so that none promises too much.

A scan without a finding is never called anything but "no finding by the model": nobody has read it.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from hemo_core.bundle.findings import NO_FINDING, REVIEW
from hemo_core.scans.scan import Quality

STATEMENT = (
    "Research use only, not a medical device. The output comes from a model, not from a reader. "
    "A scan without a finding has not been read by anyone."
)

_OTHER_LABELS: Mapping[str, str] = MappingProxyType(
    {
        REVIEW: "review: a slice scores above the threshold",
        NO_FINDING: "no finding by the model",
    }
)

OUTCOME_TEXT: Mapping[str, str] = MappingProxyType(
    {
        "scored": "scored by the model",
        "rejected": "not scored: not a series the model is made for",
        "failed": "not scored: the scan could not be processed",
        "cancelled": "not scored: the job was cancelled first",
    }
)

HEATMAP_TEXT: Mapping[str, str] = MappingProxyType(
    {
        "drawn": "heat map drawn over the slice",
        "empty_heatmap": "no heat map: no place in this slice raises the score",
        "withheld": "no heat map: this model's heat maps failed their check, see the quality notes",
    }
)


def quality_text(code: str) -> str:
    """What a quality code means, in one plain sentence; the code itself if it is not known here."""
    return Quality(code).text if code in set(Quality) else code


def label_text(label: str, finding: str | None = None) -> str:
    """A scan's label in words.

    Args:
        label: ``review``, ``no_finding``, or the name of the primary finding.
        finding: text of the primary finding; None: its name, in words.
    """
    if label in _OTHER_LABELS:
        return _OTHER_LABELS[label]
    return f"{finding or label.replace('_', ' ')} suspected by the model"


def label_texts(finding: tuple[str, str] | None) -> dict[str, str]:
    """Every label of a model in words, the most urgent first.

    Args:
        finding: name and text of the primary finding; None where it is not known.
    """
    positive = {} if finding is None else {finding[0]: label_text(*finding)}
    return {**positive, **_OTHER_LABELS}
