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

QUALITY_TEXT: Mapping[str, str] = MappingProxyType(
    {
        Quality.MISSING_SLICES: "Slices are missing from the series: a bleed may lie in a gap.",
        Quality.DUPLICATE_POSITIONS: "Several slices lie at the same position; one of each was used.",
        Quality.GANTRY_TILT: "The gantry was tilted; the slices were scored as acquired.",
        Quality.VARIABLE_SPACING: "The distance between slices changes within the series.",
        Quality.MIXED_KERNELS: "Slices were reconstructed with different kernels.",
        Quality.WRAPPED_12_BIT: "Stored values had wrapped around at 12 bits and were unwrapped.",
        Quality.CLIPPED_RANGE: "The stored values do not span the whole Hounsfield range.",
        Quality.ZERO_PIXELS: "Some slices hold nothing but one value.",
        Quality.MONOCHROME1: "Stored for inverted display (MONOCHROME1); the score does not depend on that.",
        Quality.LOSSY_COMPRESSED: "Compressed with loss before it came here; subtle blood may be gone.",
        Quality.BLOCK_ARTEFACTS: "Compression blocks are visible; the score is not to be relied on.",
        Quality.ORDER_FROM_NAMES: "The order of the slices was taken from file names.",
        Quality.UNKNOWN_SPACING: "The distance between slices is not known.",
        Quality.UNKNOWN_WINDOW: "The picture's window is not known; grey levels are not Hounsfield units.",
        Quality.NOT_AXIAL: "The slices are not axial; the model was trained on axial slices.",
        Quality.PARTIAL_COVERAGE: "The slices do not cover a whole head; what lies outside was not looked at.",
        Quality.POSITIONS_NOT_CREDIBLE: "The positions in the headers are not believed; see the note.",
        Quality.INVALID_UID: "Identifiers break the DICOM rules; they were kept as they are.",
        Quality.THIN_SLICES_AVERAGED: "Thin slices were averaged to the model's spacing before scoring.",
        Quality.IMPLAUSIBLE: "Does not look like a head CT; it was scored on request.",
        Quality.PHANTOM: "A synthetic phantom, not a patient.",
        Quality.EXTRA_SLICES_DROPPED: "Slices that do not belong to the series were left out.",
        Quality.REORIENTED: "The slices were turned or mirrored to stand nose up, the patient's right on the left.",
        Quality.HEATMAPS_FAILED: "The model's heat maps hardly depend on what it learned (randomisation check failed).",
        Quality.IMPORTED_MODEL: "Scored by an imported model: no evidence of its accuracy is known.",
    }
)


def quality_text(code: str) -> str:
    """What a quality code means, in one plain sentence; the code itself if it is not known here."""
    return QUALITY_TEXT.get(code, code)


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
