"""A row on its way through the pipeline, and the room it takes."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from hemo_core.scans.preprocess import Prepared
from hemo_core.scans.scan import Scan, ScanRef
from hemo_worker.pipeline.work import Work

Float = npt.NDArray[np.float32]

_SLICES_OF_A_VOLUME = 40
_BYTES_OF_A_SLICE = 512 * 512 * 4


@dataclass(slots=True, eq=False)
class Flight:
    """A row in flight.

    Attributes:
        cost: slices it holds in memory, or may hold once it is read.
        decoded: what reading gave.
        sent: model slices that the CNN has seen.
        features, embeddings: what the CNN gave, in pieces.
    """

    work: Work
    cost: int
    timings: dict[str, float] = field(default_factory=dict)
    decoded: tuple[Scan, Prepared] | None = None
    sent: int = 0
    features: list[Float] = field(default_factory=list)
    embeddings: list[Float] = field(default_factory=list)

    def result(self) -> tuple[Scan, Prepared]:
        """What reading gave."""
        if self.decoded is None:
            raise RuntimeError(f"row {self.work.row} has not been read yet")
        return self.decoded

    @property
    def slices(self) -> int:
        """Model slices; 0 before it is read."""
        return 0 if self.decoded is None else len(self.decoded[1].pixels)

    def weigh(self) -> None:
        """Set the cost to what reading it came to."""
        self.cost = -(-sum(item.pixels.nbytes for item in self.result()[0].slices) // _BYTES_OF_A_SLICE)

    def take(self, features: Float, embeddings: Float) -> None:
        """Keep what the CNN gave for the next slices."""
        self.features.append(features)
        self.embeddings.append(embeddings)
        self.sent += len(embeddings)


def expected_slices(ref: ScanRef) -> int:
    """Slices a scan may have, before it is read."""
    return max(len(ref.files), _SLICES_OF_A_VOLUME if ref.kind == "nifti" else 1)


def bytes_of(costs: Iterable[int]) -> int:
    """Memory that so many slices take, source and prepared, roughly."""
    return sum(costs) * _BYTES_OF_A_SLICE
