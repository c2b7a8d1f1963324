"""``evidence/export.html``: what the gates measured, as a page that opens offline."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from hemo_core.bundle import Bundle
from hemo_core.pages import render
from hemo_core.wording import STATEMENT
from hemo_export.table import COLUMNS, rows

PAGE = "evidence/export.html"


def export_page(bundle: Bundle) -> bytes:
    """The page, UTF-8: the table of precisions and every gate of each.

    Args:
        bundle: with ``variants``, ``gates`` and ``parity``.
    """
    manifest = bundle.content
    return render(
        "hemo_export",
        "export.html",
        manifest=manifest,
        statement=STATEMENT,
        asked_about=_asked_about(manifest["gates"]["data"], bundle.scoring.primary.text),
        columns=COLUMNS,
        rows=rows(manifest),
    )


def _asked_about(data: Mapping[str, Any], finding: str) -> str:
    """What the models were asked about, and what follows from it."""
    asked = (
        f"{data['scans']} {data['origin']} with {data['slices']} slices ({data['positive_scans']} scans and "
        f"{data['positive_slices']} slices show {finding})."
    )
    if data["origin"] == "phantoms":
        return f"{asked} Phantoms show whether two graphs agree; they say nothing about patients."
    if data["scored_before"]:
        return f"{asked} The model was fitted on them too, so only differences between graphs are given."
    return asked
