"""Series with the scores and heat maps of their slices."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
import numpy.typing as npt

from hemo_core.bundle.contract import ScoringContract
from hemo_core.errors import DatasetError
from hemo_core.inference.scoring import calibrated
from hemo_core.scans.preprocess import to_input
from hemo_trainer.datasets.record import SliceRecord
from hemo_trainer.heatmap_quality.subject import Subject

Float = npt.NDArray[np.float32]
Grey = npt.NDArray[np.uint8]
PixelsOf = Callable[[SliceRecord], Grey]
T = TypeVar("T")

FEWEST_SLICES = 5
FEWEST_PATIENTS = 2


@dataclass(frozen=True, slots=True, eq=False)
class ExplainedSeries:
    """One series as the model saw it.

    Attributes:
        subject: the model.
        records: its slices in order.
        embeddings: ``(t, E)``.
        probabilities: ``(t,)``, calibrated.
        maps: heat maps ``(h, w)`` of the positive slices, by index.
    """

    subject: Subject
    records: tuple[SliceRecord, ...]
    embeddings: Float
    probabilities: npt.NDArray[np.float64]
    maps: dict[int, Float]


@dataclass(frozen=True, slots=True, eq=False)
class ExplainedSlice:
    """A positive slice.

    Attributes:
        series: where it belongs.
        index: its place there.
        shown: at or above the threshold, so that a worker would draw the map.
    """

    series: ExplainedSeries
    index: int
    shown: bool

    @property
    def record(self) -> SliceRecord:
        """Its record."""
        return self.series.records[self.index]

    @property
    def heat(self) -> Float:
        """Its map, ``(h, w)``."""
        return self.series.maps[self.index]


def explain_series(
    subject: Subject,
    series: Sequence[tuple[SliceRecord, ...]],
    pixels_of: PixelsOf,
    scoring: ScoringContract,
) -> Iterator[ExplainedSlice]:
    """Score each series with a positive slice and map every one of these."""
    for records in series:
        positive = [index for index, record in enumerate(records) if record.label]
        if not positive:
            continue
        output = subject.cnn(to_input(np.stack([pixels_of(record) for record in records])))
        logits = subject.logits(output.embeddings[None])[0]
        maps = subject.heatmaps(output.features, positive)
        probabilities = calibrated(np.asarray(logits, np.float64), scoring.temperature)
        one = ExplainedSeries(
            subject, records, output.embeddings, probabilities, dict(zip(positive, maps, strict=True))
        )
        for index in positive:
            yield ExplainedSlice(one, index, bool(probabilities[index] >= scoring.threshold))


def drawn(slices: Sequence[ExplainedSlice]) -> list[ExplainedSlice]:
    """Those whose map a worker would draw.

    Raises:
        DatasetError: there are too few to measure anything by.
    """
    found = [item for item in slices if item.shown and item.heat.any()]
    if len(found) < FEWEST_SLICES:
        raise DatasetError(f"{len(found)} slices with the finding would get a heat map, {FEWEST_SLICES} are needed")
    if len({patient_of(item) for item in found}) < FEWEST_PATIENTS:
        raise DatasetError("slices of one patient alone give no interval")
    return found


def patient_of(item: ExplainedSlice) -> str:
    """Whose slice it is."""
    return item.record.patient_key


def spread(items: Sequence[T], key: Callable[[T], str], most: int) -> list[T]:
    """At most ``most`` items, as evenly over their keys as it goes, and evenly within each key's order."""
    groups: dict[str, list[T]] = defaultdict(list)
    for item in items:
        groups[key(item)].append(item)
    shares = dict.fromkeys(groups, 0)
    left = min(most, len(items))
    while left:
        for name, group in groups.items():
            if left and shares[name] < len(group):
                shares[name] += 1
                left -= 1
    return [item for name, group in groups.items() for item in _evenly(group, shares[name])]


def _evenly(items: Sequence[T], count: int) -> list[T]:
    return [items[(2 * at + 1) * len(items) // (2 * count)] for at in range(count)]
