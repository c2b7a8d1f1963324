"""Where a data set lies, and how it is organised."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class DataSource:
    """One data set.

    Attributes:
        layout: how the folder is organised; names one of :mod:`hemo_trainer.datasets.layouts`.
        path: the folder, or for ``csv`` the table; relative paths are relative to the TOML file.
        name: what its records, and so its patients, are called after; empty for one that
            :func:`~hemo_trainer.datasets.layouts.named_sources` gives.
        share: relative weight of this source when a batch is drawn.
        train_only: never score it (its patients are unknown).
        skip_unreadable: leave missing and unreadable files out, and say so, instead of refusing to start.
        positive, negative: for ``folder``, the class folders with and without the finding; empty for the usual ones.
    """

    layout: str
    path: str
    name: str = ""
    share: float = 1.0
    train_only: bool = False
    skip_unreadable: bool = False
    positive: tuple[str, ...] = ()
    negative: tuple[str, ...] = ()
