"""Which of the two ways to a heat map an installation is to take. Nothing is imported to find out."""

from __future__ import annotations

from importlib.util import find_spec
from typing import Literal

from hemo_core.errors import MissingExtra

ExplainerKind = Literal["tf", "onnx"]
WantedExplainer = Literal["auto", "tf", "onnx"]
WANTED_EXPLAINERS: tuple[WantedExplainer, ...] = ("auto", "tf", "onnx")


def choose_explainer(wanted: WantedExplainer) -> tuple[ExplainerKind, str]:
    """The explainer to take, and why.

    Args:
        wanted: ``tf`` is the reference; ``onnx`` gives the same maps without TensorFlow; ``auto`` takes the reference
            where TensorFlow is installed.

    Raises:
        MissingExtra: ``tf`` is wanted and TensorFlow is not installed.
    """
    installed = find_spec("tensorflow") is not None and find_spec("keras") is not None
    if wanted == "auto":
        return ("tf", "TensorFlow is installed") if installed else ("onnx", "TensorFlow is not installed")
    if wanted == "tf" and not installed:
        hint = "pip install 'hemo-batch[worker]', or take --explainer onnx, for which 'hemo-batch[slim]' is enough"
        raise MissingExtra("--explainer tf needs TensorFlow, which is not installed", hint=hint)
    return wanted, "as asked"
