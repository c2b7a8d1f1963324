"""The contract between a model and everything that feeds or reads it. Part of ``bundle.json`` and of a training run."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from hemo_core.bundle.findings import Finding, Role, wording

Crop = Literal["head", "whole"]
HeatmapCheck = Literal["passed", "failed", "not_measured"]


@dataclass(frozen=True, slots=True)
class Window:
    """A display window in Hounsfield units (DICOM PS3.3 C.11.2.1.2)."""

    level: float
    width: float


@dataclass(frozen=True, slots=True)
class InputContract:
    """What the CNN expects.

    Attributes:
        height, width: pixels of the model's input picture.
        windows: one channel each; the first is the one that 8-bit pictures are taken to be in.
        crop_margin: border around the head, as a fraction of the head's larger side.
        slice_spacing_mm: spacing of the training series; thinner series are averaged to about this before scoring.
        crop: ``head``: the square around the head; ``whole``: the picture, padded with black to a square.
        imported: the model came from outside, so that all of this is what its owner says; each report notes it.
    """

    height: int = 160
    width: int = 160
    windows: tuple[Window, ...] = (Window(40.0, 120.0),)
    crop_margin: float = 0.04
    slice_spacing_mm: float = 5.0
    crop: Crop = "head"
    imported: bool = False

    @property
    def channels(self) -> int:
        """Number of window channels, the C of ``(n, H, W, C)``."""
        return len(self.windows)


@dataclass(frozen=True, slots=True)
class ScoringContract:
    """How slice logits become a label.

    Attributes:
        findings: one for each of the model's L output channels, in their order.
        beta: sharpness of the scan logit, Σ zᵢ·softmax(β·zᵢ) over the slice logits of one finding.
    """

    findings: tuple[Finding, ...]
    beta: float = 1.0

    def __post_init__(self) -> None:
        """Raises ValueError."""
        names = self.names
        if len(set(names)) != len(names):
            raise ValueError(f"findings of one name: {', '.join(names)}")
        primary = [finding.name for finding in self.findings if finding.role == "primary"]
        if len(primary) != 1:
            raise ValueError(f"exactly one finding is primary, not {len(primary)}")

    @property
    def names(self) -> tuple[str, ...]:
        """Of the findings, in the order of the output channels."""
        return tuple(finding.name for finding in self.findings)

    @property
    def channel(self) -> int:
        """The output channel of the primary finding, from 0."""
        return next(at for at, finding in enumerate(self.findings) if finding.role == "primary")

    @property
    def primary(self) -> Finding:
        """The finding that decides the label."""
        return self.findings[self.channel]

    @property
    def details(self) -> tuple[Finding, ...]:
        """All other findings."""
        return tuple(finding for finding in self.findings if finding.role == "detail")

    @property
    def temperature(self) -> float:
        """Of the primary finding."""
        return self.primary.temperature

    @property
    def threshold(self) -> float:
        """Of the primary finding."""
        return self.primary.threshold


@dataclass(frozen=True, slots=True)
class Contract:
    """Both halves, as each ONNX graph of a bundle carries them.

    Attributes:
        input: what goes in.
        scoring: what is made of what comes out.
    """

    input: InputContract
    scoring: ScoringContract

    @property
    def arithmetic(self) -> tuple[object, ...]:
        """What decides a score, without what the findings are called on paper."""
        channels = tuple((one.name, one.role, one.temperature, one.threshold) for one in self.scoring.findings)
        return self.input, self.scoring.beta, channels


def with_findings(content: Mapping[str, Any]) -> dict[str, Any]:
    """Anything with a member ``scoring``, in the form of contract schema version 2.

    Version 1 had ``labels`` with one ``temperature`` and one ``threshold`` for all of them; the first label decided.
    What is of neither form is given back as it is.
    """
    scoring = content.get("scoring")
    if not isinstance(scoring, Mapping) or not isinstance(scoring.get("labels"), list):
        return dict(content)
    shared = {key: value for key, value in scoring.items() if key not in {"labels", "beta"}}
    findings = [
        {**_named(label, "detail" if at else "primary"), **shared} for at, label in enumerate(scoring["labels"])
    ]
    return {**content, "scoring": {"beta": scoring.get("beta", 1.0), "findings": findings}}


def _named(label: Any, role: Role) -> dict[str, Any]:
    """Name, text and code of a label of version 1."""
    text, code = wording(label) if isinstance(label, str) else ("", None)
    return {"name": label, "text": text, "role": role, "snomed_code": code}
