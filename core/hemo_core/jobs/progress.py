"""How far a job is."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from typing import Any, Literal, TypeAlias

JobState: TypeAlias = Literal["submitting", "running", "done", "cancelled"]
Ending: TypeAlias = Literal["scored", "failed", "rejected", "cancelled"]


@dataclass(frozen=True, slots=True)
class Progress:
    """A snapshot. ``total = scored + rejected + failed + cancelled + open``, always.

    Attributes:
        state: ``done`` once every scan has ended and the summary is written; ``cancelled`` after a cancel.
        codes: how many scans failed with each code.
        labels: how many scored scans have each label.
        slices: slices scored since the job was created or rebuilt.
        created, started, finished: seconds since 1970 by the broker's clock; None where it has not happened.
        now: the broker's clock when the snapshot was taken.
        summarised: ``summary.csv`` and ``index.html`` are written.
        note: why nothing moves, in a worker's words; None if all is well.
    """

    job: str
    state: JobState
    total: int
    scored: int
    failed: int
    rejected: int
    cancelled: int
    slices: int
    created: float
    started: float | None
    finished: float | None
    now: float
    summarised: bool
    codes: Mapping[str, int] = field(default_factory=dict)
    labels: Mapping[str, int] = field(default_factory=dict)
    note: str | None = None

    @property
    def ended(self) -> int:
        """Scans that have a final outcome."""
        return self.scored + self.failed + self.rejected + self.cancelled

    @property
    def open(self) -> int:
        """Scans still to come."""
        return self.total - self.ended

    @property
    def complete(self) -> bool:
        """Nothing more will happen: every scan has ended and the summary is written."""
        return self.open == 0 and self.summarised and self.state in ("done", "cancelled")

    @property
    def seconds(self) -> float:
        """Time from the first scan's start to the end or to now; 0 before it."""
        return 0.0 if self.started is None else max((self.finished or self.now) - self.started, 0.0)

    @property
    def scans_per_second(self) -> float:
        """Mean rate since the start."""
        done = self.scored + self.failed + self.rejected
        return done / self.seconds if self.seconds else 0.0

    @property
    def seconds_left(self) -> float | None:
        """Estimate at the mean rate; None while there is none."""
        return self.open / self.scans_per_second if self.scans_per_second else None

    def to_json(self) -> dict[str, Any]:
        """JSON-ready form, with the derived values and ISO times in UTC."""
        body: dict[str, Any] = asdict(self)
        for name in ("created", "started", "finished"):
            body[name] = None if body[name] is None else _iso(body[name])
        del body["now"]
        rate = round(self.scans_per_second, 3)
        return {**body, "open": self.open, "complete": self.complete, "scans_per_second": rate}


def _iso(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
