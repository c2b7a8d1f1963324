"""``hemo-batch export --from``: a model file from elsewhere → a run folder, which is then exported like any other.

A file tells its architecture and weights. How its pictures were made, what its output means and where its threshold
stands it does not tell: the owner does, or a default stands in, and both are written down. No figure of accuracy comes
along, so none is claimed.
"""

from __future__ import annotations

import json
import re
import warnings
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from hemo_core.bundle.contract import Contract, Crop, InputContract, ScoringContract, Window
from hemo_core.bundle.findings import Finding, default_name, named
from hemo_core.errors import ExportError
from hemo_core.records import encode
from hemo_export.legacy.model_file import LegacyModel, load_legacy
from hemo_export.legacy.split import Range, Rebuilt, rebuild

STATEMENT = "imported model: no evidence of its accuracy is known"
_NOT = "no-"
Float: TypeAlias = npt.NDArray[np.float32]

_PROBABILITY_LIMIT = 1e-5
_PICTURES = 4
_CARD = """# Model card: {name}

**For research only. Not a medical device. A scan without a finding by this model has not been read by anyone.**

**Imported model: no evidence of its accuracy is known.** It came as `{file}` (sha256 `{sha256}`, Keras {keras}) with
{parameters:,} weights, and was not trained, calibrated or measured here. Measure it on your own labelled scans
before you believe a number.

Each slice is scored by itself; the recurrence reads one step. Heat maps explain the output of the layer `{explained}`.
The logit is the argument of the model's own {output}; temperature 1 means that probabilities are **not calibrated**.

## What the file does not tell

| | value | by |
|---|---|---|
{rows}
Licence of the weights: {licence}.
"""


@dataclass(frozen=True, slots=True)
class Assumptions:
    """What a model file does not tell, as its owner says; defaults are assumptions.

    Attributes:
        threshold: probability from which a slice, or a scan, counts as positive.
        windows: display windows of the training pictures, one a channel; one alone stands for all channels.
        crop: what of a picture the model was trained on.
        pixels: what black and white were to the model; None: 0 and 1, or what its own first layer undoes.
        output_means: the finding that a high output speaks for, or ``no-`` and the one that it speaks against; None:
            the finding of :func:`hemo_core.bundle.findings.default_name`.
        slice_spacing_mm: thinner series are averaged to about this; 0 never averages.
        beta: sharpness of the scan logit, see :class:`hemo_core.bundle.contract.ScoringContract`.
        licence: of the weights.
    """

    threshold: float = 0.5
    windows: tuple[Window, ...] = (Window(40.0, 120.0),)
    crop: Crop = "whole"
    pixels: Range | None = None
    output_means: str | None = None
    slice_spacing_mm: float = 5.0
    beta: float = 1.0
    licence: str = "not stated: ask whoever trained the model"

    @property
    def positive(self) -> bool:
        """Whether a high output speaks for the finding."""
        return not (self.output_means or "").startswith(_NOT)

    @property
    def finding(self) -> Finding:
        """What the model looks for, not calibrated. Raises ExportError: its name or the threshold is none."""
        name = (self.output_means or default_name()).removeprefix(_NOT)
        try:
            return named(name, "primary", threshold=self.threshold)
        except ValueError as error:
            raise ExportError(str(error), hint="--output-means takes a finding's name, or no- and that name") from error


def make_run(file: Path, scratch: Path, *, name: str | None = None, assumed: Assumptions | None = None) -> Path:
    """Turn a single-picture Keras model into a run folder for :func:`hemo_export.package.export_run`.

    Args:
        file: ``.keras``, ``.h5`` or ``.hdf5``.
        scratch: an empty folder; the run is made inside.
        name: of the bundle; default the file's.
        assumed: what the file does not tell.

    Returns:
        The folder with ``model.keras``, ``run.json`` and ``MODEL_CARD.md``.

    Raises:
        BundleMissing, BundleUnsafe: the file is not there, or could run code.
        ExportError: it is no model of the family, or ``assumed`` does not fit it.
        ExportError: the model put together again differs from the model as saved.
    """
    assumed = assumed or Assumptions()
    scoring = ScoringContract((assumed.finding,), assumed.beta)
    with warnings.catch_warnings():  # what Keras 3 says of older spellings helps nobody
        warnings.filterwarnings("ignore", module="keras")
        legacy = load_legacy(file, scratch)
        rebuilt = rebuild(legacy.model, pixels=assumed.pixels, positive=assumed.positive)
        difference = _check(legacy.model, rebuilt, positive=assumed.positive)
    run_dir = scratch / "run"
    run_dir.mkdir()
    rebuilt.model.save(run_dir / "model.keras")
    run = _run(name or bundle_name(file), file, legacy, rebuilt, assumed, scoring)
    run["origin"]["max_abs_probability_difference"] = difference
    (run_dir / "run.json").write_text(json.dumps(run, indent=2, ensure_ascii=False) + "\n", "utf-8")
    (run_dir / "MODEL_CARD.md").write_text(_card(run), "utf-8")
    return run_dir


