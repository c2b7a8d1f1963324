"""``index.html``: the worklist. One file with its style, script and data inside; it opens offline."""

from __future__ import annotations

import base64
import csv
import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import islice, pairwise
from pathlib import Path
from typing import Any

import hemo_core
from hemo_core.jobs.header import JobHeader
from hemo_core.jobs.rows import IGNORED_FILE
from hemo_core.scans.scan import Quality
from hemo_core.text import Html, asset, fill, join, page_style, visible
from hemo_core.wording import LABEL_TEXT, OUTCOME_TEXT, QUALITY_TEXT, STATEMENT
from hemo_worker.outputs.rows import Row

_PACKAGE = "hemo_worker.outputs"
_PROFILE_BARS = 66
_IGNORED_ROWS = 500
_SHORT_DIGEST = 16
_FILTER_TILE = """<li><button type="button" class="$label" data-label="$label" aria-pressed="$pressed">
<b>$count</b>$text</button>"""
_LINK_TILE = '<li><a class="count" href="#$name"><b>$count</b>$text</a>'
_EMPTY_TILE = '<li><span class="count"><b>$count</b>$text</span>'
_TITLES: Mapping[str, str] = {"failed": "Failed", "rejected": "Rejected", "cancelled": "Cancelled", "open": "Open"}


@dataclass(frozen=True, slots=True)
class Listing:
    """What the page shows of a job.

    Attributes:
        outcomes, labels, codes: counts over every scan of the job.
        providers: what ran the model, as "provider, precision".
        scored: the scored scans that rank highest, highest first; maybe not all.
        sections: the first unscored scans by outcome; maybe not all.
    """

    header: JobHeader
    outcomes: Mapping[str, int]
    labels: Mapping[str, int]
    codes: Mapping[str, int]
    threshold: float | None
    providers: tuple[str, ...]
    scored: tuple[Row, ...]
    sections: Mapping[str, tuple[Row, ...]]


def worklist_page(job_dir: Path, listing: Listing) -> bytes:
    """The page, UTF-8. The same job gives the same bytes.

    Only data block and markup hold what came from outside: the block has every ``<`` escaped, and the script writes
    text nodes. The page's policy (CSP) allows this one script, by its digest, and no connection anywhere.
    """
    script = asset(_PACKAGE, "worklist.js")
    page = fill(
        asset(_PACKAGE, "worklist.html"),
        job=listing.header.job,
        style=page_style(_PACKAGE, "outputs.css"),
        script=Html(script),
        script_digest=Html(_digest(script)),
        statement=STATEMENT,
        badge=_phantom_badge(listing),
        facts=_facts(listing),
        counts=_counts(listing, _count_ignored(job_dir)),
        extent=_extent(listing),
        sections=join([_section(name, listing) for name in _TITLES] + [_ignored(job_dir)]),
        data=_data(listing),
    )
    return page.encode("utf-8")


def _digest(script: str) -> str:
    return "sha256-" + base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()


def _phantom_badge(listing: Listing) -> Html:
    phantoms = sum(Quality.PHANTOM in row.quality for row in listing.scored)
    if not phantoms:
        return Html("")
    text = "all scans here are phantoms" if phantoms == len(listing.scored) else f"{phantoms} phantoms among the scans"
    return fill('<span class="tag phantom" title="$text">Phantom</span>', text=text)


def _facts(listing: Listing) -> Html:
    header = listing.header
    threshold = "none yet" if listing.threshold is None else f"{listing.threshold:.3f}"
    digest = fill('<code title="$whole">$short</code>', whole=header.bundle_digest, short=_short(header.bundle_digest))
    facts: list[tuple[str, str]] = [
        ("Model", f"{header.bundle_name} {header.bundle_version}"),
        ("Digest", digest),
        ("Threshold", threshold),
        ("Run by", "; ".join(listing.providers) or "nothing yet"),
        ("Submitted", header.created.replace("T", " ").replace("Z", " UTC")),
        ("Input", ", ".join(header.roots)),
        ("Software", f"hemo-batch {hemo_core.__version__}"),
    ]
    return join([fill("<div><dt>$name</dt><dd>$value</dd></div>", name=name, value=value) for name, value in facts])


def _short(digest: str) -> str:
    return digest.removeprefix("sha256:")[:_SHORT_DIGEST] + "…"


def _counts(listing: Listing, ignored: int) -> Html:
    scored = listing.outcomes.get("scored", 0)
    tiles = [_filter("", "all scored", scored, pressed=True)]
    tiles += [_filter(label, text, listing.labels.get(label, 0)) for label, text in LABEL_TEXT.items()]
    others = [(name, title.lower(), listing.outcomes.get(name, 0)) for name, title in _TITLES.items()]
    tiles += [
        _link(*other) for other in [*others, ("ignored", "files ignored", ignored)] if other[2] or other[0] == "failed"
    ]
    return join(tiles)


def _filter(label: str, text: str, count: int, *, pressed: bool = False) -> Html:
    return fill(_FILTER_TILE, label=label, text=text, count=f"{count:,}", pressed=str(pressed).lower())


