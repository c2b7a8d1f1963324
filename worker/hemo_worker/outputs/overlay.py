"""The picture of one explained slice: the slice as acquired, and beside it the same slice with its heat map."""

from __future__ import annotations

from functools import lru_cache

import cv2
import numpy as np
import numpy.typing as npt

from hemo_core.bundle.contract import Window
from hemo_core.errors import ScoringFailed
from hemo_core.inference.heat import blend, heat_on_source, palette
from hemo_core.scans.preprocess import Prepared, windowed
from hemo_core.scans.scan import Quality, Scan

Float = npt.NDArray[np.float32]
Canvas = npt.NDArray[np.uint8]

BRAIN = Window(40.0, 120.0)

_PANEL = 384
_MARGIN = 12
_HEADER = 44
_FOOTER = 26
_BAR = 12
_BAR_LABELS = 34
_WIDTH = 4 * _MARGIN + 2 * _PANEL + _BAR + _BAR_LABELS
_HEIGHT = _HEADER + _PANEL + _FOOTER
_LEFT_PANEL = _MARGIN
_RIGHT_PANEL = 2 * _MARGIN + _PANEL
_BAR_LEFT = 3 * _MARGIN + 2 * _PANEL

_GROUND = (16, 13, 11)
_TEXT = (236, 236, 236)
_QUIET = (168, 158, 148)
_ABOVE = (84, 180, 255)
_PHANTOM = (255, 170, 190)
_FONT = cv2.FONT_HERSHEY_SIMPLEX

_PNG = (
    *(cv2.IMWRITE_PNG_COMPRESSION, 1),
    *(cv2.IMWRITE_PNG_FILTER, cv2.IMWRITE_PNG_FILTER_UP),
)


def overlay_png(
    scan: Scan,
    prepared: Prepared,
    index: int,
    heatmap: Float,
    probability: float,
    *,
    threshold: float | None = None,
    doubtful: bool = False,
) -> bytes:
    """Draw one slice beside its heat map.

    Args:
        scan: the source slices.
        prepared: what the model saw of it.
        index: of the model slice, from 0.
        heatmap: float32 ``(h, w)`` between 0 and 1.
        probability: calibrated, of this slice.
        threshold: the bundle's operating threshold.
        doubtful: the model's heat maps failed their check, and the picture says so.

    Returns:
        A PNG, the same bytes for the same arguments.

    Raises:
        ScoringFailed: the picture cannot be encoded.
    """
    grey, scale = _panel_picture(scan, prepared.groups[index])
    canvas = _blank().copy()
    corner = _HEADER + (_PANEL - grey.shape[0]) // 2, (_PANEL - grey.shape[1]) // 2
    _paste(canvas, cv2.cvtColor(grey, cv2.COLOR_GRAY2BGR), corner[0], _LEFT_PANEL + corner[1])
    heat = heat_on_source(heatmap, prepared.boxes[index], grey.shape[0], grey.shape[1], scale)
    _paste(canvas, _scale_bar(), _HEADER, _BAR_LEFT)
    _paste(canvas, blend(grey, heat), corner[0], _RIGHT_PANEL + corner[1])
    _write_header(canvas, scan, prepared, index, probability, threshold=threshold)
    _write_captions(canvas, scan, doubtful=doubtful)
    done, data = cv2.imencode(".png", canvas, _PNG)
    if not done:
        raise ScoringFailed("the overlay could not be encoded as PNG", path=scan.ref.path)
    return bytes(data.tobytes())


def _panel_picture(scan: Scan, group: tuple[int, ...]) -> tuple[Canvas, tuple[float, float]]:
    """The slice in the brain window, fitted into a panel in its true proportions, and panel pixels a source pixel."""
    source = windowed(scan, group, (BRAIN,))[..., 0]
    spacing = scan.geometry.pixel_spacing_mm or (1.0, 1.0)
    high, wide = source.shape[0] * spacing[0], source.shape[1] * spacing[1]
    fit = _PANEL / max(high, wide)
    rows, columns = max(1, round(high * fit)), max(1, round(wide * fit))
    shrinks = rows <= source.shape[0] and columns <= source.shape[1]
    way = cv2.INTER_AREA if shrinks else cv2.INTER_CUBIC
    picture = cv2.resize(np.ascontiguousarray(source), (columns, rows), interpolation=way)
    return np.asarray(picture, np.uint8), (rows / source.shape[0], columns / source.shape[1])


def _write_header(
    canvas: Canvas, scan: Scan, prepared: Prepared, index: int, probability: float, *, threshold: float | None
) -> None:
    group = prepared.groups[index]
    x = _text(canvas, f"Slice {index + 1} of {len(prepared.groups)}", (_MARGIN, 28), 0.62, _TEXT)
    x = _text(canvas, _where(scan, group), (x + 14, 28), 0.44, _QUIET)
    if Quality.PHANTOM in scan.quality:
        _badge(canvas, "PHANTOM", x + 18)
    above = threshold is not None and probability >= threshold
    right = _WIDTH - _MARGIN
    if threshold is not None:
        right = _text_left_of(canvas, f"threshold {threshold:.3f}", (right, 28), 0.44, _QUIET) - 12
    right = _text_left_of(canvas, f"{probability:.3f}", (right, 28), 0.62, _ABOVE if above else _TEXT) - 8
    _text_left_of(canvas, "slice probability", (right, 28), 0.44, _QUIET)


