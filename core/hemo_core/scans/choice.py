"""Which series of a study is scored: the axial, non-contrast, soft-kernel series of the head.

Every series that is not has a code and a reason, and every code can be overridden.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from hemo_core.scans.kernels import is_sharp
from hemo_core.scans.readers import geometry
from hemo_core.scans.readers.dicom_header import Header
from hemo_core.scans.scan import Cause
from hemo_core.scans.series import Series

NOT_CT = "not_ct"
SECONDARY_CAPTURE = "secondary_capture"
LOCALIZER = "localizer"
PROJECTION = "projection"
NOT_AXIAL = "not_axial"
NOT_HEAD = "not_head"
CONTRAST = "contrast"
BONE_KERNEL = "bone_kernel"
TOO_FEW_SLICES = "too_few_slices"
NOT_CHOSEN = "not_chosen"

REJECTION_CODES = (
    NOT_CT,
    SECONDARY_CAPTURE,
    LOCALIZER,
    PROJECTION,
    NOT_AXIAL,
    NOT_HEAD,
    CONTRAST,
    BONE_KERNEL,
    TOO_FEW_SLICES,
    NOT_CHOSEN,
)

_SECONDARY_CAPTURE_CLASS = "1.2.840.10008.5.1.4.1.1.7"
_FEW_SLICES = 5
_TRAINING_SPACING_MM = 5.0
_NO_CONTRAST = re.compile(r"^\W*(no|none|non|nein|without|0|n)?\W*$", re.IGNORECASE)
_LOCALIZER = re.compile(r"\b(scout|topogram|topo|localizer|localiser|surview|scanogram|scanogramm)\b")
_PLAIN_WORDS = re.compile(
    r"\b(non ?con(trast)?|nect|ncct|nc|without( contrast)?|w o( contrast)?|unenhanced|plain|pre contrast|native?)\b"
)
_CONTRAST_WORDS = re.compile(
    r"\b(post ?con(trast)?|contrast|cect|ce|cta|ctv|angio\w*|arterial|venous|perfusion|ctp|delayed|iv|km)\b|\+c\b|c\+"
)
_PROJECTION_WORDS = re.compile(r"\b(mip|minip|vrt|3d|cbf|cbv|mtt|ttp|tmax|rapid)\b")
_HEAD_WORDS = re.compile(r"\b(head|brain|cranium|skull|cerebr\w*|cranial|schaedel|kopf|crane|neuro)\b")
_BODY_WORDS = re.compile(
    r"\b(c?spine|cervical|chest|thorax|abdomen|pelvis|lumbar|extremity|knee|hip|shoulder|heart|lung|neck|sinus\w*)\b"
)
_BODY_PARTS = frozenset(
    {
        *(
            "CHEST",
            "THORAX",
            "ABDOMEN",
            "PELVIS",
            "ABDOMENPELVIS",
            "CHESTABDPELVIS",
            "HEART",
            "LUNG",
            "LIVER",
            "KIDNEY",
        ),
        *("COLON", "SPINE", "CSPINE", "TSPINE", "LSPINE", "SSPINE", "EXTREMITY", "KNEE", "HIP", "SHOULDER", "ANKLE"),
        *("FOOT", "HAND", "WRIST", "ELBOW"),
    }
)


def own_rejection(series: Series, overrides: frozenset[str]) -> Cause | None:
    """Why a series would not be scored even if it were the only one; None if it could be."""
    header = series.header
    return next((found for found in _reasons(header) if found.code not in overrides), None)


def choose(candidates: Sequence[Series], overrides: frozenset[str], *, all_series: bool) -> list[Cause | None]:
    """Choose one series of a study. Returns a rejection for each candidate, None for what is scored."""
    if len(candidates) < 2 or all_series:  # noqa: PLR2004 - nothing to choose from
        return [None] * len(candidates)
    best = max(candidates, key=_rank)
    verdicts = [None if one is best else _second(one, best) for one in candidates]
    return [None if verdict is not None and verdict.code in overrides else verdict for verdict in verdicts]


def _second(series: Series, best: Series) -> Cause:
    name = best.header.description or best.header.series_number or best.key
    if series.slices < _FEW_SLICES <= best.slices:
        return Cause(TOO_FEW_SLICES, f"{series.slices} slices; the study has {best.slices} in series {name!r}")
    return Cause(NOT_CHOSEN, f"series {name!r} of the same study was chosen")


def _rank(series: Series) -> tuple[bool, bool, bool, bool, float, int, str]:
    """Larger is better: enough slices, of the head, original, spaced as the training series were."""
    header = series.header
    words = _words(header.description)
    spacing = series.spacing_mm or _TRAINING_SPACING_MM
    return (
        series.slices >= _FEW_SLICES,
        not _BODY_WORDS.search(words),
        bool(_HEAD_WORDS.search(words)) or header.body_part in {"HEAD", "BRAIN", "SKULL"},
        "DERIVED" not in header.image_type,
        -round(abs(min(spacing, 2 * _TRAINING_SPACING_MM) - _TRAINING_SPACING_MM), 1),
        series.slices,
        series.key,
    )


def _reasons(header: Header) -> list[Cause]:
    """All that speaks against a series, most telling first."""
    words = _words(header.description)
    checks = (
        (_is_capture(header, words), SECONDARY_CAPTURE, "a screen capture or report page, not a scan"),
        (header.modality not in {"CT", ""}, NOT_CT, f"modality {header.modality}, not CT"),
        (_is_localizer(header, words), LOCALIZER, "a localizer (scout, topogram)"),
        (_is_projection(header, words), PROJECTION, "a projection, rendering or map computed from a scan"),
        (_is_not_axial(header), NOT_AXIAL, "the slices are not axial"),
        (_is_not_head(header), NOT_HEAD, f"body part {header.body_part}, not the head"),
        (_has_contrast(header, words), CONTRAST, _contrast_reason(header)),
        (is_sharp(header.kernel, header.description), BONE_KERNEL, _kernel_reason(header)),
    )
    return [Cause(code, reason) for found, code, reason in checks if found]


def _is_capture(header: Header, words: str) -> bool:
    typed = any(value in {"SCREEN SAVE", "SCREENSAVE"} for value in header.image_type)
    named = "dose report" in words or "patient protocol" in words
    return typed or named or header.sop_class.startswith(_SECONDARY_CAPTURE_CLASS)


def _is_localizer(header: Header, words: str) -> bool:
    return "LOCALIZER" in header.image_type or _LOCALIZER.search(words) is not None


def _is_projection(header: Header, words: str) -> bool:
    typed = any(value in {"PROJECTION IMAGE", "MIP", "MINIP", "VRT", "PERFUSION"} for value in header.image_type)
    derived = "DERIVED" in header.image_type or "SECONDARY" in header.image_type
    return typed or (derived and _PROJECTION_WORDS.search(words) is not None)


def _is_not_axial(header: Header) -> bool:
    orientation = header.planes[0].orientation
    return orientation is not None and geometry.angle_to_axis(orientation) > geometry.NOT_AXIAL_DEG


def _is_not_head(header: Header) -> bool:
    named = _HEAD_WORDS.search(_words(f"{header.description} {header.study_description}")) is not None
    return header.body_part in _BODY_PARTS and not named


def _has_contrast(header: Header, words: str) -> bool:
    if not _NO_CONTRAST.match(header.contrast):
        return True
    return _CONTRAST_WORDS.search(_PLAIN_WORDS.sub(" ", words)) is not None


def _contrast_reason(header: Header) -> str:
    return f"contrast agent: {header.contrast or header.description}"


def _kernel_reason(header: Header) -> str:
    return (
        f"reconstructed for bone or lung: kernel {header.kernel or 'unnamed'}, {header.description or 'no description'}"
    )


def _words(text: str) -> str:
    """Lower case, separators as spaces, so that word patterns match."""
    return re.sub(r"[_\-./^,;:()\[\]]+", " ", text.lower())
