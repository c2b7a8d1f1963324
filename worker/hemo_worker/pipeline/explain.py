"""Which slices are explained, and their heat maps. What is made of those is the outputs' affair."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from hemo_core.errors import HemoError, ScoringFailed
from hemo_core.inference.gradcam import Explainer
from hemo_core.inference.scoring import ScanScore
from hemo_core.jobs import JobOptions
from hemo_worker.outputs.output import ExplainedSlice
from hemo_worker.outputs.registry import OUTPUTS
from hemo_worker.pipeline.blame import on_device
from hemo_worker.pipeline.work import LoadedModel

Float = npt.NDArray[np.float32]


def explained_slices(score: ScanScore, threshold: float, options: JobOptions) -> tuple[int, ...]:
    """Indices of the slices to explain, in anatomical order: at or above the threshold, at most ``max_overlays``.

    None where nothing was found, or where no output that the job wants shows heat maps.
    """
    shown = any(OUTPUTS[name].heatmaps for name in options.outputs)
    if not options.explain or not shown or score.label == "no_finding":
        return ()
    above = np.flatnonzero(score.slice_probabilities >= threshold)
    highest = above[np.argsort(-score.slice_probabilities[above], kind="stable")][: options.max_overlays]
    return tuple(int(index) for index in np.sort(highest))


def withheld(model: LoadedModel, options: JobOptions) -> bool:
    """Whether the model's maps failed their check and the job does not ask for them all the same."""
    return model.bundle.heatmap_check == "failed" and not options.unverified_overlays


def explain(model: LoadedModel, features: Float, chosen: Sequence[int]) -> tuple[ExplainedSlice, ...]:
    """Heat maps of chosen slices of one scan.

    Args:
        features: of all its slices, float32 ``(t, h, w, K)``.
        chosen: at least one.

    Raises:
        DeviceError: the explaining half is not there, or explains nothing any more.
        ScoringFailed: a heat map holds NaN or infinity.
    """
    explainer = on_device(model.explainer)
    maps = _heatmaps(explainer, features, chosen)
    if not np.isfinite(maps).all():
        raise ScoringFailed("the heat map holds values that are no numbers")
    return tuple(ExplainedSlice(index, heatmap) for index, heatmap in zip(chosen, maps, strict=True))


def _heatmaps(explainer: Explainer, features: Float, chosen: Sequence[int]) -> Float:
    """Where that fails, one empty slice tells whether the explainer is broken or this scan is too much for it."""
    try:
        return explainer.heatmaps(features, chosen)
    except HemoError:
        raise
    except Exception:
        on_device(lambda: explainer.heatmaps(np.zeros_like(features[:1]), (0,)))
        raise
