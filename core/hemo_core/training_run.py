"""``run.json``: what a training run, or an imported model, says of itself. Trainers write it, the exporter reads it."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from hemo_core.bundle.contract import InputContract, ScoringContract, with_findings
from hemo_core.errors import HemoError
from hemo_core.records import decode, encode, loads

RUN = "run.json"
ChosenOn = Literal["val", "out_of_fold"]
_ALWAYS = frozenset({"git_commit", "seed"})


@dataclass(frozen=True, slots=True)
class PatientMarks:
    """Patients whom nobody can name: the count, and prefixes of the sha256 of their keys, end to end."""

    count: int
    sha256_prefixes: str


@dataclass(frozen=True, slots=True)
class PictureMarks:
    """Perceptual hashes of pictures: which hash, how many, and packed in base64."""

    hash: str
    count: int
    packed: str


@dataclass(frozen=True, slots=True)
class TrainedOn:
    """Whom and what a model has seen, so that nobody measures it on that."""

    patients: PatientMarks
    pictures: PictureMarks


@dataclass(frozen=True, slots=True)
class SourceCounts:
    """What a source has on one side of the split; ``patients`` is None where they are unknown."""

    source: str
    side: str
    patients: int | None
    slices: int
    positive_slices: int


@dataclass(frozen=True, slots=True)
class RunData:
    """The data of a run. An imported model knows nothing of it.

    Attributes:
        fingerprint, split_hash: sha256 of data and split.
        sources: what was on which side.
        trained_on: missing from runs of 0.1.
    """

    fingerprint: str | None = None
    split_hash: str | None = None
    sources: tuple[SourceCounts, ...] = ()
    trained_on: TrainedOn | None = None


@dataclass(frozen=True, slots=True)
class Epochs:
    """How many were trained, and which one's weights were kept."""

    trained: int
    kept: int


@dataclass(frozen=True, slots=True)
class TrainingRun:
    """A model and how it came about.

    Attributes:
        name: of the model.
        input, scoring: the contracts that it was trained and calibrated under.
        metrics: figures by side, source and unit.
        data: what it was fitted to and measured on.
        git_commit: of the code; None outside a checkout.
        licence: of the weights.
        seed: of all that was drawn by chance.
        architecture, fit, augment, lesions, pretrain: sections of the configuration.
        epochs: how long it was fitted.
        chosen_on: the predictions that calibration and thresholds were locked on.
        scored_before: whether other models have scored these patients.
        versions: of the software.
        heatmaps: figures about its heat maps.
        origin: where an imported model came from.
    """

    name: str
    input: InputContract
    scoring: ScoringContract
    metrics: dict[str, Any]
    data: RunData
    git_commit: str | None
    licence: str
    seed: int | None
    architecture: dict[str, Any] | None = None
    fit: dict[str, Any] | None = None
    augment: dict[str, Any] | None = None
    lesions: dict[str, Any] | None = None
    pretrain: dict[str, Any] | None = None
    epochs: Epochs | None = None
    chosen_on: ChosenOn | None = None
    scored_before: bool | None = None
    versions: dict[str, str] = field(default_factory=dict)
    heatmaps: dict[str, Any] | None = None
    origin: dict[str, Any] | None = None

    def to_json(self) -> dict[str, Any]:
        """What ``run.json`` holds: sections that the run does not have are left out."""
        return {name: value for name, value in encode(self).items() if value is not None or name in _ALWAYS}


def read_training_run(path: Path, *, error: type[HemoError]) -> TrainingRun:
    """Read ``run.json``, also of earlier versions, whose scoring contract names labels.

    Raises:
        HemoError: ``error``: it is not there, is no JSON, lacks a key, or holds a value of the wrong type.
    """
    try:
        text = path.read_bytes()
    except OSError as problem:
        hint = "is this a training run's folder?"
        raise error(f"cannot be read: {problem.strerror}", path=str(path), hint=hint) from problem
    content = loads(text, error=error, what="training run", path=path)
    found = with_findings(content) if isinstance(content, dict) else content
    return decode(TrainingRun, found, error=error, what="training run", path=path)
