"""``bundle.json``: its record, its one spelling, and what must hold of it before any other file is looked at."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import PurePosixPath
from typing import Annotated, Any, Literal, NoReturn, get_args

from msgspec import Meta

from hemo_core.bundle.contract import InputContract, ScoringContract, with_findings
from hemo_core.errors import (
    BundleAltered,
    BundleMalformed,
    BundleMissing,
    BundleNewer,
    BundlePath,
    BundleSchema,
)
from hemo_core.records import decode

Precision = Literal["fp32", "fp16", "int8"]

SCHEMA_VERSION, OLDEST_SCHEMA_VERSION = 2, 1
MANIFEST, SIGNATURE = "bundle.json", "bundle.sig"
CNN, SEQUENCE, HEAD, MODEL = "cnn.onnx", "sequence.onnx", "head.keras", "model.keras"
REQUIRED_FILES = (CNN, SEQUENCE, HEAD, MODEL)
PRECISIONS: tuple[Precision, ...] = get_args(Precision)
LARGEST_MANIFEST = 4 * 1024 * 1024

SEMANTIC_VERSION = re.compile(r"(\d{1,6})\.(\d{1,6})\.(\d{1,6})(?:-([0-9A-Za-z.-]+))?")
NAME = re.compile(r"[a-z0-9][a-z0-9._-]{0,63}")
_LONGEST_PART = 255


@dataclass(frozen=True, slots=True)
class SealedFile:
    """What a file of the bundle must be.

    Attributes:
        sha256: 64 hex digits.
        bytes: its length.
    """

    sha256: Annotated[str, Meta(pattern=r"\A[0-9a-f]{64}\Z")]
    bytes: Annotated[int, Meta(ge=0)]


@dataclass(frozen=True, slots=True)
class Explain:
    """How heat maps are made.

    Attributes:
        path: ``pooled``: the head begins with a global average pool, so that Grad-CAM may take the fast path.
        memory: ``slice``: each slice is scored by itself, so that no other slice can move its logit.
    """

    path: Literal["pooled", "general"]
    method: str = "grad-cam"
    memory: Literal["scan", "slice"] = "scan"


@dataclass(frozen=True, slots=True)
class Variant:
    """A bundle's graphs in one precision.

    Attributes:
        released: its gates passed. What did not pass keeps its entry; its files are not in the bundle.
        cnn, sequence: files of the bundle. The recurrent half stays float32 in all of them: it takes a fiftieth of the
            time, and a fused LSTM has no 8-bit form.
        reason: why it is not released.
        made: how.
        gates: what they found, by name.
        benchmark: what :mod:`hemo_export.variants.speed` measured; None if nobody did.
    """

    released: bool
    cnn: str = ""
    sequence: str = SEQUENCE
    reason: str = ""
    made: Mapping[str, Any] = field(default_factory=dict)
    gates: Mapping[str, Any] = field(default_factory=dict)
    benchmark: Mapping[str, Any] | None = None


@dataclass(frozen=True, slots=True)
class Manifest:
    """``bundle.json``, as far as a program reads it. What else stands there is for people.

    Attributes:
        name, version: what people call the bundle; the version is semantic (semver.org).
        files: by POSIX path below the bundle's folder.
        seal: digest of all of the manifest but this field.
        variants: older bundles have none, and hold fp32 alone.
        heatmaps: what was measured of the heat maps.
        origin: where a model came from that was not trained here.
    """

    name: Annotated[str, Meta(pattern=rf"\A{NAME.pattern}\Z")]
    version: Annotated[str, Meta(pattern=rf"\A{SEMANTIC_VERSION.pattern}\Z")]
    input: InputContract
    scoring: ScoringContract
    explain: Explain
    files: Mapping[str, SealedFile]
    seal: str
    variants: Mapping[Precision, Variant] = field(default_factory=dict)
    heatmaps: Any = None
    origin: Mapping[str, Any] | None = None
    licence: str | None = None
    git_commit: str | None = None


def canonical(value: Mapping[str, Any]) -> bytes:
    """The one spelling of a JSON object: sorted keys, two spaces, UTF-8, a newline at the end.

    Raises:
        ValueError: it holds NaN, infinity, or text that UTF-8 cannot hold.
    """
    return (json.dumps(value, sort_keys=True, indent=2, ensure_ascii=False, allow_nan=False) + "\n").encode()


def seal_of(content: Mapping[str, Any]) -> str:
    """Digest of a manifest without its member ``seal``."""
    return hashlib.sha256(canonical({key: value for key, value in content.items() if key != "seal"})).hexdigest()


def current(content: Mapping[str, Any]) -> dict[str, Any]:
    """What a manifest of any schema version says, as the newest one says it. It is not sealed."""
    kept = {key: value for key, value in with_findings(content).items() if key not in {"labels", "seal"}}
    return {**kept, "schema_version": SCHEMA_VERSION}


def parse_manifest(raw: bytes, where: str) -> dict[str, Any]:
    """The content of ``bundle.json``, once its spelling and its seal are right. No other file is touched.

    Args:
        raw: the bytes.
        where: what to call them in messages.

    Raises:
        BundleSchema, BundleAltered: see :func:`hemo_core.bundle.open_bundle`.
    """
    content = parse_object(raw, where)
    _check_version(content, where)
    try:
        genuine = raw == canonical(content) and content.get("seal") == seal_of(content)
    except (ValueError, RecursionError) as error:
        raise BundleMalformed(f"holds what JSON cannot: {error}", path=where) from error
    if not genuine:
        raise BundleAltered("its content is not what was sealed", path=where, hint="fetch or export the bundle again")
    return content


def read_manifest(content: Mapping[str, Any], where: str) -> Manifest:
    """The record in the content of a ``bundle.json`` of any schema version.

    Raises:
        BundleSchema, BundleMissing, BundlePath: see :func:`hemo_core.bundle.open_bundle`.
    """
    manifest = decode(Manifest, with_findings(content), error=BundleSchema, what=MANIFEST, path=where)
    _check_files(manifest.files, where)
    if manifest.variants:
        _check_variants(manifest, where)
    return manifest


def parse_object(raw: bytes, where: str) -> dict[str, Any]:
    """One JSON object. Raises BundleMalformed."""
    try:
        value = json.loads(raw, parse_constant=_refuse)
    except (ValueError, RecursionError) as error:
        raise BundleMalformed(f"is no JSON: {error}", path=where) from error
    if not isinstance(value, dict):
        raise BundleMalformed("is no JSON object", path=where)
    return value


def stays_inside(name: str) -> bool:
    """Whether a POSIX path, taken relative to a folder, names something below it, and in one spelling only."""
    parts = name.split("/")
    if "\\" in name or not name.isprintable():
        return False
    return all(part not in {"", ".", ".."} and len(part.encode(errors="replace")) <= _LONGEST_PART for part in parts)


def _refuse(constant: str) -> NoReturn:
    """JSON has no NaN, Python's does."""
    raise ValueError(f"{constant} is no JSON number")


