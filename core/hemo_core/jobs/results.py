"""A job's results, read back from ``summary.csv``."""

from __future__ import annotations

import csv
import heapq
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field, fields
from pathlib import Path

from hemo_core import records
from hemo_core.bundle.findings import urgency
from hemo_core.errors import JobError, JobNotFound
from hemo_core.jobs import layout


@dataclass(frozen=True, slots=True)
class SummaryRow:
    """A line of ``summary.csv``; its columns have these names.

    Attributes:
        path: of the scan, below its root.
        highest_slice: number of the slice with the highest probability, from 1.
        slices: how many the model saw.
        quality: codes.
        code, message: why it was not scored.
        report: path of its report, below the job's folder.
        covered: what was looked at, in words.
    """

    path: str
    scan_id: str
    outcome: str
    label: str | None = None
    probability: float | None = None
    highest_slice: int | None = None
    slices: int | None = None
    quality: tuple[str, ...] = ()
    code: str | None = None
    message: str | None = None
    duplicate_of: str | None = None
    report: str | None = None
    covered: str | None = None


COLUMNS = tuple(one.name for one in fields(SummaryRow))


@dataclass(frozen=True, slots=True)
class Results:
    """A job's results, as many rows as were asked for.

    Attributes:
        page: the worklist, to be opened in a browser.
        outcomes, labels, codes: counts over all scans.
        scored: the highest first.
        not_scored: failed, rejected and cancelled scans, in the order of the job.
    """

    job: str
    folder: Path
    page: Path
    outcomes: Counter[str] = field(default_factory=Counter)
    labels: Counter[str] = field(default_factory=Counter)
    codes: Counter[str] = field(default_factory=Counter)
    scored: list[SummaryRow] = field(default_factory=list)
    not_scored: list[SummaryRow] = field(default_factory=list)


def read_results(job_dir: Path, limit: int) -> Results:
    """One pass over ``summary.csv``, ``limit`` rows of each kind kept. Raises JobNotFound, JobError."""
    folder = job_dir.resolve()
    found = Results(folder.name, folder, folder / layout.WORKLIST)
    highest: list[tuple[tuple[int, float, int], SummaryRow]] = []
    for number, row in enumerate(_rows(job_dir / layout.SUMMARY)):
        found.outcomes[row.outcome] += 1
        if row.code is not None:
            found.codes[row.code] += 1
        if row.outcome != "scored":
            if len(found.not_scored) < limit:
                found.not_scored.append(row)
            continue
        label = row.label or ""
        found.labels[label] += 1
        entry = (urgency(label), row.probability or 0.0, -number), row
        if len(highest) < limit:
            heapq.heappush(highest, entry)
        elif limit:
            heapq.heappushpop(highest, entry)
    found.scored.extend(row for _, row in sorted(highest, key=lambda entry: entry[0], reverse=True))
    return found


def _rows(path: Path) -> Iterator[SummaryRow]:
    try:
        with path.open(encoding="utf-8", newline="") as stream:
            for cells in csv.DictReader(stream):
                values = {name: value for name, value in cells.items() if value}
                yield records.decode(
                    SummaryRow,
                    {**values, "quality": values.get("quality", "").split()},
                    error=JobError,
                    what="summary",
                    path=path,
                    strict=False,
                )
    except OSError as problem:
        raise JobNotFound(
            f"no summary: {problem.strerror}",
            path=str(path),
            hint="is the job still running? `hemo-batch status` says; `hemo-batch resume` finishes an interrupted one",
        ) from problem
    except (UnicodeDecodeError, csv.Error) as problem:
        raise JobError(f"malformed summary: {problem}", path=str(path)) from problem
