"""Quality codes and their sentences, gathered while a scan is read."""

from __future__ import annotations

from collections.abc import Mapping

from hemo_core.scans.scan import Quality


class Findings:
    """Codes in order of discovery, each with a note; sentences of a code found twice are joined."""

    def __init__(self) -> None:
        self._notes: dict[str, list[str]] = {}

    def add(self, code: Quality, note: str) -> None:
        """Remember a code and one sentence about it; the same sentence is kept once."""
        notes = self._notes.setdefault(code.value, [])
        if note not in notes:
            notes.append(note)

    @property
    def codes(self) -> tuple[str, ...]:
        """All codes, without duplicates."""
        return tuple(self._notes)

    @property
    def notes(self) -> Mapping[str, str]:
        """The sentences, by code."""
        return {code: " ".join(notes) for code, notes in self._notes.items()}
