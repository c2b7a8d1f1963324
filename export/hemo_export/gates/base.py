"""What a gate is, what it is shown and what it says."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, ClassVar, Protocol

import numpy.typing as npt

from hemo_core.bundle import Bundle
from hemo_core.bundle.manifest import Precision, Variant
from hemo_core.inference.gradcam import Explainer
from hemo_core.inference.precision import variant_files
from hemo_core.inference.session import Device, Engine
from hemo_export.parity.reference import KerasModel
from hemo_export.parity.task_scans import TaskData
from hemo_export.parity.task_scores import OnnxModel, ScoredModel
from hemo_export.run_folder import RunFolder
from hemo_export.submodels import Submodels


@dataclass(frozen=True, slots=True, eq=False)
class Reproduction:
    """What is needed to see one failure again, without the run and without the gates.

    Attributes:
        script: file of ``hemo_export/gates/scripts`` that shows it.
        facts: what the script reads as JSON.
        arrays: what it reads as ``.npz``: inputs, and the answers that were expected.
    """

    script: str
    facts: Mapping[str, Any]
    arrays: Mapping[str, npt.NDArray[Any]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class GateResult:
    """What one gate found.

    Attributes:
        name: of the gate.
        passed: None where the gate could not run here, which is recorded as such and never as passed.
        figure: what it measured, in a few words.
        limit: what the figure is held against, in a few words.
        detail: why it failed or did not run.
        figures: what it measured, JSON-ready.
        reproduce: how to see the failure again.
        seconds: how long it took.
    """

    name: str
    passed: bool | None
    figure: str
    limit: str = ""
    detail: str = ""
    figures: Mapping[str, Any] = field(default_factory=dict)
    reproduce: Reproduction | None = None
    seconds: float = 0.0

    @property
    def verdict(self) -> str:
        """One word, or two."""
        return "not run" if self.passed is None else "passed" if self.passed else "failed"

    def in_words(self) -> str:
        """One line: figure, limit, reason."""
        limit = f" (limit {self.limit})" if self.limit else ""
        return f"{self.figure}{limit}" + (f"; {self.detail}" if self.detail else "")

    def to_json(self) -> dict[str, Any]:
        """What ``bundle.json`` records."""
        told = {"figure": self.figure, "limit": self.limit, "detail": self.detail}
        return {"verdict": self.verdict, **{key: text for key, text in told.items() if text}, **dict(self.figures)}


@dataclass(frozen=True)
class GateContext:
    """One precision of the bundle being built, and what it is held against.

    Attributes:
        run: the training run.
        submodels: the Keras models.
        keras: the same, compiled.
        bundle: the folder being built, sealed.
        precision: which of its graphs are judged.
        data: the scans that the models are asked about.
        reference: whose answers count: the Keras model for fp32, fp32 for the others.
        explain: gives the one explainer of the bundle's head.
        threads: onnxruntime's threads; default as many as cores.
    """

    run: RunFolder
    submodels: Submodels
    keras: KerasModel
    bundle: Bundle
    precision: Precision
    data: TaskData
    reference: ScoredModel
    explain: Callable[[], Explainer]
    threads: int | None = None

    @property
    def files(self) -> Variant:
        """The graphs that are judged."""
        return variant_files(self.bundle, self.precision)

    @property
    def graphs(self) -> tuple[str, str]:
        """Their names in the bundle: CNN, sequence."""
        return self.files.cnn, self.files.sequence

    @cached_property
    def engine(self) -> Engine:
        """Both graphs on the CPU, as a worker runs them."""
        return self.engine_on("cpu")

    @cached_property
    def subject(self) -> ScoredModel:
        """Who is judged, on the CPU."""
        return self.scored_model(self.engine)

    def engine_on(self, device: Device, batch: int = 16) -> Engine:
        """Both graphs in onnxruntime.

        Raises:
            HemoError: they do not load there.
        """
        return Engine(self.bundle, device=device, threads=self.threads, batch=batch, precision=self.precision)

    def scored_model(self, engine: Engine) -> ScoredModel:
        """The graphs in ``engine``, as somebody to ask about :attr:`data`."""
        name = f"{self.precision} on {engine.provider.removesuffix('ExecutionProvider')}"
        return ScoredModel(name, OnnxModel(engine, self.explain()), self.data, self.bundle.scoring)


class Gate(Protocol):
    """One condition that every released graph meets."""

    name: ClassVar[str]

    def check(self, context: GateContext) -> GateResult:
        """Measure and judge.

        Raises:
            HemoError: an expected way of not even being able to measure; counts as failed.
        """
