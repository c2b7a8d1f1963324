"""What goes into the pipeline and what comes out of it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from hemo_core.bundle import Bundle
from hemo_core.inference.gradcam import Explainer
from hemo_core.inference.session import Engine
from hemo_core.report import Report
from hemo_core.scans.scan import ScanRef


@dataclass(frozen=True, slots=True)
class Work:
    """One row to be done.

    Attributes:
        alone: nothing else may be in flight with it.
        poison: it killed its process too often and is to be failed unread.
    """

    row: int
    chunk: int
    ref: ScanRef
    alone: bool = False
    poison: bool = False


@dataclass(frozen=True, slots=True)
class Limits:
    """How far the pipeline reads ahead, see :class:`hemo_worker.settings.WorkerSettings`."""

    readers: int = 2
    writers: int = 2
    ahead: int = 64
    ahead_bytes: int = 1 << 30


@dataclass(frozen=True, slots=True)
class LoadedModel:
    """A loaded bundle.

    Attributes:
        explainer: gives the explaining half, and waits for it if it is still being loaded.
    """

    bundle: Bundle
    engine: Engine
    explainer: Callable[[], Explainer]


@dataclass(frozen=True, slots=True)
class Finished:
    """A row's end.

    Attributes:
        files: what is to be written, in that order.
        slices: model slices scored.
        timings: seconds by stage.
    """

    work: Work
    report: Report
    files: Mapping[str, bytes]
    slices: int
    timings: dict[str, float]


class Outlet(Protocol):
    """Where the pipeline's rows come from and go to."""

    def begin(self, work: Sequence[Work]) -> bool:
        """Record rows as in flight before they are touched; False to leave them alone and stop."""

    def end(self, finished: Finished) -> None:
        """Write and mark a row. Called from several threads."""
