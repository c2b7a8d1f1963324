"""Is the recurrence worth it? Sequence models of several kinds that learn beside the network, from the same embeddings.

Each reads the CNN's embeddings without changing the CNN, so they differ in nothing but the recurrence. What they score
out of fold is the ablation.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from hemo_trainer.config import Architecture
from hemo_trainer.network.model import build_sequence
from hemo_trainer.steps.batches import Arrays, StepBuilder

if TYPE_CHECKING:
    import keras

Float = npt.NDArray[np.float32]

ABLATIONS = ("cnn", "lstm", "gru", "both", "shuffled")


def build_ablated(embedding: int, labels: int, arch: Architecture) -> dict[str, keras.Model]:
    """A sequence model for each of ``ABLATIONS``; ``shuffled`` is ``both``, fitted and scored on slices in disorder."""
    kinds = {
        "cnn": replace(arch, lstm=0, gru=0),
        "lstm": replace(arch, gru=0),
        "gru": replace(arch, lstm=0),
        "both": arch,
        "shuffled": arch,
    }
    return {name: build_sequence(embedding, labels, kind, prefix=f"{name}_") for name, kind in kinds.items()}


class AblationSteps:
    """Steps with what the ablated models need: the shuffled order, and a target for each."""

    def __init__(self, builder: StepBuilder, names: Sequence[str]) -> None:
        self._builder, self._names = builder, names

    def build(self, number: int) -> tuple[Arrays, Arrays, Arrays]:
        """As :meth:`StepBuilder.build`, with ``shuffled_index``, ``shuffled_place`` and targets ``ablation_<name>``."""
        inputs, targets, weights = self._builder.build(number)
        rng = np.random.default_rng(number)
        index, place = inputs["index"].copy(), inputs["place"].copy()
        for row, mask in enumerate(inputs["mask"]):
            length = int(mask.sum())
            order = rng.permutation(length)
            index[row, :length] = inputs["index"][row, order]
            place[index[row, :length]] = row * index.shape[1] + np.arange(length)
        names = [f"ablation_{name}" for name in self._names]
        return (
            {**inputs, "shuffled_index": index, "shuffled_place": place},
            {**targets, **dict.fromkeys(names, targets["slice"])},
            {**weights, **dict.fromkeys(names, weights["slice"])},
        )


def ablated_logits(ablated: Mapping[str, Any], embeddings: Float, rng: np.random.Generator) -> dict[str, Float]:
    """Logits ``(t, L)`` of one series by each ablated model, embeddings ``(t, K)`` in slice order."""
    found = {}
    for name, sequence_model in ablated.items():
        order = rng.permutation(len(embeddings)) if name == "shuffled" else np.arange(len(embeddings))
        logits = np.asarray(sequence_model.predict_on_batch(embeddings[order][None]), np.float32)[0]
        found[name] = np.empty_like(logits)
        found[name][order] = logits
    return found
