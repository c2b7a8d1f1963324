"""``slice-014.png``: a picture of each explained slice."""

from __future__ import annotations

from hemo_core.jobs.layout import picture_name
from hemo_core.scans.scan import Quality
from hemo_worker.outputs.output import Files, ScanResult
from hemo_worker.outputs.overlay import overlay_png


def pictures(result: ScanResult) -> Files:
    """One overlay for each slice whose heat map has colour."""
    scored = result.scored
    if scored is None:
        return {}
    doubtful = any(note.code == Quality.HEATMAPS_FAILED for note in result.report.quality)
    return {
        picture_name(item.index): overlay_png(
            scored.scan,
            scored.prepared,
            item.index,
            item.heatmap,
            float(scored.score.slice_probabilities[item.index]),
            threshold=scored.score.primary.finding.threshold,
            doubtful=doubtful,
        )
        for item in scored.explained
        if item.heatmap is not None and item.heatmap.any()
    }