def bundle_name(file: Path) -> str:
    """A file's name as a bundle's: small letters, digits, dots, dashes."""
    name = re.sub(r"[^a-z0-9._-]+", "-", file.stem.lower()).strip("._-")[:48]
    return name or "imported"


def _check(saved: Any, rebuilt: Rebuilt, *, positive: bool) -> float:
    """Greatest difference of the probability between the model as saved and as put together again.

    Raises:
        ExportError: it is not below 1e-5.
    """
    height, width, channels = rebuilt.model.input_shape[2:]
    pictures = np.random.default_rng(0).random((_PICTURES, height, width, channels), np.float32)
    low, high = rebuilt.pixels
    own = np.asarray(saved(pictures * np.float32(high - low) + np.float32(low), training=False), np.float64).reshape(-1)
    logits = np.asarray(rebuilt.model(pictures[None], training=False), np.float64).reshape(-1)
    expected = own if rebuilt.output == "sigmoid" else _sigmoid(own)
    difference = float(np.abs(_sigmoid(logits if positive else -logits) - expected).max())
    if not difference < _PROBABILITY_LIMIT:
        raise ExportError(f"put together again, the model differs by {difference:.1e} from the model as saved")
    return difference


def _sigmoid(logits: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    return np.asarray(0.5 * (1 + np.tanh(logits / 2)))  # never overflows


def _run(
    name: str, file: Path, legacy: LegacyModel, rebuilt: Rebuilt, assumed: Assumptions, scoring: ScoringContract
) -> dict[str, Any]:
    """The manifest of the run."""
    height, width, channels = rebuilt.model.input_shape[2:]
    inputs = InputContract(
        height,
        width,
        _windows(assumed.windows, channels),
        slice_spacing_mm=assumed.slice_spacing_mm,
        crop=assumed.crop,
        imported=True,
    )
    return {
        "name": name,
        **encode(Contract(inputs, scoring)),
        "metrics": {},
        "data": {},
        "seed": None,
        "git_commit": None,
        "licence": assumed.licence,
        "origin": {
            "statement": STATEMENT,
            "file": file.name,
            "sha256": legacy.sha256,
            "format": legacy.format,
            "keras_version": legacy.keras_version,
            "parameters": int(legacy.model.count_params()),
            "output": rebuilt.output,
            "explained_layer": rebuilt.explained,
            "calibrated": False,
            "told": _assumed(assumed, rebuilt),
        },
    }


def _windows(windows: tuple[Window, ...], channels: int) -> tuple[Window, ...]:
    if len(windows) not in {1, channels}:
        hint = "give one window for all channels, or one for each"
        raise ExportError(f"{len(windows)} windows for a model of {channels} channels", hint=hint)
    return windows if len(windows) == channels else windows * channels


def _assumed(assumed: Assumptions, rebuilt: Rebuilt) -> dict[str, Any]:
    """Each setting with its value and whether the owner gave it."""
    default, values = Assumptions(), {**asdict(assumed), "pixels": list(rebuilt.pixels)}
    return {
        field.name: {
            "value": values[field.name],
            "by": "assumed" if getattr(assumed, field.name) == getattr(default, field.name) else "owner",
        }
        for field in fields(Assumptions)
    }


def _card(run: dict[str, Any]) -> str:
    """The model card of an imported model."""
    origin = run["origin"]
    rows = "".join(
        f"| {name.replace('_', ' ')} | {_cell(one['value'])} | {one['by']} |\n"
        for name, one in origin["told"].items()
        if name != "licence"
    )
    return _CARD.format(
        name=run["name"],
        file=origin["file"],
        sha256=origin["sha256"],
        keras=origin["keras_version"],
        parameters=origin["parameters"],
        explained=origin["explained_layer"],
        output="final sigmoid" if origin["output"] == "sigmoid" else "missing final sigmoid",
        rows=rows,
        licence=run["licence"],
    )


def _cell(value: Any) -> str:
    if isinstance(value, (list, tuple)):
        return ", ".join(_cell(one) for one in value)
    if isinstance(value, dict):
        return " ".join(f"{key} {number:g}" for key, number in value.items())
    return f"{value:g}" if isinstance(value, float) else str(value)
