"""``summary.csv``, and one pass over a job's reports that feeds it and the worklist page.

Memory is bounded whatever the job's size: the table streams, and the page keeps the scans that rank highest.
"""

from __future__ import annotations

import csv
import heapq
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TextIO

from hemo_core.files import replacing_text, sync_folder, write_durably
from hemo_core.jobs import layout, read_job_header
from hemo_core.jobs.results import COLUMNS
from hemo_core.text import csv_cell
from hemo_core.wording import label_texts
from hemo_worker.outputs.rows import Row, rows
from hemo_worker.outputs.worklist import Listing, worklist_page

PAGE_ROWS = 2000
SECTION_ROWS = 500


@dataclass(frozen=True, slots=True)
class Summary:
    """What a job came to. ``total`` is the sum of the outcomes.

    Attributes:
        outcomes: scans by outcome: scored, rejected, failed, cancelled, open.
        labels: scored scans by label.
        codes: failed and rejected scans by code.
        table, page: the files written.
    """

    total: int
    outcomes: Mapping[str, int]
    labels: Mapping[str, int]
    codes: Mapping[str, int]
    table: Path
    page: Path


@dataclass(slots=True)
class _Collector:
    """Counts every row, keeps few."""

    outcomes: Counter[str] = field(default_factory=Counter)
    labels: Counter[str] = field(default_factory=Counter)
    codes: Counter[str] = field(default_factory=Counter)
    providers: set[str] = field(default_factory=set)
    threshold: float | None = None
    finding: tuple[str, str] | None = None
    highest: list[tuple[tuple[int, float, int], Row]] = field(default_factory=list)
    sections: dict[str, list[Row]] = field(default_factory=dict)

    def watch(self, stream: Iterable[Row]) -> Iterator[Row]:
        """Pass the rows on, one by one."""
        for row in stream:
            self._take(row)
            yield row

    def _take(self, row: Row) -> None:
        self.outcomes[row.outcome] += 1
        if row.code is not None:
            self.codes[row.code] += 1
        if row.outcome != "scored":
            kept = self.sections.setdefault(row.outcome, [])
            if len(kept) < SECTION_ROWS:
                kept.append(row)
            return
        self.labels[row.label or ""] += 1
        self.threshold = row.threshold
        if row.finding is not None:
            self.finding = row.finding.name, row.finding.text
        if row.provider is not None:
            self.providers.add(row.provider)
        push = heapq.heappush if len(self.highest) < PAGE_ROWS else heapq.heappushpop
        push(self.highest, (row.urgency, row))


def summarise(job_dir: Path, *, finished: bool = True) -> Summary:
    """Write ``summary.csv`` and ``index.html`` from the manifest and the reports. Doing it again changes nothing.

    Args:
        job_dir: the job's folder.
        finished: every scan has ended; one without a report was cancelled. Else it is still open.

    Raises:
        SinkError: the disk refuses.
        JobNotFound, JobError: the folder holds no readable job.
    """
    header = read_job_header(job_dir)
    staging, table, page = job_dir / layout.STAGING, job_dir / layout.SUMMARY, job_dir / layout.WORKLIST
    seen = _Collector()
    with replacing_text(table, staging) as file:
        _write_table(file, seen.watch(rows(job_dir, finished=finished)))
    listing = Listing(
        header=header,
        outcomes=dict(seen.outcomes),
        labels=dict(seen.labels),
        label_texts=label_texts(seen.finding),
        codes=dict(seen.codes),
        threshold=seen.threshold,
        providers=tuple(sorted(seen.providers)),
        scored=tuple(row for _, row in sorted(seen.highest, key=lambda item: item[0], reverse=True)),
        sections={name: tuple(kept) for name, kept in seen.sections.items()},
    )
    write_durably(page, worklist_page(job_dir, listing), staging)
    sync_folder(job_dir)
    return Summary(seen.outcomes.total(), listing.outcomes, listing.labels, listing.codes, table, page)


def _write_table(file: TextIO, stream: Iterable[Row]) -> None:
    writer = csv.writer(file, lineterminator="\n")
    writer.writerow(COLUMNS)
    for row in stream:
        writer.writerow(_cells(row))


def _cells(row: Row) -> list[str]:
    return [
        csv_cell(row.path),
        row.scan_id,
        row.outcome,
        row.label or "",
        "" if row.probability is None else f"{row.probability:.6f}",
        "" if row.highest_slice is None else str(row.highest_slice),
        "" if row.slices is None else str(row.slices),
        " ".join(row.quality),
        row.code or "",
        csv_cell(row.message or ""),
        row.duplicate_of or "",
        row.report or "",
        row.covered or "",
    ]
