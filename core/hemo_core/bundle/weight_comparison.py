"""How far the weights of two graphs are apart."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

Array: TypeAlias = npt.NDArray[Any]
Weights: TypeAlias = Mapping[str, Array]

_NUMBERING = re.compile(r"_+\d+(?=[/:]|$)")
"""What exporters add to tell like names apart: ``W__288``, ``cnn_1/stem_conv_1/…``. It differs from run to run."""


@dataclass(frozen=True, slots=True)
class TensorChange:
    """One stored array that differs.

    Attributes:
        name: in the second graph.
        changed: elements that differ, of ``count``.
        relative_norm: ‖after − before‖₂ / ‖before‖₂; None if the first one is all zero.
        largest: the largest |after − before|.
    """

    name: str
    shape: tuple[int, ...]
    count: int
    changed: int
    relative_norm: float | None
    largest: float


@dataclass(frozen=True, slots=True)
class WeightChange:
    """Two graphs' weights.

    Attributes:
        tensors: arrays that both have, by name and shape.
        count: elements of those.
        changed: elements of those that differ.
        relative_norm: over all of them, as for one array.
        differing: the arrays that differ, the farthest apart first.
        removed, added: arrays that only the first, only the second graph has.
    """

    tensors: int
    count: int
    changed: int
    relative_norm: float | None
    differing: tuple[TensorChange, ...]
    removed: tuple[str, ...]
    added: tuple[str, ...]


def compare_weights(before: Weights, after: Weights) -> WeightChange:
    """Compare arrays that stand for the same thing: of the same name and shape, else of the same name but numbering.

    Args:
        before, after: stored arrays by name. Whole numbers of 32 and 64 bits are axes and shapes, not weights.
    """
    old, new = _weights(before), _weights(after)
    pairs = list(_pairs(old, new))
    changes = [_change(second, old[first], new[second]) for first, second in pairs]
    apart = [change for change in changes if change.changed]
    matched = ({first for first, _ in pairs}, {second for _, second in pairs})
    return WeightChange(
        tensors=len(pairs),
        count=sum(change.count for change in changes),
        changed=sum(change.changed for change in changes),
        relative_norm=_ratio(
            sum(_squared(_difference(old[first], new[second])) for first, second in pairs),
            sum(_squared(old[first]) for first, _ in pairs),
        ),
        differing=tuple(sorted(apart, key=_farthest_first)),
        removed=tuple(sorted(set(old) - matched[0])),
        added=tuple(sorted(set(new) - matched[1])),
    )


def _weights(arrays: Weights) -> dict[str, Array]:
    return {name: array for name, array in arrays.items() if array.dtype.kind == "f" or array.dtype.itemsize == 1}


def _pairs(before: Weights, after: Weights) -> Iterator[tuple[str, str]]:
    alike = {name for name in before if name in after and before[name].shape == after[name].shape}
    yield from ((name, name) for name in before if name in alike)
    waiting: dict[tuple[str, tuple[int, ...]], list[str]] = defaultdict(list)
    for name, array in before.items():
        if name not in alike:
            waiting[_NUMBERING.sub("", name), array.shape].append(name)
    for name, array in after.items():
        candidates = waiting[_NUMBERING.sub("", name), array.shape] if name not in alike else []
        if candidates:
            yield candidates.pop(0), name


def _change(name: str, before: Array, after: Array) -> TensorChange:
    apart = _difference(before, after)
    return TensorChange(
        name=name,
        shape=after.shape,
        count=after.size,
        changed=int(np.count_nonzero(before != after)),
        relative_norm=_ratio(_squared(apart), _squared(before)),
        largest=float(np.max(np.abs(apart), initial=0.0)),
    )


def _difference(before: Array, after: Array) -> npt.NDArray[np.float64]:
    return after.astype(np.float64) - before.astype(np.float64)


def _squared(array: Array) -> float:
    return float(np.sum(np.square(array, dtype=np.float64)))


def _ratio(apart: float, base: float) -> float | None:
    return float(np.sqrt(apart / base)) if base else None


def _farthest_first(change: TensorChange) -> tuple[bool, float, str]:
    """An array that was all zero has changed beyond any ratio."""
    return change.relative_norm is not None, -(change.relative_norm or 0.0), change.name
