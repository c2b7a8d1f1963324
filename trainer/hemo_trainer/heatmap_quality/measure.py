"""All figures about the heat maps of one model, ready for ``run.json``, ``bundle.json`` and the evidence report."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from hemo_core.bundle import Bundle
from hemo_core.bundle.contract import InputContract, ScoringContract
from hemo_core.errors import BundleSchema, DatasetError, MissingExtra
from hemo_core.inference.session import Device
from hemo_trainer.datasets.record import SliceRecord
from hemo_trainer.heatmap_quality.boxes import localisation
from hemo_trainer.heatmap_quality.curves import occlusion
from hemo_trainer.heatmap_quality.explained import (
    ExplainedSlice,
    PixelsOf,
    drawn,
    explain_series,
    patient_of,
    spread,
)
from hemo_trainer.heatmap_quality.randomisation import check_randomisation
from hemo_trainer.heatmap_quality.subject import BundleSubject, Subject

Series = Sequence[tuple[SliceRecord, ...]]


@dataclass(frozen=True, slots=True)
class HeatmapPlan:
    """How much is measured.

    Attributes:
        steps: of a deletion or insertion curve.
        random_orders: curves in an order of chance for each slice.
        occluded: at most so many slices get curves, spread evenly over patients.
        checked: at most so many slices are in the randomisation check, spread evenly over patients.
        checked_patients: of at most so many patients, because all slices of their series pass through the CNN again.
        seeds: re-initialisations of the network.
    """

    steps: int = 20
    random_orders: int = 2
    occluded: int = 60
    checked: int = 48
    checked_patients: int = 16
    seeds: tuple[int, ...] = (1, 2, 3)


def measure_heatmaps(
    folds: Sequence[tuple[Subject, Series]],
    pixels_of: PixelsOf,
    scoring: ScoringContract,
    contract: InputContract,
    *,
    check: tuple[Subject, Series] | None = None,
    plan: HeatmapPlan | None = None,
) -> dict[str, Any]:
    """Measure the heat maps of a model.

    Args:
        folds: models, each with series of patients that it was not fitted on; one pair where there is one model.
        pixels_of: model input of a record, uint8 ``(H, W, C)``.
        scoring: temperature, and the threshold from which a worker draws a map.
        contract: the model's input.
        check: the model, with series, whose randomisation check decides whether workers draw maps; default the first of
            ``folds``. The check needs no patients that the model has never seen.
        plan: how much is measured.

    Returns:
        JSON-ready: ``pointing_game``, ``energy_in_box``, ``deletion``, ``insertion``, ``randomisation``, each as far as
        the data allows; ``not_measured`` with the reason for each that is absent; ``slices``, ``patients``, ``plan``.
    """
    plan = plan or HeatmapPlan()
    by_fold = [list(explain_series(subject, series, pixels_of, scoring)) for subject, series in folds]
    slices = [item for fold in by_fold for item in fold]
    checked = by_fold[0] if check is None else list(explain_series(*check, pixels_of, scoring))
    figures, reasons = _each(
        {
            ("pointing_game", "energy_in_box"): lambda: localisation(slices, pixels_of, contract),
            ("deletion", "insertion"): lambda: _occlusion(slices, pixels_of, scoring, plan),
            ("randomisation",): lambda: {"randomisation": _randomisation(checked, pixels_of, plan)},
        }
    )
    return {
        **figures,
        "not_measured": reasons,
        "slices": len(slices),
        "patients": len({patient_of(item) for item in slices}),
        "plan": {**asdict(plan), "seeds": list(plan.seeds)},
    }


def measure_bundle(
    bundle: Bundle,
    series: Series,
    pixels_of: PixelsOf,
    *,
    device: Device = "auto",
    plan: HeatmapPlan | None = None,
) -> dict[str, Any]:
    """The heat maps of an opened bundle, see :func:`measure_heatmaps`; nothing but the reason without TensorFlow."""
    try:
        subject = BundleSubject(bundle, device=device)
    except MissingExtra as problem:
        return {"not_measured": {"heatmaps": str(problem)}}
    return measure_heatmaps([(subject, series)], pixels_of, bundle.scoring, bundle.input, plan=plan)


def _each(
    measures: dict[tuple[str, ...], Callable[[], dict[str, Any]]],
) -> tuple[dict[str, Any], dict[str, str]]:
    """Figures, and why others are absent."""
    figures: dict[str, Any] = {}
    reasons: dict[str, str] = {}
    for names, measure in measures.items():
        try:
            figures |= measure()
        except (DatasetError, MissingExtra, BundleSchema) as problem:
            reasons |= dict.fromkeys(names, str(problem))
    return figures, reasons


def _occlusion(
    slices: Sequence[ExplainedSlice], pixels_of: PixelsOf, scoring: ScoringContract, plan: HeatmapPlan
) -> dict[str, Any]:
    chosen = spread(drawn(slices), patient_of, plan.occluded)
    return occlusion(chosen, pixels_of, scoring, steps=plan.steps, random_orders=plan.random_orders)


def _randomisation(slices: Sequence[ExplainedSlice], pixels_of: PixelsOf, plan: HeatmapPlan) -> dict[str, Any]:
    found = drawn(slices)
    patients = list(dict.fromkeys(patient_of(item) for item in found))
    kept = set(spread(patients, lambda _: "", plan.checked_patients))
    chosen = spread([item for item in found if patient_of(item) in kept], patient_of, plan.checked)
    return check_randomisation(chosen[0].series.subject.keras_models(), chosen, pixels_of, plan.seeds)
