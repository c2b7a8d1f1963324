"""What a training run leaves behind, as far as the exporter reads it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from hemo_core.bundle import MODEL
from hemo_core.bundle.contract import Contract, InputContract, ScoringContract
from hemo_core.errors import ExportError
from hemo_core.training_run import RUN, TrainingRun, read_training_run


@dataclass(frozen=True, slots=True)
class RunFolder:
    """A training run.

    Attributes:
        path: its folder.
        record: its ``run.json``.
    """

    path: Path
    record: TrainingRun

    @property
    def contract(self) -> Contract:
        """What the model was trained and calibrated under."""
        return Contract(self.record.input, self.record.scoring)

    @property
    def input(self) -> InputContract:
        """What goes in."""
        return self.record.input

    @property
    def scoring(self) -> ScoringContract:
        """What is made of what comes out."""
        return self.record.scoring

    @property
    def model(self) -> Path:
        """The trained model."""
        return self.path / MODEL

    @property
    def picture(self) -> tuple[int, int, int]:
        """(H, W, C) of a slice."""
        return self.input.height, self.input.width, self.input.channels


def read_run(run_dir: Path) -> RunFolder:
    """Read ``run.json`` of a training run.

    Raises:
        ExportError: it is not there, is no JSON, lacks a key, or holds a value of the wrong type.
    """
    return RunFolder(run_dir, read_training_run(run_dir / RUN, error=ExportError))
