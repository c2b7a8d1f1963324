"""Measure an exported bundle, which is what users run and not the Keras model it came from, and write the evidence."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np
import numpy.typing as npt

from hemo_core.bundle import Bundle, open_bundle
from hemo_core.bundle.contract import Contract
from hemo_core.bundle.manifest import Precision
from hemo_core.errors import PatientLeak
from hemo_core.inference.session import Device, Engine
from hemo_trainer.data.leaks import LeakCheck, refuse_training_data
from hemo_trainer.datasets.record import Split
from hemo_trainer.evaluation.about import About, Protocol
from hemo_trainer.evaluation.cases import worst_cases
from hemo_trainer.evaluation.evidence import CASES, evidence_from_predictions
from hemo_trainer.evaluation.gallery import draw_cases
from hemo_trainer.evaluation.labelled import Labelled, open_labelled
from hemo_trainer.evaluation.report.write import refuse_travelling, write_evidence
from hemo_trainer.evaluation.scored import score_slices
from hemo_trainer.evaluation.sizes import marked_sizes
from hemo_trainer.figures.intervals import Resampling
from hemo_trainer.heatmap_quality.examples import box_examples
from hemo_trainer.heatmap_quality.measure import measure_bundle
from hemo_trainer.heatmap_quality.subject import BundleSubject
from hemo_trainer.network.predict import SeriesPrediction, predict_series

Float = npt.NDArray[np.float32]

_EXAMPLES = "heatmap_examples"
_EXAMPLES_TEXT = "The maps with the most and with the least of their sum in the box, which is drawn; two dozen at most."

_SIDES: Mapping[Split, Protocol] = MappingProxyType({"val": "validation", "test": "held_out"})


@dataclass(frozen=True, slots=True)
class Plan:
    """What to measure, and how.

    Attributes:
        side: of the split; None for the default of the data.
        device: where to run.
        precisions: one, or two to be compared; all figures but the comparison are the first's.
        resampling: of the bootstrap.
        cases: patients in each half of the gallery; 0 draws no picture.
        heatmaps: also measure the quality of the heat maps. Else the bundle's own record of it is shown.
        command: that was typed, for the report.
    """

    side: Split | None = None
    device: Device = "auto"
    precisions: Sequence[Precision] = ("fp32",)
    resampling: Resampling = field(default_factory=Resampling)
    cases: int = CASES
    heatmaps: bool = False
    command: str | None = None


@dataclass(frozen=True, slots=True)
class EvidenceFiles:
    """What was written.

    Attributes:
        page: ``evidence.html``.
        evidence: what ``evidence.json`` holds.
    """

    page: Path
    evidence: Mapping[str, Any]


class BundleSliceModel:
    """An onnxruntime engine as a :class:`~hemo_trainer.network.predict.SliceModel`."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def embed(self, slices: Float) -> Float:
        """``(n, H, W, C)`` → ``(n, K)``, in batches of the engine's size."""
        size = self._engine.batch
        return np.concatenate(
            [self._engine.cnn(slices[at : at + size]).embeddings for at in range(0, len(slices), size)]
        )

    def sequence(self, embeddings: Float) -> Float:
        """``(t, K)`` → ``(t, L)``."""
        return self._engine.sequence(embeddings)


