"""Scans through an LSTM or a GRU in numpy, and back: forward once, then any number of gradients side by side.

The equations are those of the ONNX operators LSTM and GRU (with ``linear_before_reset``, which is Keras's
``reset_after``). Both directions share one loop; what the loop does not need is worked out for all steps at once.

Letters in shapes: t slices, s scans of equal length, D directions, u units, G·u all gates' units, p gradients at once.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

Float: TypeAlias = npt.NDArray[np.float32]
Pullback: TypeAlias = Callable[[Float], Float]


@dataclass(frozen=True, slots=True, eq=False)
class Cells:
    """The weights of one recurrent operator.

    Attributes:
        kernel: ``(D, G·u, inputs)``.
        recurrent: ``(D, G·u, u)``.
        bias, recurrent_bias: ``(D, G·u)``.
        backward: for each direction, whether it reads from the last slice to the first.
    """

    kernel: Float
    recurrent: Float
    bias: Float
    recurrent_bias: Float
    backward: tuple[bool, ...]


def lstm(inputs: Float, cells: Cells, state: Float, memory: Float) -> tuple[Float, Pullback]:
    """A long short-term memory; its gates are input, output, forget, cell.

    Args:
        inputs: ``(t, s, inputs)``.
        cells: its weights.
        state, memory: h and c before the first slice, ``(D, s, u)``.

    Returns:
        The states ``(t, D, s, u)``, and the pullback: gradients by the states ``(p, t, D, s, u)`` → by the inputs
        ``(p, t, s, inputs)``.
    """
    fed = _fed(inputs, cells, cells.bias + cells.recurrent_bias)  # (D, t, s, 4u)
    directions, steps, scans, units = *fed.shape[:3], state.shape[2]
    back_kernel = np.ascontiguousarray(cells.recurrent.transpose(0, 2, 1))  # (D, u, 4u)
    gates = np.empty((directions, steps, scans, 4, units), np.float32)
    states, before, squashed = (np.empty((directions, steps, scans, units), np.float32) for _ in range(3))
    for step in range(steps):
        total = (fed[:, step] + state @ back_kernel).reshape(directions, scans, 4, units)
        gate = gates[:, step]
        gate[:, :, :3] = sigmoid(total[:, :, :3])
        gate[:, :, 3] = np.tanh(total[:, :, 3])
        before[:, step] = memory
        memory = gate[:, :, 2] * memory + gate[:, :, 0] * gate[:, :, 3]
        squashed[:, step] = np.tanh(memory)
        state = gate[:, :, 1] * squashed[:, step]
        states[:, step] = state
    enter, leave, keep, fresh = (gates[:, :, :, place] for place in range(4))
    into_memory = leave * (1 - squashed * squashed)  # ∂h/∂c
    slopes = np.stack(  # of each gate's sum: by c, the output gate's by h
        [
            fresh * enter * (1 - enter),
            squashed * leave * (1 - leave),
            before * keep * (1 - keep),
            enter * (1 - fresh * fresh),
        ],
        axis=3,
    )  # (D, t, s, 4, u)

    def pullback(gradients: Float) -> Float:
        arriving = _by_direction(gradients, cells)  # (D, t, p, s, u)
        side = arriving.shape[:1] + arriving.shape[2:]  # (D, p, s, u)
        sums = np.empty((*arriving.shape[:4], 4, units), np.float32)
        by_state, by_memory = np.zeros(side, np.float32), np.zeros(side, np.float32)
        for step in reversed(range(steps)):
            by_state += arriving[:, step]
            by_memory += by_state * into_memory[:, step, None]
            sums[:, step] = by_memory[..., None, :] * slopes[:, step, None]
            sums[:, step, :, :, 1] = by_state * slopes[:, step, None, :, 1]
            by_memory *= keep[:, step, None]
            by_state = (sums[:, step].reshape(directions, -1, 4 * units) @ cells.recurrent).reshape(side)
        return _by_input(sums, cells)

    return _by_slice(states, cells), pullback


def gru(inputs: Float, cells: Cells, state: Float) -> tuple[Float, Pullback]:
    """A gated recurrent unit whose reset gate acts after the matrix; its gates are update, reset, new.

    Args:
        inputs: ``(t, s, inputs)``.
        cells: its weights.
        state: h before the first slice, ``(D, s, u)``.

    Returns:
        As :func:`lstm`.
    """
    fed = _fed(inputs, cells, cells.bias)  # (D, t, s, 3u)
    directions, steps, scans, units = *fed.shape[:3], state.shape[2]
    back_kernel = np.ascontiguousarray(cells.recurrent.transpose(0, 2, 1))  # (D, u, 3u)
    shape = (directions, steps, scans, units)
    update, reset, fresh, offered, states, before = (np.empty(shape, np.float32) for _ in range(6))
    for step in range(steps):
        own = fed[:, step].reshape(directions, scans, 3, units)
        past = (state @ back_kernel + cells.recurrent_bias[:, None]).reshape(own.shape)
        gate = sigmoid(own[:, :, :2] + past[:, :, :2])
        update[:, step], reset[:, step] = gate[:, :, 0], gate[:, :, 1]
        offered[:, step], before[:, step] = past[:, :, 2], state
        fresh[:, step] = np.tanh(own[:, :, 2] + reset[:, step] * offered[:, step])
        state = fresh[:, step] + update[:, step] * (state - fresh[:, step])
        states[:, step] = state
    by_update = (before - fresh) * update * (1 - update)
    by_fresh = (1 - update) * (1 - fresh * fresh)
    by_reset = by_fresh * offered * reset * (1 - reset)
    own_slopes = np.stack([by_update, by_reset, by_fresh], axis=3)  # (D, t, s, 3, u)
    past_slopes = np.stack([by_update, by_reset, by_fresh * reset], axis=3)

    def pullback(gradients: Float) -> Float:
        arriving = _by_direction(gradients, cells)  # (D, t, p, s, u), becomes the whole gradient by each state
        for step in reversed(range(1, steps)):
            by_state = arriving[:, step]
            sums = by_state[..., None, :] * past_slopes[:, step, None]  # (D, p, s, 3, u)
            arriving[:, step - 1] += (sums.reshape(directions, -1, 3 * units) @ cells.recurrent).reshape(by_state.shape)
            arriving[:, step - 1] += by_state * update[:, step, None]
        return _by_input(arriving[..., None, :] * own_slopes[:, :, None], cells)

    return _by_slice(states, cells), pullback


def sigmoid(values: Float) -> Float:
    """The logistic function, without overflow."""
    result: Float = 0.5 * np.tanh(0.5 * values) + np.float32(0.5)
    return result


def _fed(inputs: Float, cells: Cells, bias: Float) -> Float:
    """What the inputs give to each gate, in each direction's own order: ``(t, s, inputs)`` → ``(D, t, s, G·u)``."""
    parts = [
        (inputs[::-1] if backward else inputs) @ kernel.T + offset
        for backward, kernel, offset in zip(cells.backward, cells.kernel, bias, strict=True)
    ]
    return np.stack(parts)


