"""What a training run leaves behind, as far as the exporter reads it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hemo_core.bundle import MODEL
from hemo_core.bundle.contract import Contract, InputContract, ScoringContract, with_findings
from hemo_core.errors import ExportError
from hemo_core.records import decode

RUN_FILE = "run.json"
_REQUIRED = ("name", "input", "scoring", "metrics", "data", "git_commit", "licence", "seed")


@dataclass(frozen=True, slots=True)
class RunFolder:
    """A training run.

    Attributes:
        path: its folder.
        content: the whole of ``run.json``.
        contract: what the model was trained and calibrated under.
    """

    path: Path
    content: Mapping[str, Any]
    contract: Contract

    @property
    def input(self) -> InputContract:
        """What goes in."""
        return self.contract.input

    @property
    def scoring(self) -> ScoringContract:
        """What is made of what comes out."""
        return self.contract.scoring

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
        ExportError: it is not there, is no JSON, lacks a key, or holds a malformed contract.
    """
    path = run_dir / RUN_FILE
    try:
        content = json.loads(path.read_text("utf-8"), parse_constant=_refuse)
    except (OSError, ValueError) as error:
        raise ExportError(
            f"cannot be read: {error}", path=str(path), hint="is this a training run's folder?"
        ) from error
    absent = [key for key in _REQUIRED if key not in content]
    if absent:
        raise ExportError(f"lacks {', '.join(absent)}", path=str(path))
    contract = decode(Contract, with_findings(content), error=ExportError, what="contract", path=path)
    return RunFolder(run_dir, content, contract)


def _refuse(constant: str) -> None:
    """JSON has no NaN, Python's does."""
    raise ValueError(f"{constant} is no JSON number")
