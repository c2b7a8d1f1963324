"""``scans/<id>/index.html``: one scored scan, its slices' scores and its overlays. No script; it opens offline."""

from __future__ import annotations

from typing import Any

from hemo_core.bundle.findings import standing
from hemo_core.jobs import layout
from hemo_core.pages import render
from hemo_core.report import Report, SliceResult
from hemo_core.scans.scan import Quality
from hemo_core.wording import HEATMAP_TEXT, STATEMENT
from hemo_worker.outputs.output import Files, ScanResult

_WIDE, _HIGH = 960, 180
_LEFT, _RIGHT, _TOP, _BOTTOM = 34, 8, 10, 26
_WIDEST_BAR = 80


def page(result: ScanResult) -> Files:
    """The page of a scored scan."""
    return {layout.SCAN_PAGE: scan_page(result.report)} if result.report.outcome == "scored" else {}


def scan_page(report: Report) -> bytes:
    """The page of a scored scan, UTF-8. The same report gives the same bytes."""
    return render(
        "hemo_worker.outputs",
        "scan.html",
        report=report,
        standing=standing(report.label or ""),
        statement=STATEMENT,
        phantom=any(item.code == Quality.PHANTOM for item in report.quality),
        facts=_facts(report),
        plot=_plot(report),
        shown=[item for item in report.slices if item.heatmap is not None],
        heatmap_text=HEATMAP_TEXT,
        position=_position,
    )


def _facts(report: Report) -> list[tuple[str, str | None]]:
    scan, model, engine = report.scan, report.model, report.engine
    return [
        ("Highest slice", f"{report.highest_slice} of {len(report.slices)}"),
        ("Scan id", scan.scan_id),
        ("Same content as", scan.duplicate_of),
        ("Kind", scan.kind),
        ("Covered", report.covered),
        ("Files", str(scan.files)),
        ("Study UID", scan.study_uid),
        ("Series UID", scan.series_uid),
        ("Geometry", _geometry(report)),
        ("Model", None if model is None else f"{model.name} {model.version}"),
        ("Digest", None if model is None else model.digest),
        ("Run by", None if engine is None else f"{engine.provider}, {engine.precision}"),
        ("Software", f"hemo-batch {report.software.version}"),
    ]


def _geometry(report: Report) -> str:
    geometry = report.geometry
    if geometry is None:
        return ""
    parts = [f"order from {geometry.order_from}"]
    if geometry.pixel_spacing_mm is not None:
        parts.append("pixels {:g} × {:g} mm".format(*geometry.pixel_spacing_mm))
    if geometry.slice_spacing_mm is not None:
        parts.append(f"slices {geometry.slice_spacing_mm:g} mm apart")
    if geometry.tilt_deg:
        parts.append(f"gantry tilt {geometry.tilt_deg:g}°")
    return ", ".join(parts)


def _plot(report: Report) -> dict[str, Any]:
    """Bars of the slice probabilities and the threshold as a line, in the units of the drawing."""
    threshold = report.threshold or 0.0
    step = min((_WIDE - _LEFT - _RIGHT) / len(report.slices), _WIDEST_BAR)
    return {
        "wide": _WIDE,
        "high": _HIGH,
        "left": _LEFT,
        "right": _WIDE - _RIGHT,
        "grid": [(label, _y(float(label))) for label in ("0", "0.5", "1")],
        "bars": [_bar(item, _LEFT + at * step, step, threshold) for at, item in enumerate(report.slices)],
        "threshold": _y(threshold),
    }


def _y(value: float) -> str:
    return f"{_TOP + (1 - value) * (_HIGH - _TOP - _BOTTOM):.1f}"


def _bar(item: SliceResult, x: float, step: float, threshold: float) -> dict[str, Any]:
    top = float(_y(item.probability))
    return {
        "slice": item,
        "above": item.probability >= threshold,
        "x": f"{x + 0.1 * step:.2f}",
        "y": f"{top:.1f}",
        "wide": f"{0.8 * step:.2f}",
        "high": f"{max(float(_y(0)) - top, 1):.1f}",
    }


def _position(item: SliceResult) -> str:
    known = [source.position_mm for source in item.sources if source.position_mm is not None]
    return f"{sum(known) / len(known):.1f} mm" if known else ""
