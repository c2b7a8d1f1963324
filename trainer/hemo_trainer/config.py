"""Every hyper-parameter of a training run, read from one TOML file. Unknown keys are errors, never ignored."""

from __future__ import annotations

import difflib
import tomllib
from collections.abc import Iterable
from dataclasses import dataclass, field, is_dataclass, replace
from pathlib import Path
from typing import Any, Literal, get_args, get_origin, get_type_hints

from hemo_core.bundle.contract import InputContract
from hemo_core.bundle.findings import default_name
from hemo_core.errors import SettingsError
from hemo_core.records import decode
from hemo_trainer.datasets.layouts import layouts, named_sources
from hemo_trainer.datasets.source import DataSource


@dataclass(frozen=True, slots=True)
class Architecture:
    """Hyper-parameters of the network.

    Attributes:
        cnn: ``lite0``, which begins with ImageNet weights, see :mod:`hemo_trainer.network.lite0`, or ``residual``, a
            small residual CNN that begins at random.
        stem: channels of the strided first convolution of ``residual``.
        stages: output channels of its stages; each but the last halves the picture's side.
        top: output channels of ``lite0``.
        frozen: stages of ``lite0`` that keep their ImageNet weights.
        lstm, gru: units in each direction; 0 leaves the layer out.
        dense: units of the dense layer before the slice logit.
        mirror: the third stage of ``residual`` also sees its input mirrored, so that one half of the head is read
            against the other.
        dropout: rate before the recurrence and before the logit.
    """

    cnn: Literal["lite0", "residual"] = "lite0"
    stem: int = 24
    stages: tuple[int, ...] = (40, 80, 128, 192)
    top: int = 192
    frozen: int = 2
    lstm: int = 64
    gru: int = 48
    dense: int = 32
    mirror: bool = False
    dropout: float = 0.3


@dataclass(frozen=True, slots=True)
class SplitConfig:
    """How patients without a published split are assigned.

    Attributes:
        val, test: fractions of patients; assigned by a hash of source and patient, so more data moves nobody.
        salt: changes the assignment.
    """

    val: float = 0.15
    test: float = 0.15
    salt: str = "hemo"


@dataclass(frozen=True, slots=True)
class BatchConfig:
    """What one training step sees.

    Attributes:
        series_slices: slices in sub-series a step; filled with sub-series of one of ``lengths``.
        lengths: lengths of the sub-series, drawn at random.
        singles: single slices a step, as sequences of length one.
        positive_share: share of single slices drawn from positives.
        positive_series_share: share of sub-series that hold a positive slice, where the source has any.
    """

    series_slices: int = 24
    lengths: tuple[int, ...] = (4, 6, 8, 12)
    singles: int = 24
    positive_share: float = 0.4
    positive_series_share: float = 0.6


@dataclass(frozen=True, slots=True)
class AugmentConfig:
    """Strength of the random changes; geometry is drawn once a sequence, noise once a slice.

    Attributes:
        rotation_deg, shift, zoom: largest rotation, shift (fraction of the side) and relative change of scale.
        flip: probability of a left-right flip.
        reverse: probability of reading a sub-series from head to foot.
        brightness, contrast, gamma: largest change of grey (fraction of full scale), of log gain and of log gamma.
        noise: largest standard deviation of added noise (fraction of full scale).
        blur: largest sigma of a Gaussian blur, pixels.
        jpeg: probability of a JPEG round trip at quality 30–90.
        marks: probability of a burnt-in letter outside the head.
        erase: probability that a rectangle is blanked.
        untouched: probability that grey levels stay as they are.
    """

    rotation_deg: float = 20.0
    shift: float = 0.07
    zoom: float = 0.15
    flip: float = 0.5
    reverse: float = 0.5
    brightness: float = 0.12
    contrast: float = 0.35
    gamma: float = 0.3
    noise: float = 0.05
    blur: float = 1.0
    jpeg: float = 0.2
    marks: float = 0.1
    erase: float = 0.1
    untouched: float = 0.25


@dataclass(frozen=True, slots=True)
class LesionConfig:
    """Bleeds painted on training slices that show none, see :mod:`hemo_trainer.steps.lesions`.

    Attributes:
        rate: share of sequences without hemorrhage that get a made-up bleed.
        distractor_rate: share of them that get something that is none.
        contrast: range of a bleed's grey, as the share of the way from brain to white.
    """

    rate: float = 0.0
    distractor_rate: float = 0.0
    contrast: tuple[float, float] = (0.2, 0.6)


@dataclass(frozen=True, slots=True)
class PretrainConfig:
    """A first phase on the single slices of the ``train_only`` sources; cross-validation does it once for all folds.

    Attributes:
        steps: optimiser steps; 0 leaves the phase out.
        slices: single slices a step.
        side: pixels of the smaller picture it runs on.
        learning_rate: peak of a warm-up and cosine schedule.
    """

    steps: int = 0
    slices: int = 64
    side: int = 128
    learning_rate: float = 8e-4


