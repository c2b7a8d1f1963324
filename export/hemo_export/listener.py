"""Who is told how an export goes on."""

from __future__ import annotations

from typing import Protocol

from hemo_export.gates import GateResult


class Listener(Protocol):
    """OwnerSettings about each step as it begins and about each gate as it finishes."""

    def step(self, text: str) -> None:
        """Something begins that takes a while."""

    def gate(self, precision: str, result: GateResult) -> None:
        """A gate finished."""

    def left_out(self, precision: str, reason: str, left: str) -> None:
        """A precision is not released; ``left`` is the folder with what reproduces it, or empty."""


class Silent:
    """Tells nobody."""

    def step(self, text: str) -> None:
        """See :class:`Listener`."""

    def gate(self, precision: str, result: GateResult) -> None:
        """See :class:`Listener`."""

    def left_out(self, precision: str, reason: str, left: str) -> None:
        """See :class:`Listener`."""
