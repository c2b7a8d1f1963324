"""The gate on the device: a GPU answers as the CPU does."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from hemo_core.errors import DeviceError
from hemo_export.gates.base import GateContext, GateResult
from hemo_export.gates.task import TaskLimits, judged


@dataclass(frozen=True, slots=True)
class SameOnCuda:
    """The task's scans on CUDA, where CUDA truly comes up. Elsewhere it is recorded as not run.

    Args:
        limits: what the answers may differ by.
    """

    name: ClassVar[str] = "CUDA parity"
    limits: TaskLimits

    def check(self, context: GateContext) -> GateResult:
        """See :class:`hemo_export.gates.base.Gate`."""
        if context.precision == "int8":
            return GateResult(self.name, None, "not run: int8 is for the CPU")
        try:
            engine = context.engine_on("cuda")
        except DeviceError as error:
            return GateResult(self.name, None, "not run: no CUDA", detail=str(error))
        reference = context.subject if context.precision == "fp32" else context.reference
        return judged(self.name, context, self.limits, context.scored_model(engine), reference)
