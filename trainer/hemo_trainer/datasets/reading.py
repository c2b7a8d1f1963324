"""What reading a data set gives: its slices, and what of it cannot be used."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from hemo_core.errors import DatasetError, HemoError
from hemo_trainer.datasets.record import SliceRecord

_NAMED = 50


@dataclass(frozen=True, slots=True)
class UnusableFile:
    """A file that cannot be used.

    Attributes:
        path: the file, or the row of a table that names one.
        code: stable, of :mod:`hemo_core.errors`.
        reason: one sentence.
    """

    path: str
    code: str
    reason: str

    @classmethod
    def of(cls, error: HemoError, path: str) -> UnusableFile:
        """From an expected failure."""
        return cls(path, error.code, error.message)


@dataclass(frozen=True, slots=True)
class Reading:
    """One data set.

    Attributes:
        records: its slices whose files are there.
        problems: what its tables name and what is not there or cannot be read.
    """

    records: tuple[SliceRecord, ...]
    problems: tuple[UnusableFile, ...] = ()


def refuse(problems: Sequence[UnusableFile], where: str = "") -> None:
    """Raise DatasetError, naming every problem (the first fifty of very many), if there is any."""
    if not problems:
        return
    lines = [f"{problem.path}: {problem.reason}" for problem in problems[:_NAMED]]
    if len(problems) > _NAMED:
        lines.append(f"and {len(problems) - _NAMED} more; `hemo-batch dataset check` names them all")
    count = f"{len(problems)} file{'s' if len(problems) > 1 else ''} cannot be used"
    raise DatasetError(
        f"{count}: {'; '.join(lines)}",
        path=where or None,
        hint="mend or remove them, or set skip_unreadable = true for this source",
    )