def _by_slice(states: Float, cells: Cells) -> Float:
    """``(D, t, s, u)`` in each direction's own order → ``(t, D, s, u)`` in the scan's."""
    ordered = [part[::-1] if backward else part for backward, part in zip(cells.backward, states, strict=True)]
    return np.stack(ordered, axis=1)


def _by_direction(gradients: Float, cells: Cells) -> Float:
    """``(p, t, D, s, u)`` in the scan's order → a new ``(D, t, p, s, u)`` in each direction's own."""
    moved = gradients.transpose(2, 1, 0, 3, 4)
    return np.stack(
        [part[::-1] if backward else part for backward, part in zip(cells.backward, moved, strict=True)]
    ).astype(np.float32, copy=False)


def _by_input(sums: Float, cells: Cells) -> Float:
    """Gradients by the gates' sums ``(D, t, p, s, G, u)``, in each direction's own order → by the inputs."""
    total = np.zeros((*sums.shape[1:4], cells.kernel.shape[2]), np.float32)  # (t, p, s, inputs)
    for backward, part, kernel in zip(cells.backward, sums, cells.kernel, strict=True):
        own = (part.reshape(-1, kernel.shape[0]) @ kernel).reshape(total.shape)
        total += own[::-1] if backward else own
    return total.swapaxes(0, 1)
