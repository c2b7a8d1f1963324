"""Where a report's numbers come from: model, data, machine, and how far they may be trusted."""

from __future__ import annotations

import os
import platform
from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib.metadata import PackageNotFoundError, version
from types import MappingProxyType
from typing import Any, Literal

from hemo_core import __version__

Protocol = Literal["held_out", "validation", "out_of_fold", "external", "unseen", "unknown"]

PROTOCOL_TEXT: Mapping[Protocol, str] = MappingProxyType(
    {
        "held_out": "Patients that took no part in fitting the model or in choosing anything about it.",
        "validation": "Patients that chose the epoch, the temperature and the threshold: these figures are optimistic.",
        "out_of_fold": (
            "Every patient was scored by a model that had not been fitted to that patient. Temperature and threshold "
            "were locked on these same scores, so figures at the locked threshold are optimistic."
        ),
        "external": "Sources that the model was not fitted to; no patient or picture of theirs was in its training.",
        "unseen": (
            "The model was not fitted to any of these patients, by name or by picture. Whether they had a part in "
            "choosing it is not recorded."
        ),
        "unknown": "Whether these patients, or this source, took part in fitting the model is not recorded.",
    }
)
_LIBRARIES = ("onnxruntime", "numpy", "scipy", "scikit-learn")


@dataclass(frozen=True, slots=True)
class About:
    """What a report says about its own origin.

    Attributes:
        title: what was measured, in a few words.
        protocol: the patients' part in the model's making.
        command: that measures the same again.
        model: ``name``, ``version`` and ``digest`` of a bundle, or what names the models of a cross-validation.
        manifest: ``bundle.json`` or ``run.json``: fills in the checklist.
        data: ``fingerprint``, ``split_hash``, ``side``, ``path`` and whatever else names the data.
        provider: execution provider that ran the model, None if it was no single one.
        precision: precision of the bundle's graphs.
    """

    title: str
    protocol: Protocol = "unknown"
    command: str | None = None
    model: Mapping[str, Any] = field(default_factory=dict)
    manifest: Mapping[str, Any] = field(default_factory=dict)
    data: Mapping[str, Any] = field(default_factory=dict)
    provider: str | None = None
    precision: str = "fp32"

    def to_json(self) -> dict[str, Any]:
        """JSON-ready, with this machine and its libraries; the manifest stays out, the model's digest names it."""
        return {
            "title": self.title,
            "protocol": self.protocol,
            "protocol_text": PROTOCOL_TEXT[self.protocol],
            "command": self.command,
            "model": dict(self.model),
            "data": dict(self.data),
            "provider": self.provider,
            "precision": self.precision,
            "machine": f"{platform.system()} {platform.machine()}, {os.cpu_count()} CPUs",
            "software": {"hemo-batch": __version__, "python": platform.python_version(), **_versions()},
        }


def _versions() -> dict[str, str]:
    """Of the libraries that touch the numbers, as installed."""
    found = {}
    for name in _LIBRARIES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found
