"""Forgetting what was learned, from the logit down to the first convolution (Adebayo et al. 2018, arXiv:1810.03292)."""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import groupby
from typing import Any

from hemo_trainer.heatmap_quality.subject import KerasModels

_MOST_CNN_STAGES = 6


@dataclass(frozen=True, slots=True)
class Stage:
    """Layers that are re-initialised together.

    Attributes:
        name: for people.
        part: ``sequence``, ``head`` or ``cnn``.
        layers: names of the layers within that part.
    """

    name: str
    part: str
    layers: tuple[str, ...]


class Cascade:
    """A working copy of a model that loses its weights stage by stage.

    Args:
        models: the model; it is left as it is.

    Attributes:
        cnn, head: the copies; their weights change in place.
        stages: in the order in which they are to be forgotten, from the logit down.
    """

    def __init__(self, models: KerasModels) -> None:
        self._models = models
        self.cnn, self.head = _clone(models.cnn, 0), _clone(models.head, 0)
        self.restore()
        self.stages = stages_of(models.cnn, models.head)

    def restore(self) -> None:
        """Learn everything again."""
        self.cnn.set_weights(self._models.cnn.get_weights())
        self.head.set_weights(self._models.head.get_weights())

    def forget(self, seed: int) -> Iterator[Stage]:
        """Restore, then re-initialise one more stage before each yield.

        Args:
            seed: of the layers' own initialisers.
        """
        self.restore()
        fresh = _containers(_clone(self._models.cnn, seed), _clone(self._models.head, seed))
        working = _containers(self.cnn, self.head)
        for stage in self.stages:
            for name in stage.layers:
                weights = fresh[stage.part].get_layer(name).get_weights()
                working[stage.part].get_layer(name).set_weights(weights)
            yield stage


def stages_of(cnn: Any, head: Any) -> tuple[Stage, ...]:
    """The stages of a model: each recurrent or dense layer, the rest of the head, the CNN by its stages' names."""
    sequence = head.get_layer("sequence")
    stages = [Stage(layer.name, "sequence", (layer.name,)) for layer in reversed(_weighted(sequence))]
    rest = tuple(layer.name for layer in reversed(_weighted(head)) if layer is not sequence)
    if rest:
        stages.append(Stage("pool", "head", rest))
    names = [layer.name for layer in reversed(_weighted(cnn))]
    groups = [(name, tuple(members)) for name, members in groupby(names, lambda name: name.split("_")[0])]
    return (*stages, *(Stage(name, "cnn", layers) for name, layers in _merged(groups)))


def _merged(groups: Sequence[tuple[str, tuple[str, ...]]]) -> Iterator[tuple[str, tuple[str, ...]]]:
    """The same layers in at most six groups: each stage costs a pass through the CNN."""
    size = max(1, -(-len(groups) // _MOST_CNN_STAGES))
    for first in range(0, len(groups), size):
        part = groups[first : first + size]
        name = part[0][0] if len(part) == 1 else f"{part[0][0]} … {part[-1][0]}"
        yield name, tuple(layer for _, layers in part for layer in layers)


def _weighted(model: Any) -> list[Any]:
    """Layers that have something to forget, from the input on."""
    return [layer for layer in model.layers if layer.weights]


def _containers(cnn: Any, head: Any) -> dict[str, Any]:
    return {"cnn": cnn, "head": head, "sequence": head.get_layer("sequence")}


def _clone(model: Any, seed: int) -> Any:
    """The same layers, newly initialised. Keras draws the seeds of unseeded initialisers from Python's generator."""
    import keras

    with _seeded(seed):
        return keras.models.clone_model(model)


@contextmanager
def _seeded(seed: int) -> Iterator[None]:
    state = random.getstate()
    random.seed(seed)
    try:
        yield
    finally:
        random.setstate(state)
