"""Which series of a study is scored: the axial, non-contrast, soft-kernel series of the head.

Every series that is not has a code and a reason, and every code can be overridden. A reason names the header field and
the rule that fired, never the field's text, which may hold anything, a patient's name included.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Protocol

from hemo_core.scans.readers import geometry
from hemo_core.scans.readers.dicom_header import Header
from hemo_core.scans.rules.contrast import Reading, read_agent, read_description
from hemo_core.scans.rules.kernels import sharp_rule
from hemo_core.scans.rules.vocabulary import Rules
from hemo_core.scans.scan import Cause

NOT_CT = "not_ct"
SECONDARY_CAPTURE = "secondary_capture"
LOCALIZER = "localizer"
PROJECTION = "projection"
NOT_HOUNSFIELD = "not_hounsfield"
NOT_AXIAL = "not_axial"
NOT_HEAD = "not_head"
CONTRAST = "contrast"
BONE_KERNEL = "bone_kernel"
TOO_FEW_SLICES = "too_few_slices"
NOT_CHOSEN = "not_chosen"

REJECTIONS: Mapping[str, tuple[str, str]] = MappingProxyType(
    {
        NOT_CT: ("not CT", "Nothing, if it is none."),
        SECONDARY_CAPTURE: ("a screen capture or report page, not a scan", "Nothing; it holds no Hounsfield units."),
        LOCALIZER: ("a localizer", "Nothing."),
        PROJECTION: ("a projection, rendering or map computed from a scan", "Submit the original series, too."),
        NOT_HOUNSFIELD: ("its values are no Hounsfield units of one energy", "Submit the conventional series, too."),
        NOT_AXIAL: ("the slices are not axial", "Submit the axial series, too."),
        NOT_HEAD: ("not of the head", "If it is, name its words in a --rules file."),
        CONTRAST: ("acquired with contrast medium", "If it was not, name its words in a --rules file."),
        BONE_KERNEL: ("reconstructed for bone or lung", "Submit the soft-tissue series, too."),
        TOO_FEW_SLICES: ("another series of the study has more slices", "--all-series scores it, too."),
        NOT_CHOSEN: ("another series of the same study was chosen", "--all-series scores it, too."),
    }
)
"""By code: what it means, and what to do. Each can be overridden with ``--override``."""
REJECTION_CODES = tuple(REJECTIONS)

_SECONDARY_CAPTURE_CLASS = "1.2.840.10008.5.1.4.1.1.7"
_FEW_SLICES = 5
_FEWEST_OF_A_PART = 3
_TRAINING_SPACING_MM = 5.0
_DESCRIPTION = "Series Description"


class Candidate(Protocol):
    """What choosing looks at; :class:`hemo_core.scans.stacks.Stack` has it."""

    @property
    def header(self) -> Header:
        """What its files share."""

    @property
    def slices(self) -> int:
        """Number of slices."""

    @property
    def spacing_mm(self) -> float | None:
        """Median distance of neighbours."""

    @property
    def span_mm(self) -> tuple[float, float] | None:
        """Lowest and highest position."""


@dataclass(frozen=True, slots=True)
class Fired:
    """A rule that fired on a series.

    Attributes:
        code: the rejection it means; empty where it speaks for the series.
        field: the header's field.
        rule: the phrase, value or number that decided.
    """

    code: str
    field: str
    rule: str

    def in_words(self) -> str:
        """One clause."""
        return f"{self.field}: {self.rule}"


def own_rejection(series: Candidate, overrides: frozenset[str], rules: Rules) -> Cause | None:
    """Why a series would not be scored even if it were the only one; None if it could be."""
    found = next((one for one in fired(series.header, rules) if one.code and one.code not in overrides), None)
    return None if found is None else Cause(found.code, f"{REJECTIONS[found.code][0]} ({found.in_words()})")


def choose(
    candidates: Sequence[Candidate], overrides: frozenset[str], rules: Rules, *, all_series: bool
) -> list[Cause | None]:
    """Choose among the stacks of one study: the best, and those that cover what no chosen one does.

    The base of the skull and the vertex are often series of their own; neither stands for the other.

    Returns:
        A rejection for each candidate, None for what is scored.
    """
    if all_series:
        return [None] * len(candidates)
    chosen: list[Candidate] = []
    for one in sorted(candidates, key=lambda series: _rank(series, rules), reverse=True):
        if not chosen or _lies_elsewhere(one, chosen):
            chosen.append(one)
    verdicts = [None if any(one is taken for taken in chosen) else _second(one, chosen[0]) for one in candidates]
    return [None if verdict is not None and verdict.code in overrides else verdict for verdict in verdicts]


def fired(header: Header, rules: Rules) -> Iterator[Fired]:
    """Every rule that fires on a series, most telling first: what speaks against it, then what speaks for it."""
    found = [one for check in _CHECKS for one in check(header, rules)]
    yield from (one for one in found if one.code)
    yield from (one for one in found if not one.code)


def contrast_of(header: Header, rules: Rules) -> Reading:
    """What a header says of contrast medium, its fields taken together.

    An agent or an amount in its own field counts whatever the description says: a description is often the protocol's.
    """
    agent, said = read_agent(header.contrast, rules), read_description(header.description, rules)
    if agent.meaning == "contrast":
        return Reading("contrast", f"Contrast/Bolus Agent: {agent.rule}")
    if header.contrast_ml > 0:
        return Reading("contrast", "Contrast/Bolus Volume: above 0")
    if said.meaning != "silent":
        return Reading(said.meaning, f"{_DESCRIPTION}: {said.rule}")
    return Reading(agent.meaning, f"Contrast/Bolus Agent: {agent.rule}")


def _lies_elsewhere(series: Candidate, chosen: Sequence[Candidate]) -> bool:
    """Whether more than half of a stack lies where no chosen one does."""
    mine, theirs = series.span_mm, [one.span_mm for one in chosen]
    same_frame = all(one.header.frame_of_reference == series.header.frame_of_reference for one in chosen)
    if mine is None or not same_frame or series.slices < _FEWEST_OF_A_PART or mine[1] <= mine[0]:
        return False
    known = [span for span in theirs if span is not None]
    covered = max((min(mine[1], high) - max(mine[0], low) for low, high in known), default=mine[1] - mine[0])
    return len(known) == len(theirs) and max(covered, 0.0) < (mine[1] - mine[0]) / 2


def _second(series: Candidate, best: Candidate) -> Cause:
    if series.slices < _FEW_SLICES <= best.slices:
        return Cause(TOO_FEW_SLICES, f"{series.slices} slices; another series of the study has {best.slices}")
    return Cause(NOT_CHOSEN, f"another series of the same study was chosen: {best.slices} slices")


def _rank(series: Candidate, rules: Rules) -> tuple[bool, bool, bool, bool, bool, float, int, tuple[str, str]]:
    """Larger is better: enough slices, of the head, plainly without contrast, original, spaced as in training."""
    header = series.header
    words = rules.words(header.description)
    spacing = series.spacing_mm or _TRAINING_SPACING_MM
    return (
        series.slices >= _FEW_SLICES,
        rules.phrases("body", "words").first(words) is None,
        _names_head(header, rules),
        contrast_of(header, rules).meaning in {"plain", "silent"},
        "DERIVED" not in header.image_type,
        -round(abs(min(spacing, 2 * _TRAINING_SPACING_MM) - _TRAINING_SPACING_MM), 1),
        series.slices,
        (header.series_uid, header.path),
    )


def _names_head(header: Header, rules: Rules) -> bool:
    in_words = rules.phrases("head", "words").first(rules.words(header.description)) is not None
    return in_words or header.body_part in rules.entries("head", "parts")


def _modality(header: Header, rules: Rules) -> Iterator[Fired]:  # noqa: ARG001 - one form for all checks
    if header.modality not in {"CT", ""}:
        yield Fired(NOT_CT, "Modality", "not CT")


def _capture(header: Header, rules: Rules) -> Iterator[Fired]:
    if header.photometric not in {"", "MONOCHROME1", "MONOCHROME2"} and header.has_pixels:
        yield Fired(SECONDARY_CAPTURE, "Photometric Interpretation", "colour")
    if header.sop_class.startswith(_SECONDARY_CAPTURE_CLASS):
        yield Fired(SECONDARY_CAPTURE, "SOP Class", "Secondary Capture")
    yield from _worded(SECONDARY_CAPTURE, "capture", header, rules)


def _localizer(header: Header, rules: Rules) -> Iterator[Fired]:
    yield from _worded(LOCALIZER, "localizer", header, rules)


def _projection(header: Header, rules: Rules) -> Iterator[Fired]:
    derived = not {"DERIVED", "SECONDARY"}.isdisjoint(header.image_type)
    yield from (one for one in _worded(PROJECTION, "projection", header, rules) if derived or one.field == "Image Type")


def _computed(header: Header, rules: Rules) -> Iterator[Fired]:
    if header.rescale_type.upper() not in rules.entries("computed", "hounsfield"):
        yield Fired(NOT_HOUNSFIELD, "Rescale Type", "not HU")
    yield from _worded(NOT_HOUNSFIELD, "computed", header, rules, "neutral")


def _orientation(header: Header, rules: Rules) -> Iterator[Fired]:  # noqa: ARG001
    orientation = header.planes[0].orientation
    if orientation is not None and geometry.angle_to_axis(orientation) > geometry.NOT_AXIAL_DEG:
        yield Fired(NOT_AXIAL, "Image Orientation", f"more than {geometry.NOT_AXIAL_DEG:g} degrees from axial")


def _body(header: Header, rules: Rules) -> Iterator[Fired]:
    words = rules.words(header.description)
    head = rules.phrases("head", "words").first(words)
    if head is not None:
        yield Fired("", _DESCRIPTION, head.phrase)
        return
    elsewhere = rules.phrases("body", "words").first(words)
    if elsewhere is not None:
        yield Fired(NOT_HEAD, _DESCRIPTION, elsewhere.phrase)
    part = rules.phrases("body", "parts").first((header.body_part.replace(" ", "").replace("_", "").casefold(),))
    if part is not None and header.body_part not in rules.entries("head", "parts"):
        yield Fired(NOT_HEAD, "Body Part Examined", part.phrase)


def _contrast(header: Header, rules: Rules) -> Iterator[Fired]:
    said = contrast_of(header, rules)
    if said.meaning != "silent":
        field, _, rule = said.rule.partition(": ")
        code = CONTRAST if said.meaning == "contrast" else ""
        yield Fired(code, field, rule if said.meaning != "unclear" else f"{rule} (with or without is not clear)")


def _kernel(header: Header, rules: Rules) -> Iterator[Fired]:
    found = sharp_rule(header.kernel, rules)
    if found:
        yield Fired(BONE_KERNEL, "Convolution Kernel", found)
    named = rules.phrases("kernel", "sharp").first(rules.words(header.description))
    if named is not None:
        yield Fired(BONE_KERNEL, _DESCRIPTION, named.phrase)


_CHECKS = (_capture, _modality, _localizer, _projection, _computed, _orientation, _body, _contrast, _kernel)


def _worded(code: str, section: str, header: Header, rules: Rules, *also: str) -> Iterator[Fired]:
    """What an image type, or a phrase in the description, of a section says."""
    typed = [value for value in rules.entries(section, "image_types") if value in header.image_type]
    yield from (Fired(code, "Image Type", value) for value in typed)
    hits = rules.phrases(section, *also, "words").find(rules.words(header.description))
    yield from (Fired(code, _DESCRIPTION, hit.phrase) for hit in hits if hit.kind == "words")
