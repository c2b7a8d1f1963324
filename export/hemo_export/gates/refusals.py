"""The gate on input that must end in an error and never in a score."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import ClassVar

import numpy as np

from hemo_core.errors import HemoError
from hemo_core.inference.session import Engine
from hemo_export.gates.base import GateContext, GateResult, Reproduction


class Refusals:
    """NaN or infinity in a slice or an embedding, and pictures of another size, are refused with a clear error.

    A graph alone cannot be trusted with that: rectifiers and quantised operators turn NaN into ordinary numbers.
    """

    name: ClassVar[str] = "refusals"

    def check(self, context: GateContext) -> GateResult:
        """See :class:`hemo_export.gates.base.Gate`."""
        cases = bad_inputs(context.engine, context.run.picture)
        scored = [name for name, run in cases.items() if not refused(run)]
        figure = f"{len(cases) - len(scored)} of {len(cases)} bad inputs refused"
        detail = f"given a score: {', '.join(scored)}" if scored else ""
        failed = Reproduction("feed_bad_input.py", {"cases": scored, "precision": context.precision})
        return GateResult(self.name, not scored, figure, detail=detail, reproduce=failed if scored else None)


def bad_inputs(engine: Engine, picture: tuple[int, int, int]) -> dict[str, Callable[[], object]]:
    """Calls that must raise, by what is wrong with their input."""
    return dict(_cases(engine, picture))


def _cases(engine: Engine, picture: tuple[int, int, int]) -> Iterator[tuple[str, Callable[[], object]]]:
    height, width, channels = picture
    good = np.full((2, *picture), 0.5, np.float32)
    embeddings = engine.cnn(good).embeddings
    for name, value in (("NaN", np.nan), ("infinity", np.inf)):
        bad, odd = good.copy(), embeddings.copy()
        bad[1, height // 2, width // 2, 0] = value
        odd[1, 0] = value
        yield f"{name} in a slice", lambda bad=bad: engine.sequence(engine.cnn(bad).embeddings)  # type: ignore[misc]
        yield f"{name} in an embedding", lambda odd=odd: engine.sequence(odd)  # type: ignore[misc]
    for name, shape in (
        ("a row more", (height + 1, width, channels)),
        ("a column less", (height, width - 1, channels)),
    ):
        yield name, lambda shape=shape: engine.cnn(np.zeros((1, *shape), np.float32))  # type: ignore[misc]


def refused(run: Callable[[], object]) -> bool:
    """Whether the call raised what a caller of ours would expect."""
    try:
        run()
    except (HemoError, ValueError):
        return True
    return False
