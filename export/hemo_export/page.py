"""``evidence/export.html``: what the gates measured, as a page that opens offline."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from hemo_core.text import Html, asset, fill, join, page_style
from hemo_core.wording import STATEMENT
from hemo_export.table import COLUMNS, rows

PAGE = "evidence/export.html"
_PACKAGE = "hemo_export"


def export_page(manifest: Mapping[str, Any]) -> bytes:
    """The page, UTF-8: the table of precisions and every gate of each.

    Args:
        manifest: ``bundle.json`` with ``variants``, ``gates``, ``parity`` and ``files``.
    """
    page = fill(
        asset(_PACKAGE, "export.html"),
        style=page_style(_PACKAGE, "export.css"),
        name=manifest["name"],
        version=manifest["version"],
        statement=STATEMENT,
        data=_data(manifest["gates"]["data"]),
        head=join([fill('<th scope="col">$text</th>', text=text) for text in COLUMNS]),
        rows=join([_cells(row) for row in rows(manifest)]),
        gates=join([_gates(precision, entry) for precision, entry in manifest["variants"].items()]),
        libraries=", ".join(f"{name} {found}" for name, found in sorted(manifest["libraries"].items())),
    )
    return page.encode("utf-8")


def _data(data: Mapping[str, Any]) -> str:
    """What the models were asked about, and what follows from it."""
    told = (
        f"{data['scans']} {data['origin']} with {data['slices']} slices ({data['positive_scans']} scans and "
        f"{data['positive_slices']} slices show hemorrhage)."
    )
    if data["origin"] == "phantoms":
        return f"{told} Phantoms show whether two graphs agree; they say nothing about patients."
    if data["scored_before"]:
        return f"{told} The model was fitted on them too, so only differences between graphs are given."
    return told


def _cells(row: Iterable[str]) -> Html:
    first, *others = row
    cells = join([fill("<td>$text</td>", text=text) for text in others])
    return fill('<tr><th scope="row">$first</th>$cells</tr>', first=first, cells=cells)


def _gates(precision: str, entry: Mapping[str, Any]) -> Html:
    """The section of one precision."""
    listed = join([_gate(name, result) for name, result in entry.get("gates", {}).items()])
    why = "" if entry["released"] else fill('<p class="notice">Not released: $why</p>', why=entry["reason"])
    head = fill("<h2>Gates of $precision</h2>$why", precision=precision, why=why)
    if not listed:
        return head
    table = '<div class="panel wide"><table><thead><tr>$head</tr></thead><tbody>$rows</tbody></table></div>'
    names = ("gate", "verdict", "figure", "limit", "note")
    columns = join([fill('<th scope="col">$name</th>', name=name) for name in names])
    return join([head, fill(table, head=columns, rows=listed)])


def _gate(name: str, result: Mapping[str, Any]) -> Html:
    told = [str(result.get(key, "")) for key in ("verdict", "figure", "limit", "detail")]
    return _cells((name, *told))
