"""The report of one scan, schema version 1 (``schemas/report-1.json``).

The same scan, bundle, precision and device give the same bytes: a report holds no time, duration or host name, its keys
are sorted, and its numbers are rounded (probabilities to 6 digits, millimetres and degrees to 3). It holds no patient
name or id. Numbers of slices count from 1, as people and viewers count them.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from importlib import resources
from typing import Any, Literal, Protocol, cast

import hemo_core
from hemo_core.bundle.contract import HeatmapCheck, ScoringContract
from hemo_core.errors import HemoError, ReportInvalid, ScoringFailed
from hemo_core.scans.preprocess import Prepared
from hemo_core.scans.scan import Geometry, Quality, Scan, ScanRef, SourceKind
from hemo_core.wording import LABEL_TEXT, STATEMENT, quality_text

Outcome = Literal["scored", "rejected", "failed"]
Heatmap = Literal["drawn", "empty_heatmap", "withheld"]

SCHEMA = "hemo-batch/report"
SCHEMA_VERSION = 1
PROBABILITY_DIGITS = 6
LENGTH_DIGITS = 3


class BundleFacts(Protocol):
    """What a report says about the model; :class:`hemo_core.bundle.Bundle` has it."""

    @property
    def name(self) -> str:
        """Name of the bundle."""

    @property
    def version(self) -> str:
        """Semantic version."""

    @property
    def digest(self) -> str:
        """Digest over everything in it."""


class ScoringBundle(BundleFacts, Protocol):
    """A bundle that can also label."""

    @property
    def scoring(self) -> ScoringContract:
        """Where the threshold stands."""

    @property
    def heatmap_check(self) -> HeatmapCheck:
        """Whether its heat maps depend on what it learned."""


class Score(Protocol):
    """What scoring found; :class:`hemo_core.inference.scoring.ScanScore` has it."""

    @property
    def probability(self) -> float:
        """Calibrated, of the scan."""

    @property
    def slice_probabilities(self) -> Iterable[float]:
        """Calibrated, one a model slice."""

    @property
    def label(self) -> str:
        """What the threshold made of them."""


@dataclass(frozen=True, slots=True)
class Identity:
    """Which scan a report is about. No patient name or id.

    Attributes:
        path: as discovery found it, below the input root called ``root``.
        files: number of its files.
        slices: number of its source slices; None where it was never read.
    """

    scan_id: str
    root: str
    path: str
    kind: SourceKind
    files: int
    slices: int | None = None
    study_uid: str | None = None
    series_uid: str | None = None
    duplicate_of: str | None = None


@dataclass(frozen=True, slots=True)
class SourceSlice:
    """A slice of the input.

    Attributes:
        number: its place in the series, foot to head, from 1.
        file: its file below the root.
        position_mm: signed distance along the slice normal.
    """

    number: int
    file: str
    sop_instance_uid: str | None = None
    position_mm: float | None = None


@dataclass(frozen=True, slots=True)
class SliceResult:
    """What the model said about one slice it saw.

    Attributes:
        number: its place among the model's slices, from 1.
        probability: calibrated.
        sources: the input slices averaged into it, mostly one.
        picture: file name of its overlay beside the report, if one was drawn.
        heatmap: ``drawn``; ``empty_heatmap`` where nothing in the slice raises its score; ``withheld`` where maps of
            this model failed their check; None where not asked for.
    """

    number: int
    probability: float
    sources: tuple[SourceSlice, ...]
    picture: str | None = None
    heatmap: Heatmap | None = None


@dataclass(frozen=True, slots=True)
class QualityNote:
    """A quality code and what it means for this scan, in one sentence."""

    code: str
    note: str


@dataclass(frozen=True, slots=True)
class ModelIdentity:
    """The bundle that scored, or was to score, the scan."""

    name: str
    version: str
    digest: str


@dataclass(frozen=True, slots=True)
class EngineFacts:
    """What ran the model: the onnxruntime provider and the precision of the graphs.

    Attributes:
        explainer: ``tf`` or ``onnx``, whose heat maps agree to rounding; None where no slice was to be explained.
    """

    provider: str
    precision: str = "fp32"
    explainer: str | None = None


@dataclass(frozen=True, slots=True)
class ReportedError:
    """Why a scan was not scored.

    Attributes:
        code: of :mod:`hemo_core.errors`, or a rejection's.
        file: the file it was about, below the root, where that is known.
    """

    code: str
    message: str
    hint: str | None = None
    file: str | None = None


@dataclass(frozen=True, slots=True)
class Shown:
    """One explained slice, as the worker hands it to :func:`scored_report`.

    Attributes:
        index: of the model slice, from 0.
        picture: file name of the overlay; None if nothing was drawn, because the map was empty or is withheld.
    """

    index: int
    picture: str | None
    heatmap: Heatmap = "drawn"


@dataclass(frozen=True, slots=True)
class Report:
    """The report of one scan.

    Attributes:
        label, probability, threshold, highest_slice, engine, geometry: only where ``outcome`` is ``scored``.
        slices: every slice the model saw, foot to head; empty unless scored.
        error: only where it is not. A scan that was cancelled before its turn has no report.
    """

    scan: Identity
    outcome: Outcome
    label: str | None = None
    probability: float | None = None
    threshold: float | None = None
    highest_slice: int | None = None
    slices: tuple[SliceResult, ...] = ()
    geometry: Geometry | None = None
    quality: tuple[QualityNote, ...] = ()
    model: ModelIdentity | None = None
    engine: EngineFacts | None = None
    error: ReportedError | None = None
    software_version: str = hemo_core.__version__

    @property
    def label_text(self) -> str | None:
        """The label in the words people read."""
        return None if self.label is None else LABEL_TEXT[self.label]

    def to_json(self) -> dict[str, Any]:
        """JSON-ready form, valid against ``schemas/report-1.json``."""
        body = asdict(self)
        version = body.pop("software_version")
        return {
            **body,
            "schema": SCHEMA,
            "schema_version": SCHEMA_VERSION,
            "label_text": self.label_text,
            "software": {"name": "hemo-batch", "version": version},
            "statement": STATEMENT,
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Report:
        """Inverse of :meth:`to_json`. Raises ReportInvalid on a foreign, newer or malformed report."""
        if data.get("schema") != SCHEMA or data.get("schema_version") != SCHEMA_VERSION:
            found = f"{data.get('schema')!r} version {data.get('schema_version')!r}"
            raise ReportInvalid(f"not a {SCHEMA} of version {SCHEMA_VERSION} but {found}", hint="update hemo-batch")
        try:
            return cls(
                scan=Identity(**data["scan"]),
                slices=tuple(_slice_from_json(row) for row in data["slices"]),
                geometry=_geometry_from_json(data["geometry"]),
                quality=tuple(QualityNote(**row) for row in data["quality"]),
                model=None if data["model"] is None else ModelIdentity(**data["model"]),
                engine=None if data["engine"] is None else EngineFacts(**data["engine"]),
                error=None if data["error"] is None else ReportedError(**data["error"]),
                software_version=data["software"]["version"],
                **{name: data[name] for name in ("outcome", "label", "probability", "threshold", "highest_slice")},
            )
        except (KeyError, TypeError) as problem:
            raise ReportInvalid(f"malformed report: {problem}", hint="write it again with resume") from problem


def scored_report(
    ref: ScanRef,
    scan: Scan,
    prepared: Prepared,
    score: Score,
    bundle: ScoringBundle,
    shown: Sequence[Shown] = (),
    *,
    engine: EngineFacts,
) -> Report:
    """The report of a scan that the model scored.

    Args:
        score: of the model slices, one probability for each of ``prepared.groups``.
        bundle: its scoring contract holds the threshold.
        shown: the slices that were explained.
        engine: what ran the model.

    Raises:
        ScoringFailed: a probability is no number between 0 and 1.
    """
    probabilities = [float(value) for value in score.slice_probabilities]
    _check_probabilities([float(score.probability), *probabilities], len(prepared.groups), ref.path)
    explained = {item.index: item for item in shown}
    slices = tuple(
        _slice_result(scan, index, group, probabilities[index], explained.get(index))
        for index, group in enumerate(prepared.groups)
    )
    return Report(
        scan=_identity(ref, len(scan.slices)),
        outcome="scored",
        label=score.label,
        probability=round(float(score.probability), PROBABILITY_DIGITS),
        threshold=round(float(bundle.scoring.threshold), PROBABILITY_DIGITS),
        highest_slice=1 + probabilities.index(max(probabilities)),
        slices=slices,
        geometry=_rounded_geometry(scan.geometry),
        quality=_quality((*ref.quality, *scan.quality, *prepared.quality, *_map_quality(bundle, shown)), scan.notes),
        model=_model(bundle),
        engine=engine,
    )


def failed_report(ref: ScanRef, error: HemoError, bundle: BundleFacts | None = None) -> Report:
    """The report of a scan that could not be read or scored."""
    problem = ReportedError(error.code, error.message, error.hint, _file_below_root(error.path, ref))
    return Report(_identity(ref), "failed", quality=_quality(ref.quality, {}), model=_model(bundle), error=problem)


def rejected_report(ref: ScanRef, bundle: BundleFacts | None = None) -> Report:
    """The report of a scan that discovery turned away: rejected, or failed where it could not even be listed."""
    reason = ref.rejection or ref.failure
    if reason is None:
        raise ValueError(f"{ref.path} was neither rejected nor found unreadable")
    outcome: Outcome = "rejected" if ref.rejection is not None else "failed"
    problem = ReportedError(reason.code, reason.reason)
    return Report(_identity(ref), outcome, quality=_quality(ref.quality, {}), model=_model(bundle), error=problem)


def dump_report(report: Report) -> bytes:
    """Canonical bytes: ASCII JSON, keys sorted, two spaces, a line end at the end.

    ASCII escapes carry the undecodable bytes of a file name (``os.fsdecode``'s lone surrogates) unharmed.
    """
    return (json.dumps(report.to_json(), sort_keys=True, indent=2, allow_nan=False) + "\n").encode("ascii")


def load_report(data: bytes) -> Report:
    """Inverse of :func:`dump_report`. Raises ReportInvalid."""
    try:
        parsed = json.loads(data)
    except ValueError as problem:
        raise ReportInvalid(f"not JSON: {problem}", hint="write it again with resume") from problem
    if not isinstance(parsed, dict):
        raise ReportInvalid("not a JSON object", hint="write it again with resume")
    return Report.from_json(parsed)


def report_schema() -> dict[str, Any]:
    """The published JSON Schema (draft 2020-12) of a report."""
    text = resources.files(hemo_core).joinpath("schemas", f"report-{SCHEMA_VERSION}.json").read_text("utf-8")
    return cast("dict[str, Any]", json.loads(text))


def _check_probabilities(values: Sequence[float], slices: int, path: str) -> None:
    if len(values) != slices + 1:
        raise ScoringFailed(f"{len(values) - 1} slice scores for {slices} slices", path=path)
    if not all(math.isfinite(value) and 0 <= value <= 1 for value in values):
        raise ScoringFailed(
            "the model gave a value that is no probability", path=path, hint="look at the scan with inspect"
        )


def _slice_result(
    scan: Scan, index: int, group: tuple[int, ...], probability: float, shown: Shown | None
) -> SliceResult:
    sources = tuple(_source(scan, member) for member in group)
    rounded = round(probability, PROBABILITY_DIGITS)
    if shown is None:
        return SliceResult(index + 1, rounded, sources)
    return SliceResult(index + 1, rounded, sources, shown.picture, shown.heatmap)


def _source(scan: Scan, index: int) -> SourceSlice:
    item = scan.slices[index]
    return SourceSlice(index + 1, item.source, item.sop_instance_uid, _rounded(item.position_mm))


def _identity(ref: ScanRef, slices: int | None = None) -> Identity:
    return Identity(
        ref.scan_id,
        ref.root,
        ref.path,
        ref.kind,
        len(ref.files),
        slices,
        ref.study_uid,
        ref.series_uid,
        ref.duplicate_of,
    )


def _model(bundle: BundleFacts | None) -> ModelIdentity | None:
    return None if bundle is None else ModelIdentity(bundle.name, bundle.version, bundle.digest)


def _quality(codes: Iterable[str], notes: Mapping[str, str]) -> tuple[QualityNote, ...]:
    unique = dict.fromkeys(str(code) for code in codes)
    return tuple(QualityNote(code, notes.get(code) or quality_text(code)) for code in unique)


def _map_quality(bundle: ScoringBundle, shown: Sequence[Shown]) -> tuple[Quality, ...]:
    """Where slices were to be explained: a code if the model's maps are not to be relied on, drawn or withheld."""
    return (Quality.HEATMAPS_FAILED,) if shown and bundle.heatmap_check == "failed" else ()


def _file_below_root(path: str | None, ref: ScanRef) -> str | None:
    """The file an error names, without the mount point, which differs from machine to machine."""
    if path is None:
        return None
    return next((name for name in ref.files if path == name or path.endswith("/" + name)), None)


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(float(value), LENGTH_DIGITS) + 0.0  # + 0.0 turns -0.0 into 0.0


def _rounded_geometry(geometry: Geometry) -> Geometry:
    spacing = geometry.pixel_spacing_mm
    return Geometry(
        geometry.order_from,
        None if spacing is None else (cast("float", _rounded(spacing[0])), cast("float", _rounded(spacing[1]))),
        _rounded(geometry.slice_spacing_mm),
        _rounded(geometry.tilt_deg),
    )


def _geometry_from_json(row: Mapping[str, Any] | None) -> Geometry | None:
    if row is None:
        return None
    spacing = row["pixel_spacing_mm"]
    return Geometry(**{**row, "pixel_spacing_mm": None if spacing is None else (spacing[0], spacing[1])})


def _slice_from_json(row: Mapping[str, Any]) -> SliceResult:
    return SliceResult(**{**row, "sources": tuple(SourceSlice(**source) for source in row["sources"])})
