"""``bundle.json``: its one spelling, and what must hold of it before any other file of the bundle is looked at."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from pathlib import PurePosixPath
from typing import Any, NoReturn

from hemo_core.bundle.contract import with_findings
from hemo_core.errors import (
    BundleAltered,
    BundleMalformed,
    BundleMissing,
    BundleNewer,
    BundlePath,
    BundleSchema,
)

SCHEMA_VERSION, OLDEST_SCHEMA_VERSION = 2, 1
MANIFEST, SIGNATURE = "bundle.json", "bundle.sig"
CNN, SEQUENCE, HEAD, MODEL = "cnn.onnx", "sequence.onnx", "head.keras", "model.keras"
REQUIRED_FILES = (CNN, SEQUENCE, HEAD, MODEL)
PRECISIONS = ("fp32", "fp16", "int8")
LARGEST_MANIFEST = 4 * 1024 * 1024

SEMANTIC_VERSION = re.compile(r"(\d{1,6})\.(\d{1,6})\.(\d{1,6})(?:-([0-9A-Za-z.-]+))?")
NAME = re.compile(r"[a-z0-9][a-z0-9._-]{0,63}")
_DIGEST = re.compile(r"[0-9a-f]{64}")
_FIELDS = ("name", "version", "input", "scoring", "explain", "files", "seal")
_LONGEST_PART = 255


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
    """Check the bytes of ``bundle.json`` without touching any other file.

    Args:
        raw: the bytes.
        where: what to call them in messages.

    Raises:
        BundleSchema, BundleAltered, BundleMissing, BundlePath: see :func:`hemo_core.bundle.open_bundle`.
    """
    manifest = parse_object(raw, where)
    _check_version(manifest, where)
    try:
        genuine = raw == canonical(manifest) and manifest.get("seal") == seal_of(manifest)
    except (ValueError, RecursionError) as error:
        raise BundleMalformed(f"holds what JSON cannot: {error}", path=where) from error
    if not genuine:
        raise BundleAltered("its content is not what was sealed", path=where, hint="fetch or export the bundle again")
    _check_schema(manifest, where)
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


def _check_schema(manifest: Mapping[str, Any], where: str) -> None:
    absent = [name for name in _FIELDS if name not in manifest]
    if absent:
        raise BundleSchema(f"lacks {', '.join(absent)}", path=where)
    if not (_matches(NAME, manifest["name"]) and _matches(SEMANTIC_VERSION, manifest["version"])):
        raise BundleSchema("its name or semantic version is malformed", path=where)
    if not isinstance(manifest["explain"], dict) or manifest["explain"].get("path") not in {"pooled", "general"}:
        raise BundleSchema("its explain path is neither pooled nor general", path=where)
    _check_files(manifest["files"], where)
    if "variants" in manifest:
        _check_variants(manifest["variants"], manifest["files"], where)


def _check_files(files: Any, where: str) -> None:
    """Each entry is ``relative path → {sha256, bytes}`` and stays inside the folder."""
    if not isinstance(files, dict):
        raise BundleSchema("its list of files is malformed", path=where)
    for name, entry in files.items():
        above = {str(folder) for folder in PurePosixPath(name).parents}
        if not stays_inside(name) or not above.isdisjoint(files):
            raise BundlePath(f"names a file outside the bundle: {name!r}", path=where)
        if name in {MANIFEST, SIGNATURE}:
            raise BundleSchema(f"seals {name}, which cannot seal itself", path=where)
        if not isinstance(entry, dict) or type(entry.get("bytes")) is not int or entry["bytes"] < 0:
            raise BundleSchema(f"its entry for {name} is malformed", path=where)
        if not _matches(_DIGEST, entry.get("sha256")):
            raise BundleSchema(f"its digest for {name} is malformed", path=where)
    absent = [name for name in REQUIRED_FILES if name not in files]
    if absent:
        raise BundleMissing(f"seals no {', '.join(absent)}", path=where)


def _check_variants(variants: Any, files: Mapping[str, Any], where: str) -> None:
    """``precision → {cnn, sequence, released, …}``: what is released is sealed, what is not says why."""
    if not isinstance(variants, dict) or not all(isinstance(entry, dict) for entry in variants.values()):
        raise BundleSchema("its variants are malformed", path=where)
    unknown = sorted(set(variants) - set(PRECISIONS))
    if unknown:
        raise BundleSchema(f"knows a precision that this version does not: {', '.join(unknown)}", path=where)
    for name, entry in variants.items():
        if type(entry.get("released")) is not bool:
            raise BundleSchema(f"its variant {name} does not say whether it is released", path=where)
        if not entry["released"]:
            if not (isinstance(entry.get("reason"), str) and entry["reason"]):
                raise BundleSchema(f"its variant {name} is not released and does not say why", path=where)
            continue
        unsealed = [part for part in ("cnn", "sequence") if not _names_one_of(files, entry.get(part))]
        if unsealed:
            raise BundleSchema(f"its variant {name} names no sealed file as {' and '.join(unsealed)}", path=where)
    base = variants.get(PRECISIONS[0])
    if base is None or not base["released"] or (base["cnn"], base["sequence"]) != (CNN, SEQUENCE):
        raise BundleSchema(f"its variant {PRECISIONS[0]} is not {CNN} and {SEQUENCE}", path=where)


def _names_one_of(files: Mapping[str, Any], value: Any) -> bool:
    return isinstance(value, str) and value in files


def _matches(pattern: re.Pattern[str], value: Any) -> bool:
    return isinstance(value, str) and pattern.fullmatch(value) is not None
