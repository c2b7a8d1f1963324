"""``evidence.html``: the report as one file. No script and nothing from outside; it opens offline."""

from __future__ import annotations

import base64
from collections.abc import Callable, Iterator, Mapping
from functools import partial

from hemo_core.pages import render
from hemo_trainer.evaluation.report.content import Evidence, finding_text
from hemo_trainer.evaluation.report.document import NONE, Section
from hemo_trainer.evaluation.report.plots import inline

_PACKAGE = "hemo_trainer.evaluation.report"
_JPEG = b"\xff\xd8"


def evidence_page(
    evidence: Evidence, sections: tuple[Section, ...], plots: Mapping[str, str], pictures: Mapping[str, bytes]
) -> bytes:
    """The whole page, UTF-8.

    Args:
        evidence: gives the title and its first lines.
        sections: of the report.
        plots: SVG by name.
        pictures: PNG or JPEG by name.
    """
    drawn: dict[str, Callable[[str], object]] = {name: partial(inline, name, svg) for name, svg in plots.items()}
    return render(
        _PACKAGE,
        "evidence.html",
        evidence=evidence,
        about=evidence["about"],
        finding=finding_text(evidence),
        facts=[(name, value) for name, value in _headline(evidence) if value],
        sections=[
            {
                "anchor": section.anchor,
                "title": section.title,
                "blocks": [(type(block).__name__, block) for block in section.blocks],
            }
            for section in sections
        ],
        plots=drawn,
        pictures={name: _as_address(data) for name, data in pictures.items()},
        none_sign=NONE,
    )


def _headline(evidence: Evidence) -> Iterator[tuple[str, str]]:
    """Model and data in a line under the title."""
    about = evidence["about"]
    groups = [group for group in evidence["groups"] if not group["pooled"]]
    yield "Model", " ".join(str(about["model"].get(key, "")) for key in ("name", "version")).strip()
    yield "Digest", str(about["model"].get("digest", ""))[:16]
    yield "Graphs", ", ".join(filter(None, (about["precision"], about["provider"])))
    for unit in ("patients", "exams", "slices"):
        yield unit.capitalize(), str(sum(group[unit] for group in groups))
    yield "Data", str(about["data"].get("fingerprint", ""))[:16]


def _as_address(picture: bytes) -> str:
    kind = "jpeg" if picture.startswith(_JPEG) else "png"
    return f"data:image/{kind};base64,{base64.b64encode(picture).decode()}"
