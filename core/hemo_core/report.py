"""The report of one scan, schema version 2 (``schemas/report-2.json``, made of the types here).

The same scan, bundle, precision and device give the same bytes: a report holds no time, duration or host name, its keys
are sorted, and its numbers are rounded (probabilities to 6 digits, millimetres and degrees to 3). It holds no patient
name or id. Numbers of slices count from 1, as people and viewers count them.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Annotated, Any, Literal, Protocol, TypeAlias, cast

from msgspec import Meta

import hemo_core
from hemo_core.bundle.contract import HeatmapCheck
from hemo_core.bundle.findings import Finding, Role, default_name, wording
from hemo_core.codes import advice_of
from hemo_core.errors import HemoError, ReportInvalid, ScoringFailed
from hemo_core.inference.scoring import FindingScore, ScanScore
from hemo_core.records import check_version, decode, dumps, loads
from hemo_core.scans.preprocess import Prepared
from hemo_core.scans.scan import Geometry, Quality, Scan, ScanRef, SourceKind
from hemo_core.wording import STATEMENT, label_text, quality_text

Outcome = Literal["scored", "rejected", "failed"]
Heatmap = Literal["drawn", "empty_heatmap", "withheld"]
Probability: TypeAlias = Annotated[float, Meta(ge=0, le=1)]
Number: TypeAlias = Annotated[int, Meta(ge=1)]
Count: TypeAlias = Annotated[int, Meta(ge=0)]
Code: TypeAlias = Annotated[str, Meta(pattern="^[a-z0-9_]+$")]
PictureName: TypeAlias = Annotated[str, Meta(pattern=r"^slice-[0-9]{3,}\.png$")]

SCHEMA, SCHEMA_VERSION, SCHEMA_VERSIONS = "hemo-batch/report", 2, (1, 2)
PROBABILITY_DIGITS = 6
LENGTH_DIGITS = 3
SCORED_ONLY = (
    "label",
    "label_text",
    "probability",
    "threshold",
    "highest_slice",
    "geometry",
    "engine",
)
"""Fields that a report has if, and only if, its scan was scored."""


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
    """A bundle that can also score."""

    @property
    def heatmap_check(self) -> HeatmapCheck:
        """Whether its heat maps depend on what it learned."""


@dataclass(frozen=True, slots=True)
class Identity:
    """Which scan a report is about. No patient name or id.

    Attributes:
        path: as discovery found it, below the input root called ``root``; bytes that are no UTF-8 are lone surrogates.
        files: number of its files.
        slices: number of its source slices; None where it was never read.
        duplicate_of: id of the scan with the same content that stands before this one.
    """

    scan_id: str
    root: str
    path: str
    kind: SourceKind
    files: Count
    slices: Number | None
    study_uid: str | None
    series_uid: str | None
    duplicate_of: str | None


@dataclass(frozen=True, slots=True)
class SourceSlice:
    """A slice of the input.

    Attributes:
        number: its place in the series, foot to head, from 1.
        file: its file below the root.
        position_mm: signed distance along the slice normal.
    """

    number: Number
    file: str
    sop_instance_uid: str | None
    position_mm: float | None


@dataclass(frozen=True, slots=True)
class SliceResult:
    """What the model said about one slice it saw.

    Attributes:
        number: its place among the model's slices, from 1.
        probability: calibrated, of the primary finding.
        sources: the input slices averaged into it, mostly one.
        picture: file name of its overlay beside the report, if one was drawn.
        heatmap: ``drawn``; ``empty_heatmap`` where nothing in the slice raises its score; ``withheld`` where maps of
            this model failed their check; None where not asked for.
    """

    number: Number
    probability: Probability
    sources: Annotated[tuple[SourceSlice, ...], Meta(min_length=1)]
    picture: PictureName | None
    heatmap: Heatmap | None


@dataclass(frozen=True, slots=True)
class FindingResult:
    """What the model said about one finding.

    Attributes:
        name: for machines, as in the bundle.
        text: for people.
        code: SNOMED CT concept id.
        role: ``primary`` for the one that decides the label.
        probability: calibrated, of the scan.
        threshold: from this probability on a scan, or a slice, counts as positive.
        slice_probabilities: calibrated, one a model slice, where a model has several findings; None where it has one,
            whose are those of ``slices``.
    """

    name: str
    text: str
    code: str | None
    role: Role
    probability: Probability
    threshold: Probability
    slice_probabilities: tuple[Probability, ...] | None


@dataclass(frozen=True, slots=True)
class QualityNote:
    """A quality code and what it means for this scan, in one sentence."""

    code: Code
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
    explainer: Literal["tf", "onnx"] | None = None


@dataclass(frozen=True, slots=True)
class ReportedError:
    """Why a scan was not scored.

    Attributes:
        code: of :mod:`hemo_core.errors`, or a rejection's.
        hint: what to do.
        file: the file it was about, below the root, where that is known.
    """

    code: Code
    message: str
    hint: str | None
    file: str | None


@dataclass(frozen=True, slots=True)
class Software:
    """What wrote a report."""

    name: Literal["hemo-batch"] = "hemo-batch"
    version: str = hemo_core.__version__


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """The report of one head CT scan. Research use only, not a medical device.

    Attributes:
        label: the primary finding's name, ``review`` or ``no_finding``; None unless scored, like all that follows.
        label_text: the label in the words people read.
        probability: calibrated, of the scan, for the primary finding, 6 digits.
        threshold: of the primary finding.
        highest_slice: number of the model slice with the highest probability.
        findings: every finding of the model, in the order of its outputs; empty unless scored.
        slices: every slice the model saw, foot to head; empty unless scored.
        error: only where it was not scored. A scan that was cancelled before its turn has no report.
        files: names of what other outputs wrote beside the report.
        statement: what the report is not.
    """

    scan: Identity
    outcome: Outcome
    label: str | None = None
    label_text: str | None = None
    probability: Probability | None = None
    threshold: Probability | None = None
    highest_slice: Number | None = None
    findings: tuple[FindingResult, ...] = ()
    slices: tuple[SliceResult, ...] = ()
    geometry: Geometry | None = None
    quality: tuple[QualityNote, ...] = ()
    model: ModelIdentity | None = None
    engine: EngineFacts | None = None
    error: ReportedError | None = None
    files: tuple[str, ...] = ()
    software: Software = field(default_factory=Software)
    statement: str = STATEMENT
    schema: Literal["hemo-batch/report"] = "hemo-batch/report"
    schema_version: Literal[2] = 2

    def __post_init__(self) -> None:
        """Raises ValueError: it contradicts itself."""
        scored = self.outcome == "scored"
        wrong = [name for name in SCORED_ONLY if (getattr(self, name) is not None) != scored]
        wrong += [name for name in ("findings", "slices") if bool(getattr(self, name)) != scored]
        if wrong or (self.error is None) != scored:
            raise ValueError(f"outcome {self.outcome} does not go with {', '.join(wrong) or 'error'}")

    @property
    def covered(self) -> str | None:
        """What was looked at, in words: ``36 of 36 slices, 140 mm``; None unless scored."""
        if self.geometry is None or self.scan.slices is None:
            return None
        length = "" if self.geometry.covered_mm is None else f", {self.geometry.covered_mm:.0f} mm"
        return f"{self.scan.slices} of {self.geometry.slices_found or self.scan.slices} slices{length}"

    @property
    def primary(self) -> FindingResult | None:
        """The finding that decided the label; None unless scored."""
        return next((one for one in self.findings if one.role == "primary"), None)


_NONE_EXPLAINED: Mapping[int, Heatmap] = MappingProxyType({})


def scored_report(
    ref: ScanRef,
    scan: Scan,
    prepared: Prepared,
    score: ScanScore,
    bundle: ScoringBundle,
    heatmaps: Mapping[int, Heatmap] = _NONE_EXPLAINED,
    *,
    engine: EngineFacts,
) -> Report:
    """The report of a scan that the model scored.

    Args:
        score: of the model slices, one probability for each of ``prepared.groups``.
        bundle: what scored.
        heatmaps: what became of those of the slices that were to be explained, by index from 0.
        engine: what ran the model.

    Raises:
        ScoringFailed: a probability is no number between 0 and 1.
    """
    for one in score.findings:
        _check_probabilities([one.probability, *one.slice_probabilities], len(prepared.groups), ref.path)
    probabilities = [float(value) for value in score.slice_probabilities]
    slices = tuple(
        _slice_result(scan, index, group, probabilities[index], heatmaps.get(index))
        for index, group in enumerate(prepared.groups)
    )
    primary = score.primary.finding
    return Report(
        scan=_identity(ref, len(scan.slices)),
        outcome="scored",
        label=score.label,
        label_text=label_text(score.label, primary.text),
        probability=_probability(score.probability),
        threshold=_probability(primary.threshold),
        highest_slice=1 + probabilities.index(max(probabilities)),
        findings=tuple(_finding_result(one, several=len(score.findings) > 1) for one in score.findings),
        slices=slices,
        geometry=_rounded_geometry(scan.geometry),
        quality=_quality((*ref.quality, *scan.quality, *prepared.quality, *_map_quality(bundle, heatmaps)), scan.notes),
        model=_model(bundle),
        engine=engine,
    )


def failed_report(ref: ScanRef, error: HemoError, bundle: BundleFacts | None = None) -> Report:
    """The report of a scan that could not be read or scored."""
    hint, file = error.hint or advice_of(error.code), _file_below_root(error.path, ref) or _only_file(ref)
    problem = ReportedError(error.code, error.message, hint, file)
    return _unscored(ref, "failed", problem, bundle)


def rejected_report(ref: ScanRef, bundle: BundleFacts | None = None) -> Report:
    """The report of a scan that discovery turned away: rejected, or failed where it could not even be listed."""
    reason = ref.rejection or ref.failure
    if reason is None:
        raise ValueError(f"{ref.path} was neither rejected nor found unreadable")
    outcome: Outcome = "rejected" if ref.rejection is not None else "failed"
    problem = ReportedError(reason.code, reason.reason, advice_of(reason.code), _only_file(ref))
    return _unscored(ref, outcome, problem, bundle)


def _only_file(ref: ScanRef) -> str | None:
    return ref.files[0] if len(ref.files) == 1 else None


def dump_report(report: Report) -> bytes:
    """Canonical bytes: ASCII JSON, keys sorted, two spaces, a line end at the end.

    ASCII escapes carry the undecodable bytes of a file name (``os.fsdecode``'s lone surrogates) unharmed.
    """
    return dumps(report)


def load_report(data: bytes) -> Report:
    """Inverse of :func:`dump_report`; a report of version 1 comes back without findings.

    Raises:
        ReportInvalid: it is torn, foreign, newer or malformed.
    """
    try:
        return decode(Report, _content(data), error=ReportInvalid, what="report")
    except ReportInvalid as problem:
        problem.hint = problem.hint or "write it again with resume"
        raise


def _check_probabilities(values: Sequence[float], slices: int, path: str) -> None:
    if len(values) != slices + 1:
        raise ScoringFailed(f"{len(values) - 1} slice scores for {slices} slices", path=path)
    if not all(math.isfinite(value) and 0 <= value <= 1 for value in values):
        raise ScoringFailed(
            "the model gave a value that is no probability", path=path, hint="look at the scan with inspect"
        )


def _content(data: bytes) -> dict[str, Any]:
    """What a report of any version says, as the newest one says it."""
    content = loads(data, error=ReportInvalid, what="report")
    if not isinstance(content, dict) or content.get("schema") != SCHEMA:
        raise ReportInvalid(f"is no {SCHEMA}")
    version = check_version(content, SCHEMA_VERSIONS, error=ReportInvalid, what="report")
    return {**content, **_findings_of_version_1(content)} if version == 1 else content


def _findings_of_version_1(content: Mapping[str, Any]) -> dict[str, Any]:
    """Version 1 was about one finding, and did not name it."""
    name = default_name()
    text, code = wording(name)
    same = {key: content.get(key) for key in ("probability", "threshold")}
    primary = {"name": name, "text": text, "code": code, "role": "primary", "slice_probabilities": None, **same}
    return {"findings": [primary] if content.get("outcome") == "scored" else [], "schema_version": SCHEMA_VERSION}


def _unscored(ref: ScanRef, outcome: Outcome, error: ReportedError, bundle: BundleFacts | None) -> Report:
    quality = _quality(ref.quality, {})
    return Report(scan=_identity(ref), outcome=outcome, quality=quality, model=_model(bundle), error=error)


def _finding_result(score: FindingScore, *, several: bool) -> FindingResult:
    finding: Finding = score.finding
    return FindingResult(
        name=finding.name,
        text=finding.text,
        code=finding.snomed_code,
        role=finding.role,
        probability=_probability(score.probability),
        threshold=_probability(finding.threshold),
        slice_probabilities=tuple(map(_probability, score.slice_probabilities)) if several else None,
    )


def _probability(value: float) -> float:
    return round(float(value), PROBABILITY_DIGITS)


def _slice_result(
    scan: Scan, index: int, group: tuple[int, ...], probability: float, heatmap: Heatmap | None
) -> SliceResult:
    sources = tuple(_source(scan, member) for member in group)
    return SliceResult(index + 1, _probability(probability), sources, None, heatmap)


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


def _map_quality(bundle: ScoringBundle, heatmaps: Mapping[int, Heatmap]) -> tuple[Quality, ...]:
    """Where slices were to be explained: a code if the model's maps are not to be relied on, drawn or withheld."""
    return (Quality.HEATMAPS_FAILED,) if heatmaps and bundle.heatmap_check == "failed" else ()


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
        _rounded(geometry.covered_mm),
        geometry.slices_found,
    )