def evaluate(bundle_path: Path, data_path: Path, out: Path, *, cache: Path, plan: Plan) -> EvidenceFiles:
    """Score labelled data with a bundle and write ``evidence.html``, ``.json`` and ``.md``.

    Args:
        bundle_path: the bundle, verified before it is used.
        data_path: a TOML configuration, or a folder or CSV table in any known layout.
        out: folder of the report.
        cache: folder of preprocessed slices.
        plan: what to measure.

    Raises:
        BundleError, DeviceError, DatasetError, SettingsError, PrecisionRefused: as their sources say.
        PatientLeak: the split leaks, or the bundle was trained on patients or pictures of these data.
    """
    if plan.cases:
        refuse_travelling(out)
    bundle = open_bundle(bundle_path)
    data = open_labelled(data_path, Contract(bundle.input, bundle.scoring), cache, plan.side)
    check = refuse_training_data(bundle.content, data.records, data.pixels_of)
    engines = [Engine(bundle, device=plan.device, precision=precision) for precision in plan.precisions]
    scored = [
        list(predict_series(BundleSliceModel(engine), data.series, data.pixels_of, bundle.scoring.names))
        for engine in engines
    ]
    heatmaps, examples = _heatmaps(bundle, data, plan)
    evidence = evidence_from_predictions(
        scored[0],
        bundle.scoring,
        about=_about(bundle, data, check, engines[0], data_path, plan),
        resampling=plan.resampling,
        sizes=marked_sizes(data.records, data.pixels_of, bundle.input),
        other=(engines[1].precision, scored[1]) if len(scored) > 1 else None,
        heatmaps=heatmaps,
        cases=plan.cases,
    )
    pictures = {**_pictures(bundle, data, scored[0], plan), **examples}
    return EvidenceFiles(write_evidence(out, evidence, pictures=pictures), evidence)


def protocol_of(manifest: Mapping[str, Any], data: Labelled, check: LeakCheck) -> Protocol:
    """What part these patients had in the model's making, as far as the bundle's record tells.

    Raises:
        PatientLeak: the model was fitted to a source of this name, and does not record to which of its patients.
    """
    trained = manifest.get("training", {}).get("data", {})
    same_split = data.split_hash is not None and data.split_hash == trained.get("split_hash")
    if same_split and data.side is not None and data.side in _SIDES:
        return _SIDES[data.side]
    fitted = {row["source"] for row in trained.get("sources", ()) if row["side"] == "train"}
    shared = sorted(fitted & {record.source for record in data.records})
    if check.recorded:
        return "external" if fitted and not shared else "unseen"
    if shared:
        raise PatientLeak(
            f"the model was fitted to patients of {', '.join(shared)} and does not record to which",
            hint="score the val or test side of the configuration that it was trained with, or export it again",
        )
    return "unknown"


def _about(bundle: Bundle, data: Labelled, check: LeakCheck, engine: Engine, data_path: Path, plan: Plan) -> About:
    where = f"{data_path.name}, {data.side} patients" if data.side else data_path.name
    compared = f"{check.patients} patients and {check.pictures} pictures of the training: none in common"
    return About(
        title=f"{bundle.name} {bundle.version} on {where}",
        protocol=protocol_of(bundle.content, data, check),
        command=plan.command,
        model={"name": bundle.name, "version": bundle.version, "digest": bundle.digest},
        manifest=bundle.content,
        data={
            "name": data_path.name,
            "side": data.side or "all",
            "fingerprint": data.fingerprint,
            **({"split_hash": data.split_hash} if data.split_hash else {}),
            "compared_with": compared if check.recorded else "nothing: the bundle does not record its training data",
        },
        provider=engine.provider,
        precision=engine.precision,
    )


def _heatmaps(bundle: Bundle, data: Labelled, plan: Plan) -> tuple[Mapping[str, Any] | None, dict[str, bytes]]:
    """Measured now, with a picture of the best and the worst, or as the bundle records it."""
    if not plan.heatmaps:
        return bundle.manifest.heatmaps, {}
    found = measure_bundle(bundle, data.series, data.pixels_of, device=plan.device)
    if not plan.cases or "pointing_game" not in found:
        return found, {}
    folds = [(BundleSubject(bundle, device=plan.device), data.series)]
    png = box_examples(folds, data.pixels_of, bundle.scoring, bundle.input)
    return {**found, "pictures": {_EXAMPLES: _EXAMPLES_TEXT}}, {} if png is None else {_EXAMPLES: png}


def _pictures(bundle: Bundle, data: Labelled, predictions: Sequence[SeriesPrediction], plan: Plan) -> dict[str, bytes]:
    """Pictures of the cases, drawn with the heat maps that a worker would draw."""
    cases = worst_cases(score_slices(predictions, bundle.scoring), bundle.scoring.threshold, plan.cases)
    if not cases:
        return {}
    return draw_cases(cases, BundleSubject(bundle, device=plan.device), data.pixels_of, bundle.input)
