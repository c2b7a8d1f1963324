"""What an output is: it takes what is known of one scan and gives files that lie beside its report."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from hemo_core.inference.scoring import ScanScore
from hemo_core.report import Heatmap, Report
from hemo_core.scans.preprocess import Prepared
from hemo_core.scans.scan import Scan, ScanRef

Files = Mapping[str, bytes]


@dataclass(frozen=True, slots=True, eq=False)
class ExplainedSlice:
    """One slice that was to be explained.

    Attributes:
        index: of the model slice, from 0.
        heatmap: float32 ``(h, w)`` between 0 and 1; None where the model's maps are withheld.
    """

    index: int
    heatmap: npt.NDArray[np.float32] | None

    @property
    def state(self) -> Heatmap:
        """What the report calls it."""
        if self.heatmap is None:
            return "withheld"
        return "drawn" if self.heatmap.any() else "empty_heatmap"


@dataclass(frozen=True, slots=True, eq=False)
class Scored:
    """What is in memory of a scan that the model scored.

    Attributes:
        scan: its source slices.
        prepared: what the model saw of them.
        explained: foot to head.
    """

    scan: Scan
    prepared: Prepared
    score: ScanScore
    explained: tuple[ExplainedSlice, ...] = ()


@dataclass(frozen=True, slots=True, eq=False)
class ScanResult:
    """Everything an output may use.

    Attributes:
        ref: the scan's row.
        report: so far; it names the files of the outputs that came before.
        scored: None where the scan was not scored.
    """

    ref: ScanRef
    report: Report
    scored: Scored | None = None


@dataclass(frozen=True, slots=True)
class Output:
    """One kind of files.

    Attributes:
        files: of one scan, by name; the same result gives the same bytes. Empty where there is nothing to write.
        owns: whether a file's name is one of its own, and no other output's. What an earlier run left under such a name
            is removed.
        heatmaps: it shows heat maps; without such an output none is computed.
    """

    files: Callable[[ScanResult], Files]
    owns: Callable[[str], bool]
    heatmaps: bool = False