def _check_version(manifest: Mapping[str, Any], where: str) -> None:
    """First of all: a newer schema may well be spelt and sealed in another way."""
    version = manifest.get("schema_version")
    if type(version) is not int:
        raise BundleSchema("has no schema version", path=where)
    if version > SCHEMA_VERSION:
        said = f"is of schema {version}, this version reads {SCHEMA_VERSION}"
        raise BundleNewer(said, path=where, hint="upgrade hemo-batch")
    if version < OLDEST_SCHEMA_VERSION:
        raise BundleSchema(f"is of the unknown schema {version}", path=where, hint="export the model again")


def _check_files(files: Mapping[str, SealedFile], where: str) -> None:
    """Each path stays inside the folder."""
    for name in files:
        above = {str(folder) for folder in PurePosixPath(name).parents}
        if not stays_inside(name) or not above.isdisjoint(files):
            raise BundlePath(f"names a file outside the bundle: {name!r}", path=where)
        if name in {MANIFEST, SIGNATURE}:
            raise BundleSchema(f"seals {name}, which cannot seal itself", path=where)
    absent = [name for name in REQUIRED_FILES if name not in files]
    if absent:
        raise BundleMissing(f"seals no {', '.join(absent)}", path=where)


def _check_variants(manifest: Manifest, where: str) -> None:
    """What is released is sealed, what is not says why."""
    for name, entry in manifest.variants.items():
        if not (entry.released or entry.reason):
            raise BundleSchema(f"its variant {name} is not released and does not say why", path=where)
        unsealed = [part for part in ("cnn", "sequence") if getattr(entry, part) not in manifest.files]
        if entry.released and unsealed:
            raise BundleSchema(f"its variant {name} names no sealed file as {' and '.join(unsealed)}", path=where)
    base = manifest.variants.get("fp32")
    if base is None or not base.released or (base.cnn, base.sequence) != (CNN, SEQUENCE):
        raise BundleSchema(f"its variant fp32 is not {CNN} and {SEQUENCE}", path=where)
