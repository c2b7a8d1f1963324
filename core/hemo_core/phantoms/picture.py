"""Phantom → PNG slices in the brain window."""

from __future__ import annotations

import zlib
from collections.abc import Iterable
from pathlib import Path

import cv2
import numpy as np

from hemo_core.bundle.contract import Window
from hemo_core.phantoms.spec import Phantom
from hemo_core.scans.phantom_marks import PNG_KEYWORD, WORD
from hemo_core.scans.preprocess import apply_window

BRAIN = Window(40.0, 120.0)
_AFTER_HEADER = 8 + 12 + 13


def write_png(
    phantom: Phantom, folder: Path, indices: Iterable[int] | None = None, window: Window = BRAIN
) -> list[Path]:
    """Write slices as 8-bit pictures named ``phantom-<seed>-<slice>.png``, each with a PNG comment that says phantom.

    Args:
        phantom: the scan.
        folder: made if need be.
        indices: slices to write; all of them if None.
        window: display window.

    Returns:
        The files, in the order of ``indices``.
    """
    folder.mkdir(parents=True, exist_ok=True)
    wanted = range(len(phantom.hu)) if indices is None else indices
    return [_write(phantom, index, folder, window) for index in wanted]


def _write(phantom: Phantom, index: int, folder: Path, window: Window) -> Path:
    grey = apply_window(phantom.hu[index].astype(np.float32), window)
    data = cv2.imencode(".png", grey)[1].tobytes()
    path = folder / f"{WORD}-{phantom.spec.seed:03d}-{index:03d}.png"
    path.write_bytes(data[:_AFTER_HEADER] + _text_chunk(WORD) + data[_AFTER_HEADER:])
    return path


def _text_chunk(text: str) -> bytes:
    """A tEXt chunk (PNG specification 11.3.3.2)."""
    body = b"tEXt" + PNG_KEYWORD + b"\0" + text.encode("latin-1")
    return (len(body) - 4).to_bytes(4, "big") + body + zlib.crc32(body).to_bytes(4, "big")
