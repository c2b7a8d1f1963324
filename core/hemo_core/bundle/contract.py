"""The contract between a model and everything that feeds or reads it. Part of ``bundle.json`` and of a training run."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Literal, get_args

Crop = Literal["head", "whole"]
HeatmapCheck = Literal["passed", "failed", "not_measured"]

_SILENT = (("crop", "head"), ("imported", False))


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

    def to_json(self) -> dict[str, Any]:
        """JSON-ready form. ``crop`` and ``imported`` are left out at their defaults: older bundles know neither."""
        fields = {**asdict(self), "windows": [asdict(window) for window in self.windows]}
        return {name: value for name, value in fields.items() if (name, value) not in _SILENT}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> InputContract:
        """Inverse of :meth:`to_json`. Raises TypeError or KeyError on unknown or missing fields or values."""
        windows = tuple(Window(**window) for window in data["windows"])
        contract = cls(**{**data, "windows": windows})
        if contract.crop not in get_args(Crop):
            raise TypeError(f"unknown crop {contract.crop!r}")
        return contract


@dataclass(frozen=True, slots=True)
class ScoringContract:
    """How slice logits become a label.

    Attributes:
        labels: names of the L outputs; the first is ``hemorrhage``, the one that labels a scan.
        beta: sharpness of the scan logit, Σ zᵢ·softmax(β·zᵢ) over the slice logits.
        temperature: calibration, probability = sigmoid(logit / temperature) (Guo et al. 2017, arXiv:1706.04599).
        threshold: calibrated probability from which a scan, or a slice, counts as positive.
    """

    labels: tuple[str, ...] = ("hemorrhage",)
    beta: float = 1.0
    temperature: float = 1.0
    threshold: float = 0.5

    def to_json(self) -> dict[str, Any]:
        """JSON-ready form."""
        return {**asdict(self), "labels": list(self.labels)}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> ScoringContract:
        """Inverse of :meth:`to_json`. Raises TypeError or KeyError on unknown or missing fields."""
        return cls(**{**data, "labels": tuple(data["labels"])})
