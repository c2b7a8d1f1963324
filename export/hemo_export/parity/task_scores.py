"""What a model says of the task's scans, and how far two models' answers lie apart."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Protocol, TypeAlias

import numpy as np
import numpy.typing as npt

from hemo_core.bundle.contract import ScoringContract
from hemo_core.inference.gradcam import Explainer
from hemo_core.inference.scoring import score_scan
from hemo_core.inference.session import CnnOutput, Engine
from hemo_core.scans.preprocess import to_input
from hemo_export.parity.ranks import auc, rank_correlation
from hemo_export.parity.task_scans import TaskData

Float: TypeAlias = npt.NDArray[np.float32]
Doubles: TypeAlias = npt.NDArray[np.float64]

_BATCH = 16


class ScoringModel(Protocol):
    """Anything that scores and explains slices: the Keras model, or a bundle's graphs on some device."""

    def cnn(self, slices: Float) -> CnnOutput:
        """``(n, H, W, C)``, n ≤ 16."""

    def sequence(self, embeddings: Float) -> Float:
        """One scan, ``(slices, E)`` → logits ``(slices, L)``."""

    def heatmaps(self, features: Float, slices: Sequence[int], channel: int) -> Float:
        """Of one scan's features ``(t, h, w, K)``, normalised maps ``(p, h, w)``."""


@dataclass(frozen=True, slots=True, eq=False)
class OnnxModel:
    """A bundle as a worker runs it."""

    engine: Engine
    explainer: Explainer

    def cnn(self, slices: Float) -> CnnOutput:
        """See :meth:`hemo_core.inference.session.Engine.cnn`."""
        return self.engine.cnn(slices)

    def sequence(self, embeddings: Float) -> Float:
        """See :meth:`hemo_core.inference.session.Engine.sequence`."""
        return self.engine.sequence(embeddings)

    def heatmaps(self, features: Float, slices: Sequence[int], channel: int) -> Float:
        """See :meth:`hemo_core.inference.gradcam.Explainer.heatmaps`."""
        return self.explainer.heatmaps(features, slices, channel)


@dataclass(frozen=True, slots=True, eq=False)
class TaskScores:
    """A model's answers.

    Attributes:
        scans: calibrated probabilities ``(scans, L)``, by finding.
        slices: calibrated probabilities ``(N, L)``.
        labels: each scan's label.
        maps: heat maps ``(m, h, w)`` of :meth:`hemo_export.parity.task_scans.TaskData.explained`.
    """

    scans: Doubles
    slices: Doubles
    labels: tuple[str, ...]
    maps: Float


@dataclass(frozen=True, slots=True)
class TaskDifference:
    """How far a model's answers lie from a reference's.

    Attributes:
        delta_auc_scans, delta_auc_slices: AUC of the primary finding minus the reference's; None where one class is
            missing.
        flipped_scans, flipped_slices: how many are labelled or called otherwise at the locked threshold of any finding.
        scans, slices: how many there are.
        largest_delta: largest absolute difference of a calibrated probability, of scans and slices and all findings.
        map_correlation: lowest rank correlation (Spearman) of a heat map with the reference's; None without maps.
    """

    delta_auc_scans: float | None
    delta_auc_slices: float | None
    flipped_scans: int
    flipped_slices: int
    scans: int
    slices: int
    largest_delta: float
    map_correlation: float | None

    @property
    def flip_rate(self) -> float:
        """The larger of the shares of scans and of slices whose label flips."""
        return max(self.flipped_scans / self.scans, self.flipped_slices / self.slices)

    @property
    def worst_delta_auc(self) -> float | None:
        """The lower of the two differences of AUC that exist."""
        known = [value for value in (self.delta_auc_scans, self.delta_auc_slices) if value is not None]
        return min(known, default=None)

    def in_words(self) -> str:
        """One line."""
        area = "ΔAUC undefined" if self.worst_delta_auc is None else f"ΔAUC {self.worst_delta_auc:+.4f}"
        flips = f"{self.flipped_scans}/{self.scans} scans and {self.flipped_slices}/{self.slices} slices flip"
        maps = "" if self.map_correlation is None else f", heat maps ρ ≥ {self.map_correlation:.4f}"
        return f"{area}, {flips}, |Δp| ≤ {self.largest_delta:.1e}{maps}"