def _where(scan: Scan, group: tuple[int, ...]) -> str:
    """Where the slice lies: its position, and its input slices where several were averaged."""
    positions = [scan.slices[member].position_mm for member in group]
    known = [position for position in positions if position is not None]
    parts = [f"position {sum(known) / len(known):.1f} mm"] if known else []
    if len(group) > 1:
        parts.append(f"mean of input slices {group[0] + 1}-{group[-1] + 1}")
    return "  ".join(parts)


def _write_captions(canvas: Canvas, scan: Scan, *, doubtful: bool) -> None:
    window = "window 40/120 HU" if scan.units == "hu" else "window of the picture"
    _text(canvas, window, (_LEFT_PANEL + 8, _HEADER + 18), 0.4, _QUIET)
    _text(canvas, "heat map of this slice", (_RIGHT_PANEL + 8, _HEADER + 18), 0.4, _QUIET)
    if doubtful:
        _text(canvas, "these heat maps failed their check", (_RIGHT_PANEL + 8, _HEADER + 36), 0.4, _ABOVE)
    if _sides_are_known(scan):
        middle = _HEADER + _PANEL // 2
        for left in (_LEFT_PANEL, _RIGHT_PANEL):
            _text(canvas, "R", (left + 6, middle), 0.5, _TEXT)
            _text(canvas, "L", (left + _PANEL - 16, middle), 0.5, _TEXT)
    _text_left_of(canvas, f"scan {scan.ref.scan_id}", (_WIDTH - _MARGIN, _HEIGHT - 9), 0.4, _QUIET)


def _sides_are_known(scan: Scan) -> bool:
    """Whether the picture's left is the patient's right: axial slices placed in space, which readers turn that way."""
    placed = all(item.position_mm is not None for item in scan.slices)
    return placed and not {Quality.NOT_AXIAL, Quality.UNKNOWN_SPACING} & set(scan.quality)


@lru_cache(maxsize=1)
def _blank() -> Canvas:
    """The canvas with everything that never changes."""
    canvas = np.empty((_HEIGHT, _WIDTH, 3), np.uint8)
    canvas[:] = _GROUND
    for left in (_LEFT_PANEL, _RIGHT_PANEL):
        canvas[_HEADER : _HEADER + _PANEL, left : left + _PANEL] = 0
    _text(canvas, "Research use only, not a medical device", (_MARGIN, _HEIGHT - 9), 0.4, _QUIET)
    return canvas


@lru_cache(maxsize=1)
def _scale_bar() -> Canvas:
    """The colour scale: uint8 ``(panel, bar + labels, 3)``. Heat is relative to the peak of the slice."""
    canvas = np.empty((_PANEL, _BAR + _BAR_LABELS + _MARGIN, 3), np.uint8)
    canvas[:] = _GROUND
    top, bottom = 30, _PANEL - 24
    steps = np.linspace(255, 0, bottom - top).round().astype(int)
    canvas[top:bottom, :_BAR] = palette()[steps]
    _text(canvas, "heat", (0, 18), 0.4, _QUIET)
    for share, label in ((0.0, "peak"), (0.5, "half"), (1.0, "none")):
        y = round(top + share * (bottom - top - 1))
        cv2.line(canvas, (_BAR, y), (_BAR + 3, y), _QUIET, 1)
        _text(canvas, label, (_BAR + 6, min(y + 5, bottom + 2)), 0.38, _QUIET)
    return canvas


def _badge(canvas: Canvas, text: str, x: int) -> None:
    cv2.rectangle(canvas, (x, 13), (x + _wide(text, 0.46) + 14, 33), _PHANTOM, 1, cv2.LINE_AA)
    _text(canvas, text, (x + 7, 28), 0.46, _PHANTOM)


def _paste(canvas: Canvas, picture: Canvas, top: int, left: int) -> None:
    canvas[top : top + picture.shape[0], left : left + picture.shape[1]] = picture


def _text(canvas: Canvas, text: str, at: tuple[int, int], size: float, colour: tuple[int, int, int]) -> int:
    """Write ``text`` from ``at`` (x and base line) on, legible also over bone; the x where it ends."""
    cv2.putText(canvas, text, at, _FONT, size, _GROUND, 4, cv2.LINE_AA)
    cv2.putText(canvas, text, at, _FONT, size, colour, 1, cv2.LINE_AA)
    return at[0] + _wide(text, size)


def _text_left_of(canvas: Canvas, text: str, at: tuple[int, int], size: float, colour: tuple[int, int, int]) -> int:
    """Write ``text`` so that it ends at ``at`` (x and base line); the x where it starts."""
    start = at[0] - _wide(text, size)
    _text(canvas, text, (start, at[1]), size, colour)
    return start


def _wide(text: str, size: float) -> int:
    (wide, _), _ = cv2.getTextSize(text, _FONT, size, 1)
    return int(wide)
