"""The report on disk: ``evidence.json``, ``evidence.html``, ``evidence.md`` and their plots."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from hemo_core.bundle import MANIFEST
from hemo_core.errors import SettingsError
from hemo_core.training_run import RUN
from hemo_trainer.evaluation.report import content, limits
from hemo_trainer.evaluation.report.content import Evidence
from hemo_trainer.evaluation.report.document import Section
from hemo_trainer.evaluation.report.markdown import markdown
from hemo_trainer.evaluation.report.page import evidence_page
from hemo_trainer.evaluation.report.plots import plots

JSON, HTML, MARKDOWN = "evidence.json", "evidence.html", "evidence.md"
PLOTS = "plots"

_IGNORE = "# Pictures of scans may lie here. They are not for version control.\n*\n"


def write_evidence(out: Path, evidence: Mapping[str, Any], *, pictures: Mapping[str, bytes] | None = None) -> Path:
    """Write the report.

    Args:
        out: its folder, made if it is not there; files of an earlier report are replaced.
        evidence: of :func:`~hemo_trainer.evaluation.evidence.evidence_from_predictions`.
        pictures: PNG or JPEG by name: those of ``cases`` and of ``heatmaps["pictures"]``. They go into the page and
            nowhere else, and then the folder keeps itself out of version control.

    Returns:
        The page.

    Raises:
        SettingsError: the folder belongs to a bundle, or travels with one, and pictures were given.
    """
    pictures = pictures or {}
    if pictures:
        refuse_travelling(out)
    drawn, written = plots(evidence), sections(evidence, pictured=bool(pictures))
    (out / PLOTS).mkdir(parents=True, exist_ok=True)
    if pictures:
        (out / ".gitignore").write_text(_IGNORE, encoding="utf-8")
    for name, svg in drawn.items():
        (out / PLOTS / f"{name}.svg").write_text(svg, encoding="utf-8")
    content = json.dumps(evidence, indent=2, sort_keys=True, ensure_ascii=False, allow_nan=False)
    (out / JSON).write_text(content + "\n", encoding="utf-8")
    paths = {name: f"{PLOTS}/{name}.svg" for name in drawn}
    (out / MARKDOWN).write_text(markdown(evidence, written, paths), encoding="utf-8")
    page = out / HTML
    page.write_bytes(evidence_page(evidence, written, drawn, pictures))
    return page


def refuse_travelling(out: Path) -> None:
    """Raise SettingsError if a folder lies in a bundle, or is the ``evidence`` of a run, which a bundle takes along."""
    here = out.resolve()
    inside_bundle = any((folder / MANIFEST).is_file() for folder in (here, *here.parents))
    inside_run = any(folder.name == "evidence" and (folder.parent / RUN).is_file() for folder in (here, *here.parents))
    if inside_bundle or inside_run:
        raise SettingsError(
            "pictures of scans must not be written where they would travel with a bundle",
            path=str(out),
            hint="name another folder with --out, or show no cases (--cases 0)",
        )


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
