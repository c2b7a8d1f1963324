"""The words of the intracranial hemorrhage data sets: one finding, and five subtypes of it."""

from __future__ import annotations

from collections.abc import Mapping

HEMORRHAGE = "hemorrhage"
SUBTYPES = ("epidural", "subdural", "subarachnoid", "intraparenchymal", "intraventricular")


def hemorrhage_labels(label: int | None, subtypes: Mapping[str, int | None]) -> dict[str, int | None]:
    """Labels by finding. A slice without hemorrhage has none of the subtypes, even where the source names none."""
    known = dict.fromkeys(SUBTYPES, 0) if label == 0 else {name: subtypes.get(name) for name in SUBTYPES}
    return {HEMORRHAGE: label, **known}
