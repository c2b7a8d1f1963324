"""``index.html``: the worklist. One file with its style, script and data inside; it opens offline."""

from __future__ import annotations

import csv
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import islice, pairwise
from pathlib import Path
from typing import Any

import hemo_core
from hemo_core.bundle.findings import standing
from hemo_core.jobs import JobHeader, layout
from hemo_core.pages import render
from hemo_core.scans.scan import Quality
from hemo_core.wording import OUTCOME_TEXT, STATEMENT
from hemo_worker.outputs.rows import Row

_PROFILE_BARS = 66
_IGNORED_ROWS = 500
_TITLES: Mapping[str, str] = {"failed": "Failed", "rejected": "Rejected", "cancelled": "Cancelled", "open": "Open"}


@dataclass(frozen=True, slots=True)
class Listing:
    """What the page shows of a job.

    Attributes:
        outcomes, labels, codes: counts over every scan of the job.
        label_texts: every label of the model in words, the most urgent first.
        providers: what ran the model, as "provider, precision".
        scored: the scored scans that rank highest, highest first; maybe not all.
        sections: the first unscored scans by outcome; maybe not all.
    """

    header: JobHeader
    outcomes: Mapping[str, int]
    labels: Mapping[str, int]
    label_texts: Mapping[str, str]
    codes: Mapping[str, int]
    threshold: float | None
    providers: tuple[str, ...]
    scored: tuple[Row, ...]
    sections: Mapping[str, tuple[Row, ...]]


def worklist_page(job_dir: Path, listing: Listing) -> bytes:
    """The page, UTF-8. The same job gives the same bytes.

    The page's policy (CSP) allows its one script, by its digest, and no connection anywhere; the script writes what
    came from outside as text nodes.
    """
    ignored = _ignored(job_dir)
    return render(
        "hemo_worker.outputs",
        "worklist.html",
        header=listing.header,
        listing=listing,
        statement=STATEMENT,
        software=hemo_core.__version__,
        phantoms=_phantoms(listing),
        scored=listing.outcomes.get("scored", 0),
        standing=standing,
        tiles=_tiles(listing, ignored["total"]),
        sections=[_section(name, listing) for name in _TITLES if listing.outcomes.get(name)],
        ignored=ignored,
        ignored_file=layout.IGNORED,
        data=_data(listing),
    )


def _phantoms(listing: Listing) -> str:
    """What to say of phantoms among the scans; empty if there are none."""
    phantoms = sum(Quality.PHANTOM in row.quality for row in listing.scored)
    if not phantoms:
        return ""
    return "all scans here are phantoms" if phantoms == len(listing.scored) else f"{phantoms} phantoms among the scans"


def _tiles(listing: Listing, ignored: int) -> list[dict[str, Any]]:
    """The counts that lead to a section below; those of nothing are left out, but for failures."""
    counts = [(name, title.lower(), listing.outcomes.get(name, 0)) for name, title in _TITLES.items()]
    return [
        {"name": name, "title": title, "count": count}
        for name, title, count in [*counts, ("ignored", "files ignored", ignored)]
        if count or name == "failed"
    ]


def _section(name: str, listing: Listing) -> dict[str, Any]:
    return {
        "name": name,
        "title": _TITLES[name],
        "meaning": OUTCOME_TEXT.get(name, "not scored yet"),
        "total": listing.outcomes[name],
        "rows": listing.sections.get(name, ()),
    }


def _ignored(job_dir: Path) -> dict[str, Any]:
    """How many files were ignored, and the first of them."""
    try:
        with (job_dir / layout.IGNORED).open(encoding="utf-8", newline="") as file:
            reader = csv.DictReader(file)
            first = list(islice(reader, _IGNORED_ROWS))
            return {"rows": first, "total": len(first) + sum(1 for _ in reader)}
    except FileNotFoundError:
        return {"rows": [], "total": 0}


def _data(listing: Listing) -> dict[str, Any]:
    """What the page's script shows in the table."""
    return {
        "rows": [_entry(row) for row in listing.scored],
        "threshold": listing.threshold or 0,
        "texts": {
            "label": dict(listing.label_texts),
            "quality": {code.value: code.text for code in Quality},
        },
    }


def _entry(row: Row) -> dict[str, Any]:
    return {
        "id": row.scan_id,
        "path": row.path,
        "kind": row.kind,
        "covered": row.covered,
        "label": row.label,
        "standing": standing(row.label or ""),
        "details": list(row.details),
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
