"""The sanity check of the heat maps: they must change when the model forgets what it learned.

A map that stays the same then shows the picture and not the model: an edge detector in the guise of an explanation
(Adebayo et al. 2018, arXiv:1810.03292).

What is compared are the maps as they are drawn, so after ReLU and scaled to their peak. The rules were fixed before any
model was measured:

- A slice whose own map is empty is not drawn and not compared.
- An empty map after forgetting is counted and left out of the means: it must not hide that those drawn stay alike.
- The check passes if the maps of the fully re-initialised network keep less than half of the rank correlation that the
  untouched network's maps keep with themselves under noise too small to see, also at the upper end of the 95 %
  interval. Half, because then less than a quarter of the ranks' variance is shared; the noise, because no map can be
  asked to be more like another than it is like itself; the absolute value, because an inverted map has the same edges.
- Where nearly every map of the re-initialised network is empty, nothing can be compared and there is no verdict.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from hemo_core.errors import DatasetError
from hemo_core.inference.gradcam import Explainer
from hemo_core.scans.preprocess import to_input
from hemo_trainer.datasets.record import SliceRecord
from hemo_trainer.figures.intervals import Interval, clustered_mean, mean_json
from hemo_trainer.heatmap_quality.cascade import Cascade
from hemo_trainer.heatmap_quality.explained import ExplainedSlice, PixelsOf
from hemo_trainer.heatmap_quality.maps import enlarged
from hemo_trainer.heatmap_quality.similarity import spearman, ssim
from hemo_trainer.heatmap_quality.subject import KerasModels, keras_features

Float = npt.NDArray[np.float32]

KEPT = 0.5
RULE = (
    "the upper end of the 95 % interval of the mean absolute Spearman correlation, maps of the fully re-initialised "
    "network against those of the trained one, is below half of what the trained network keeps with itself under "
    "noise of 2 grey levels"
)
_NOISE_GREY = 2.0
_NOISE_SEED = 5


@dataclass(slots=True, eq=False)
class Likeness:
    """How alike maps are to those of the trained network.

    Attributes:
        patients: of each compared slice.
        ranks, structure: for each slice the absolute Spearman correlations and the SSIMs, one a seed.
        empty: maps that were all zero and could not be compared.
    """

    patients: Sequence[str]
    ranks: list[list[float]] = field(default_factory=list)
    structure: list[list[float]] = field(default_factory=list)
    empty: int = 0

    def __post_init__(self) -> None:
        self.ranks = [[] for _ in self.patients]
        self.structure = [[] for _ in self.patients]

    def add(self, before: Sequence[Float], after: Sequence[Float], size: tuple[int, int]) -> None:
        """Compare maps ``(h, w)`` of all slices, in order; SSIM at ``size``, as they are drawn."""
        for at, (one, other) in enumerate(zip(before, after, strict=True)):
            if not other.any():
                self.empty += 1
                continue
            self.ranks[at].append(abs(spearman(one, other)))
            self.structure[at].append(ssim(enlarged(one, *size), enlarged(other, *size)))

    def ranks_alike(self) -> Interval | None:
        """Mean absolute Spearman correlation; None if nothing could be compared, or only of one patient."""
        return clustered_mean(*self._by_slice(self.ranks))

    def to_json(self) -> dict[str, Any]:
        """JSON-ready figures."""
        return {
            "spearman": mean_json(*self._by_slice(self.ranks)),
            "ssim": mean_json(*self._by_slice(self.structure)),
            "compared": sum(map(len, self.ranks)),
            "empty": self.empty,
        }

    def _by_slice(self, values: list[list[float]]) -> tuple[list[float], list[str]]:
        """The mean over seeds of each slice that could be compared, and its patient."""
        known = [at for at, row in enumerate(values) if row]
        return [float(np.mean(values[at])) for at in known], [self.patients[at] for at in known]


def check_randomisation(
    models: KerasModels, slices: Sequence[ExplainedSlice], pixels_of: PixelsOf, seeds: Sequence[int]
) -> dict[str, Any]:
    """Forget stage by stage, once a seed, and compare the maps.

    Args:
        models: the model; it is left as it is.
        slices: with maps that are not empty; their series are put through the model again.
        pixels_of: model input of a record.
        seeds: of the re-initialisation.
    """
    cascade = Cascade(models)
    explainer = Explainer.of_head(cascade.head, pooled=models.pooled, channel=models.channel)
    bench = _Bench(cascade, explainer, slices, pixels_of)
    features = bench.features()
    before = bench.maps(features)
    patients = [item.record.patient_key for item in slices]
    noisy = Likeness(patients)
    noisy.add(before, bench.maps(bench.features(noise=True)), bench.size)
    likeness = {stage.name: Likeness(patients) for stage in cascade.stages}
    for seed in seeds:
        for stage in cascade.forget(seed):
            now = bench.features() if stage.part == "cnn" else features
            likeness[stage.name].add(before, bench.maps(now), bench.size)
    return verdict(noisy, likeness, seeds)


def verdict(noisy: Likeness, likeness: dict[str, Likeness], seeds: Sequence[int]) -> dict[str, Any]:
    """JSON-ready result of the check.

    Args:
        noisy: the trained network against itself under slight noise.
        likeness: by stage, the last one fully re-initialised.
        seeds: of the re-initialisation.

    Raises:
        DatasetError: the re-initialised network's maps of fewer than two patients could be compared.
    """
    last = list(likeness.values())[-1]
    itself, forgotten = noisy.ranks_alike(), last.ranks_alike()
    if forgotten is None:
        raise DatasetError("nearly all maps of the re-initialised network are empty, nothing can be compared")
    limit = KEPT * (0.0 if itself is None else itself.value)
    return {
        "passed": forgotten.high < limit,
        "rule": RULE,
        "limit": round(limit, 4),
        "itself": noisy.to_json(),
        "stages": [{"name": name, **one.to_json()} for name, one in likeness.items()],
        "slices": len(noisy.patients),
        "patients": len(set(noisy.patients)),
        "seeds": list(seeds),
    }


@dataclass(slots=True, eq=False)
class _Bench:
    """The slices, laid out for one pass of all their series through the CNN."""

    cascade: Cascade
    explainer: Explainer
    slices: Sequence[ExplainedSlice]
    pixels_of: PixelsOf
    size: tuple[int, int] = field(init=False)
    _series: list[tuple[SliceRecord, ...]] = field(init=False)

    def __post_init__(self) -> None:
        self._series = list({item.record.series_key: item.series.records for item in self.slices}.values())
        height, width = self.pixels_of(self._series[0][0]).shape[:2]
        self.size = (int(height), int(width))

    def features(self, *, noise: bool = False) -> list[Float]:
        """Feature maps ``(t, h, w, K)`` of each series."""
        rng = np.random.default_rng(_NOISE_SEED)
        found = []
        for records in self._series:
            pixels = np.stack([self.pixels_of(record) for record in records])
            if noise:
                shaken = pixels + rng.normal(0, _NOISE_GREY, pixels.shape)
                pixels = np.rint(np.clip(shaken, 0, 255)).astype(np.uint8)
            found.append(keras_features(self.cascade.cnn, to_input(pixels)))
        return found

    def maps(self, features: Sequence[Float]) -> list[Float]:
        """The map ``(h, w)`` of each slice, in order."""
        found: dict[tuple[int, int], Float] = {}
        for at, records in enumerate(self._series):
            chosen = [item.index for item in self.slices if item.series.records == records]
            maps = self.explainer.heatmaps(features[at], chosen)
            found |= {(at, index): heat for index, heat in zip(chosen, maps, strict=True)}
        return [found[self._series.index(item.series.records), item.index] for item in self.slices]
