"""Keras classes of the training loop. Importing this module imports Keras, so import it late."""

from __future__ import annotations

import csv
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import keras

from hemo_core import records
from hemo_core.files import replacing_path, write_durably
from hemo_trainer.steps.batches import Step


@dataclass(frozen=True, slots=True)
class FitState:
    """How far a fit has come, as ``last.json`` beside its last weights."""

    epochs_done: int


class BuildsSteps(Protocol):
    """What builds steps: :class:`~hemo_trainer.steps.batches.StepBuilder`, or what wraps one."""

    def build(self, number: int) -> Step:
        """Inputs, targets and sample weights of step ``number``."""


class Steps(keras.utils.PyDataset):  # type: ignore[misc]
    """The steps of each epoch: step ``i`` of epoch ``e`` is the run's step ``e·steps + i``, resumed or not."""

    def __init__(self, builder: BuildsSteps, steps: int) -> None:
        super().__init__(workers=2, use_multiprocessing=False, max_queue_size=6)
        self._builder, self._steps = builder, steps
        self.epoch = 0

    def __len__(self) -> int:
        return self._steps

    def __getitem__(self, index: int) -> Step:
        return self._builder.build(self.epoch * self._steps + index)


class Reseed(keras.callbacks.Callback):  # type: ignore[misc]
    """Ties chance to seed and epoch: Keras saves no generator's state, and peeks at the data before the first epoch."""

    def __init__(self, seed: int, steps: Steps) -> None:
        super().__init__()
        self._seed, self._steps = seed, steps

    def on_epoch_begin(self, epoch: int, logs: Mapping[str, Any] | None = None) -> None:  # noqa: ARG002
        """Set the epoch of the data and the state of every layer's generator."""
        self._steps.epoch = epoch
        for number, layer in enumerate(self.model.layers):
            generator = getattr(layer, "seed_generator", None)
            if generator is not None:
                generator.state.assign([self._seed + number, epoch])


class Backup(keras.callbacks.Callback):  # type: ignore[misc]
    """Saves weights and optimiser after each epoch, so that a stopped run resumes. Must come before the EMA swap."""

    def __init__(self, folder: Path) -> None:
        super().__init__()
        self._folder = folder

    def on_epoch_end(self, epoch: int, logs: Mapping[str, Any] | None = None) -> None:  # noqa: ARG002
        """Write ``last.weights.h5`` and then the epoch's number, each whole or not at all."""
        with replacing_path(self._folder / "last.weights.h5") as path:
            self.model.save_weights(path)
        write_durably(self._folder / "last.json", records.dumps(FitState(epoch + 1)))


class WriteHistory(keras.callbacks.Callback):  # type: ignore[misc]
    """Appends each epoch's losses to a CSV file, of the form that :class:`Validate` writes."""

    def __init__(self, history: Path) -> None:
        super().__init__()
        self._history = history

    def on_epoch_end(self, epoch: int, logs: Mapping[str, Any] | None = None) -> None:
        """Append a row."""
        rate = float(self.model.optimizer.learning_rate)
        losses = {name: round(float(value), 6) for name, value in (logs or {}).items()}
        _append(self._history, {"epoch": epoch + 1, "learning_rate": rate, **losses})


class Validate(keras.callbacks.Callback):  # type: ignore[misc]
    """Validates the averaged weights, keeps the best, writes ``history.csv`` and the curves, stops when nothing helps.

    Must come after the EMA swap.

    Args:
        evaluate: validation figures of the weights now in the network; ``score`` decides.
        save_best: keeps the weights now in the network.
        history: the CSV file; rows of an earlier, resumed part are kept.
        redraw: draws the curves from the history.
        patience: epochs without a better score until training stops.
    """

    def __init__(
        self,
        *,
        evaluate: Callable[[], Mapping[str, float]],
        save_best: Callable[[], None],
        history: Path,
        redraw: Callable[[Path], None],
        patience: int,
    ) -> None:
        super().__init__()
        self._evaluate, self._save_best, self._redraw = evaluate, save_best, redraw
        self._history, self._patience = history, patience
        rows = read_history(history)
        self._best = max((float(row["score"]) for row in rows), default=float("-inf"))
        self._best_epoch = max(rows, key=lambda row: float(row["score"]))["epoch"] if rows else 0

    def on_epoch_end(self, epoch: int, logs: Mapping[str, Any] | None = None) -> None:
        """Validate and decide."""
        figures = self._evaluate()
        row = {"epoch": epoch + 1, "learning_rate": float(self.model.optimizer.learning_rate)}
        row |= {name: round(float(value), 6) for name, value in {**(logs or {}), **figures}.items()}
        if row["score"] > self._best:
            self._best, self._best_epoch = row["score"], epoch + 1
            self._save_best()
        elif epoch + 1 - int(self._best_epoch) >= self._patience:
            self.model.stop_training = True
        # After the weights: a row whose weights are missing would make a resumed run keep nothing.
        _append(self._history, row)
        self._redraw(self._history)
        print("  " + "  ".join(f"{name} {value:.3f}" for name, value in figures.items()), flush=True)  # noqa: T201


def read_history(path: Path) -> list[dict[str, str]]:
    """Rows of ``history.csv``; none if there is no such file."""
    if not path.is_file():
        return []
    with path.open(newline="", encoding="utf-8") as lines:
        return list(csv.DictReader(lines))


def _append(path: Path, row: Mapping[str, Any]) -> None:
    is_new = not path.is_file()
    with path.open("a", newline="", encoding="utf-8") as lines:
        writer = csv.DictWriter(lines, list(row))
        if is_new:
            writer.writeheader()
        writer.writerow(row)