@dataclass(frozen=True)
class ScoredModel:
    """A model with its answers, asked once and only when somebody wants to know."""

    name: str
    model: ScoringModel
    data: TaskData
    scoring: ScoringContract

    @cached_property
    def scores(self) -> TaskScores:
        """Raises ScoringFailed where the model gives no number."""
        return score_task(self.model, self.data, self.scoring)


def score_task(model: ScoringModel, data: TaskData, scoring: ScoringContract) -> TaskScores:
    """Score all scans and draw the heat maps.

    Raises:
        ScoringFailed: a logit is no number.
    """
    explained = dict(data.explained())
    kept = {int(index) for number, indices in enumerate(data.scans()) if number in explained for index in indices}
    embeddings, features = _slices(model, data, kept)
    scans, slices, labels, maps = [], np.zeros((len(data.labels), len(scoring.findings))), [], []
    for number, indices in enumerate(data.scans()):
        score = score_scan(model.sequence(embeddings[indices]), scoring)
        scans.append([one.probability for one in score.findings])
        slices[indices] = np.stack([one.slice_probabilities for one in score.findings], axis=1)
        labels.append(score.label)
        if number in explained:
            scan_features = np.stack([features[int(index)] for index in indices])
            maps.append(model.heatmaps(scan_features, [explained[number]], scoring.channel)[0])
    return TaskScores(np.asarray(scans), slices, tuple(labels), np.stack(maps))


def compare(found: TaskScores, reference: TaskScores, data: TaskData, scoring: ScoringContract) -> TaskDifference:
    """How far ``found`` lies from ``reference``.

    Args:
        found, reference: answers about ``data``.
        data: the scans, with the truth.
        scoring: holds the locked thresholds.
    """
    primary = scoring.channel
    called_otherwise = _called_otherwise(found.scans, reference.scans, scoring)
    labelled_otherwise = np.asarray(found.labels) != np.asarray(reference.labels)
    correlations = [rank_correlation(mine, theirs) for mine, theirs in zip(found.maps, reference.maps, strict=True)]
    return TaskDifference(
        delta_auc_scans=_delta_auc(data.scan_labels(), found.scans[:, primary], reference.scans[:, primary]),
        delta_auc_slices=_delta_auc(data.labels, found.slices[:, primary], reference.slices[:, primary]),
        flipped_scans=int(np.count_nonzero(called_otherwise | labelled_otherwise)),
        flipped_slices=int(np.count_nonzero(_called_otherwise(found.slices, reference.slices, scoring))),
        scans=len(found.scans),
        slices=len(found.slices),
        largest_delta=float(
            max(np.abs(found.scans - reference.scans).max(), np.abs(found.slices - reference.slices).max())
        ),
        map_correlation=min(correlations, default=None),
    )


def _slices(model: ScoringModel, data: TaskData, kept: set[int]) -> tuple[Float, dict[int, Float]]:
    """Embeddings ``(N, E)`` of all slices; feature maps only of those in ``kept``, for they are large."""
    embeddings, features = [], {}
    for first in range(0, len(data.pixels), _BATCH):
        output = model.cnn(to_input(data.pixels[first : first + _BATCH]))
        embeddings.append(output.embeddings)
        features.update({first + at: maps for at, maps in enumerate(output.features) if first + at in kept})
    return np.concatenate(embeddings), features


def _called_otherwise(found: Doubles, reference: Doubles, scoring: ScoringContract) -> npt.NDArray[np.bool_]:
    """Which rows of ``(n, L)`` probabilities lie on the other side of a threshold: ``(n,)``."""
    thresholds = np.asarray([finding.threshold for finding in scoring.findings])
    return np.asarray(((found >= thresholds) != (reference >= thresholds)).any(axis=1))


def _delta_auc(truth: npt.NDArray[np.int8], found: Doubles, reference: Doubles) -> float | None:
    known = truth >= 0
    mine, theirs = (auc(truth[known] == 1, scores[known]) for scores in (found, reference))
    return None if mine is None or theirs is None else mine - theirs
