"""The report's sections in their order."""

from __future__ import annotations

from hemo_trainer.evaluation.report import content, limits
from hemo_trainer.evaluation.report.content import Evidence
from hemo_trainer.evaluation.report.document import Section


def sections(evidence: Evidence, *, pictured: bool) -> tuple[Section, ...]:
    """All sections that these data allow.

    Args:
        evidence: what was measured.
        pictured: the page shows pictures of the cases.
    """
    written = (
        content.glance(evidence),
        content.data(evidence),
        content.discrimination(evidence),
        content.thresholds(evidence),
        content.calibration(evidence),
        content.decision(evidence),
        limits.subgroups(evidence),
        limits.cases(evidence, pictured=pictured),
        limits.heatmaps(evidence),
        limits.comparison(evidence),
        limits.unknown(evidence),
        limits.method(evidence),
        limits.checklist(evidence),
    )
    return tuple(section for section in written if section is not None)
