"""Pictures of single slices with their heat maps, for the page only."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import cv2
import numpy as np

from hemo_core.bundle.contract import InputContract
from hemo_core.errors import ScoringFailed
from hemo_core.inference.heat import blend
from hemo_core.scans.preprocess import to_input
from hemo_trainer.datasets.record import SliceRecord
from hemo_trainer.evaluation.cases import Case
from hemo_trainer.evaluation.sizes import marked
from hemo_trainer.heatmap_quality.maps import enlarged
from hemo_trainer.heatmap_quality.subject import Subject
from hemo_trainer.network.predict import Grey

_SIDE = 288
_GAP = 8
_OUTLINE = (255, 220, 120)  # BGR


def draw_cases(
    cases: Sequence[Case], subject: Subject, pixels_of: Callable[[SliceRecord], Grey], contract: InputContract
) -> dict[str, bytes]:
    """A PNG for each case: the slice as the model saw it, what the source marked outlined, and beside it its heat map.

    Args:
        cases: slices to draw.
        subject: the model.
        pixels_of: model input of a record, uint8 ``(H, W, C)``.
        contract: of the model's input.

    Raises:
        DatasetError, ScanError: a picture cannot be read.
    """
    return {case.name: _drawn(case, subject, pixels_of, contract) for case in cases}


def _drawn(case: Case, subject: Subject, pixels_of: Callable[[SliceRecord], Grey], contract: InputContract) -> bytes:
    records, index = case.item.series.records, case.item.index
    slices = np.stack([pixels_of(record) for record in records])
    heat = subject.heatmaps(subject.cnn(to_input(slices)).features, [index])[0]
    grey = np.asarray(cv2.resize(slices[index][..., 0], (_SIDE, _SIDE), interpolation=cv2.INTER_LINEAR), np.uint8)
    plain = cv2.cvtColor(grey, cv2.COLOR_GRAY2BGR)
    warm = blend(grey, enlarged(heat, _SIDE, _SIDE)) if heat.any() else plain.copy()
    inside = marked(case.item.record, contract) if case.item.record.label else None
    if inside is not None:
        large = cv2.resize(inside.astype(np.uint8), (_SIDE, _SIDE), interpolation=cv2.INTER_NEAREST)
        outlines, _ = cv2.findContours(large, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_SIMPLE)
        cv2.drawContours(plain, outlines, -1, _OUTLINE, 1, cv2.LINE_AA)
    gap = np.zeros((_SIDE, _GAP, 3), np.uint8)
    done, data = cv2.imencode(".png", np.hstack([plain, gap, warm]))
    if not done:
        raise ScoringFailed("a picture could not be encoded as PNG", path=str(case.item.record.path))
    return bytes(data.tobytes())