def _link(name: str, text: str, count: int) -> Html:
    return fill(_LINK_TILE if count else _EMPTY_TILE, name=name, text=text, count=f"{count:,}")


def _extent(listing: Listing) -> Html:
    total, here = listing.outcomes.get("scored", 0), len(listing.scored)
    table = Html('<a href="summary.csv">summary.csv</a>')
    if here == total:
        return fill("Every scan of the job, scored or not, is a row of $table.", table=table)
    template = (
        "This page holds the $here scans that rank highest of $total scored; search, filter and sort see only these. "
        "Every scan of the job is a row of $table."
    )
    return fill(template, here=f"{here:,}", total=f"{total:,}", table=table)


def _section(name: str, listing: Listing) -> Html:
    kept, total = listing.sections.get(name, ()), listing.outcomes.get(name, 0)
    if not total:
        return Html("")
    template = """
<h2 id="$name">$title <span class="quiet">$total · $meaning</span></h2>
<div class="panel wide"><table><thead><tr><th scope="col">Scan</th><th scope="col">Code</th><th scope="col">Why</th>
<th scope="col">Report</th></tr></thead>
<tbody>$rows</tbody></table></div>$rest"""
    meaning = OUTCOME_TEXT.get(name, "not scored yet")
    lines = join([_unscored(row) for row in kept])
    return fill(
        template,
        name=name,
        title=_TITLES[name],
        total=f"{total:,}",
        meaning=meaning,
        rows=lines,
        rest=_rest(kept, total),
    )


def _unscored(row: Row) -> Html:
    template = """<tr><th scope="row" class="scan breaks">$path<small>$id · $kind$twin</small></th><td>$code</td>
<td class="breaks">$message$hint</td><td>$report</td></tr>"""
    return fill(
        template,
        path=row.path,
        id=row.scan_id,
        kind=row.kind,
        twin=f" · same content as {row.duplicate_of}" if row.duplicate_of else "",
        code=fill('<span class="tag">$code</span>', code=row.code) if row.code else Html(""),
        message=row.message or "",
        hint=fill("<br><small>$hint</small>", hint=row.hint) if row.hint else Html(""),
        report=fill('<a href="$href">JSON</a>', href=row.report) if row.report else Html(""),
    )


def _rest(kept: tuple[Any, ...], total: int, table: str = "summary.csv") -> Html:
    if len(kept) >= total:
        return Html("")
    return fill(
        '<p class="quiet">The first $kept of $total; the rest is in <a href="$table">$table</a>.</p>',
        kept=f"{len(kept):,}",
        total=f"{total:,}",
        table=table,
    )


def _ignored(job_dir: Path) -> Html:
    total = _count_ignored(job_dir)
    if not total:
        return Html("")
    with (job_dir / IGNORED_FILE).open(encoding="utf-8", newline="") as file:
        first = tuple(islice(csv.DictReader(file), _IGNORED_ROWS))
    template = """
<details class="panel" id="ignored">
<summary>Files ignored <span class="quiet">$total · no scans by their kind</span></summary>
<div class="wide"><table><thead><tr><th scope="col">File</th><th scope="col">Why</th></tr></thead>
<tbody>$rows</tbody></table></div>$rest</details>"""
    row = '<tr><th scope="row" class="breaks">$path</th><td>$reason</td></tr>'
    lines = join([fill(row, path=line["path"], reason=line["reason"]) for line in first])
    return fill(template, total=f"{total:,}", rows=lines, rest=_rest(first, total, IGNORED_FILE))


def _count_ignored(job_dir: Path) -> int:
    try:
        with (job_dir / IGNORED_FILE).open(encoding="utf-8", newline="") as file:
            return sum(1 for _ in csv.DictReader(file))
    except FileNotFoundError:
        return 0


def _data(listing: Listing) -> Html:
    """The table's rows as JSON that no HTML parser can leave."""
    block = {
        "rows": [_entry(row) for row in listing.scored],
        "threshold": listing.threshold or 0,
        "texts": {"label": dict(LABEL_TEXT), "quality": {str(code): text for code, text in QUALITY_TEXT.items()}},
    }
    text = json.dumps(block, separators=(",", ":"), allow_nan=False)
    return Html(text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026"))


def _entry(row: Row) -> dict[str, Any]:
    return {
        "id": row.scan_id,
        "path": visible(row.path),
        "kind": row.kind,
        "label": row.label,
        "score": row.probability,
        "highest": row.highest_slice,
        "slices": row.slices,
        "profile": _profile(row.slice_probabilities),
        "quality": list(row.quality),
        "duplicate_of": row.duplicate_of,
        "page": row.page,
        "report": row.report,
        "picture": row.picture,
    }


def _profile(values: tuple[float, ...]) -> list[float]:
    """Slice probabilities; in long series the greatest of neighbours, so that no peak is lost."""
    bars = min(len(values), _PROFILE_BARS)
    edges = [round(at * len(values) / bars) for at in range(bars + 1)]
    return [round(max(values[first:last]), 4) for first, last in pairwise(edges)]