@dataclass(frozen=True, slots=True)
class FitConfig:
    """The optimisation.

    Attributes:
        epochs, steps: an epoch is ``steps`` optimiser steps, whatever the size of the data.
        learning_rate: peak of a warm-up and cosine schedule.
        warmup: epochs of linear warm-up.
        weight_decay, clip_norm, label_smoothing: AdamW and loss settings.
        ema: momentum of the moving average of the weights that is validated and released.
        slice_weight, scan_weight, aux_weight: weights of the losses of slice logits, of the pooled scan logit and of
            the CNN's own auxiliary logit (training only).
        subtype_weight: weight of the loss of the CNN's own subtype logits (training only; unknown ones count nothing).
        start_share: share of the first phase's weights in what crossval and refit keep, see
            :mod:`hemo_trainer.network.model`.
        beta: sharpness of the scan logit.
        patience: epochs without a better validation score until training stops.
        target_sensitivity: slice and scan sensitivity on validation data that the threshold is locked at.
    """

    epochs: int = 40
    steps: int = 100
    learning_rate: float = 6e-4
    warmup: int = 2
    weight_decay: float = 2e-3
    clip_norm: float = 1.0
    label_smoothing: float = 0.02
    ema: float = 0.99
    slice_weight: float = 1.0
    scan_weight: float = 0.5
    aux_weight: float = 0.5
    subtype_weight: float = 0.0
    start_share: float = 0.0
    beta: float = 1.0
    patience: int = 15
    target_sensitivity: float = 0.9


@dataclass(frozen=True, slots=True)
class TrainConfig:
    """A whole training run.

    Attributes:
        name: of the model.
        sources: the data.
        seed: of all that is drawn by chance.
        findings: what the model tells of, an output channel each; the first is the primary one, which labels a scan and
            by which everything is chosen. What else the data's labels tell of is learned beside it, in training only.
        input: what the CNN sees.
        split, architecture, batch, augment, lesions, pretrain, fit: as their classes say.
    """

    name: str
    sources: tuple[DataSource, ...]
    seed: int = 20
    findings: tuple[str, ...] = field(default_factory=lambda: (default_name(),))
    input: InputContract = field(default_factory=InputContract)
    split: SplitConfig = field(default_factory=SplitConfig)
    architecture: Architecture = field(default_factory=Architecture)
    batch: BatchConfig = field(default_factory=BatchConfig)
    augment: AugmentConfig = field(default_factory=AugmentConfig)
    lesions: LesionConfig = field(default_factory=LesionConfig)
    pretrain: PretrainConfig = field(default_factory=PretrainConfig)
    fit: FitConfig = field(default_factory=FitConfig)


def load_config(path: Path) -> TrainConfig:
    """Read a TOML file.

    Raises:
        SettingsError: no such file, not TOML, an unknown key or name (with the nearest right one), a value of the wrong
            type, or no data source.
    """
    try:
        values = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise SettingsError(f"cannot be read as TOML: {error}", path=str(path)) from error
    if values.get("findings") == []:
        raise SettingsError("findings: names none", path=str(path), hint="the first one labels a scan")
    if not values.get("sources"):
        raise SettingsError("names no data", path=str(path), hint="add a [[sources]] table with layout and path")
    _refuse_unknown(TrainConfig, values, "", path)
    named = {"name": path.stem, **values}
    config = decode(TrainConfig, named, error=SettingsError, what="configuration", path=path)
    for source in config.sources:
        _require_known(source.layout, layouts(), "unknown layout", path)
    if config.lesions.rate and config.findings[0] != default_name():
        raise SettingsError(f"lesions.rate: what is painted is no {config.findings[0]}", path=str(path))
    sources = [replace(one, path=str((path.parent / one.path).resolve())) for one in config.sources]
    return replace(config, sources=named_sources(sources))


def _refuse_unknown(kind: Any, values: Any, where: str, path: Path) -> None:
    """Raise SettingsError for a key, or one of a fixed choice of names, that ``kind`` does not have."""
    if get_origin(kind) is tuple and isinstance(values, list):
        for number, value in enumerate(values):
            _refuse_unknown(get_args(kind)[0], value, f"{where}[{number}]", path)
    elif get_origin(kind) is Literal and isinstance(values, str):
        _require_known(values, get_args(kind), f"{where}: unknown name", path)
    elif is_dataclass(kind) and isinstance(values, dict):
        types = get_type_hints(kind)
        for key, value in values.items():
            _require_known(key, types, f"{where}: unknown key" if where else "unknown key", path)
            _refuse_unknown(types[key], value, f"{where}.{key}" if where else key, path)


def _require_known(name: str, known: Iterable[str], what: str, path: Path) -> None:
    choices = sorted(known)
    if name not in choices:
        near = difflib.get_close_matches(name, choices, 1)
        hint = f"did you mean {near[0]!r}?" if near else f"known: {', '.join(choices)}"
        raise SettingsError(f"{what} {name!r}", path=str(path), hint=hint)
