"""The model bundle: one folder with ONNX graphs, Keras models and ``bundle.json``, which seals every byte of it.

The seal shows that nothing changed since it was set; it does not show who set it.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import stat
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from hemo_core.contract import InputContract, ScoringContract
from hemo_core.errors import BundleAltered, BundleMissing, BundleSchema, BundleUnsafe
from hemo_core.keras_file import check_keras_file

SCHEMA_VERSION = 1
MANIFEST = "bundle.json"
CNN, SEQUENCE, HEAD, MODEL = "cnn.onnx", "sequence.onnx", "head.keras", "model.keras"
REQUIRED_FILES = (CNN, SEQUENCE, HEAD, MODEL)

_LARGEST_MANIFEST = 4 * 1024 * 1024
_NAME = re.compile(r"[a-z0-9][a-z0-9._-]{0,63}")
_VERSION = re.compile(r"(\d{1,6})\.(\d{1,6})\.(\d{1,6})(?:-([0-9A-Za-z.-]+))?")
_FIELDS = ("name", "version", "labels", "input", "scoring", "explain", "files", "seal")


@dataclass(frozen=True, slots=True)
class Bundle:
    """A verified bundle.

    Attributes:
        path: its folder.
        name, version: what people call it; the version is semantic (semver.org).
        digest: sha256 of ``bundle.json``, 64 hex digits: names this model and no other.
        input: what the CNN expects.
        scoring: how logits become a label.
        manifest: the whole of ``bundle.json``.
    """

    path: Path
    name: str
    version: str
    digest: str
    input: InputContract
    scoring: ScoringContract
    manifest: Mapping[str, Any]

    @property
    def pooled(self) -> bool:
        """Whether the head begins with a global average pool, so that Grad-CAM may take the fast path."""
        return bool(self.manifest["explain"]["path"] == "pooled")

    def read(self, name: str) -> bytes:
        """The bytes of a sealed file, verified once more as they are read.

        Raises:
            BundleMissing: the bundle has no such file.
            BundleAltered: the file changed since the bundle was opened.
        """
        if name not in self.manifest["files"]:
            raise BundleMissing(f"has no {name}", path=str(self.path))
        data = (self.path / name).read_bytes()
        _compare(self.path / name, hashlib.sha256(data).hexdigest(), self.manifest["files"][name]["sha256"])
        return data


def canonical(value: Mapping[str, Any]) -> bytes:
    """The one spelling of a JSON object: sorted keys, two spaces, UTF-8, a newline at the end."""
    return (json.dumps(value, sort_keys=True, indent=2, ensure_ascii=False, allow_nan=False) + "\n").encode()


def seal(folder: Path, manifest: Mapping[str, Any]) -> Bundle:
    """Write ``bundle.json`` with the digest of every file in ``folder``, then open the result.

    Args:
        folder: holds the bundle's files and nothing else.
        manifest: name, version, labels, input, scoring, explain and whatever else is to be recorded.

    Raises:
        BundleError: the folder or the manifest would not open as a bundle.
    """
    files = {name: _describe(folder / name) for name in sorted(_walk(folder)) if name != MANIFEST}
    content = {**manifest, "schema_version": SCHEMA_VERSION, "files": files}
    content.pop("seal", None)
    content["seal"] = _seal_of(content)
    (folder / MANIFEST).write_bytes(canonical(content))
    return open_bundle(folder)


def open_bundle(path: Path) -> Bundle:
    """Verify a bundle and describe it; no model is loaded.

    Args:
        path: a bundle's folder, or a ``.hemo`` file, which is unpacked into the user's cache first.

    Raises:
        BundleMissing: no bundle there, or a sealed file is gone.
        BundleAltered: a byte differs, or a file is there that was not sealed.
        BundleSchema: ``bundle.json`` is malformed or newer than this version reads.
        BundleUnsafe: a link, a path outside the folder, or a Keras file that could run foreign code.
    """
    if path.is_file():
        from hemo_core.bundle_zip import unpack

        return unpack(path)
    raw = _read_manifest(path)
    manifest = parse_manifest(raw, str(path / MANIFEST))
    _verify_files(path, manifest["files"])
    for name in manifest["files"]:
        if name.endswith(".keras"):
            check_keras_file(path / name)
    return _bundle(path, raw, manifest)


def parse_manifest(raw: bytes, where: str) -> dict[str, Any]:
    """Check the bytes of ``bundle.json`` without touching any other file.

    Args:
        raw: the bytes.
        where: what to call them in messages.

    Raises:
        BundleSchema, BundleAltered, BundleUnsafe: see :func:`open_bundle`.
    """
    try:
        manifest = json.loads(raw)
    except ValueError as error:
        raise BundleSchema(f"is no JSON: {error}", path=where) from error
    _check_schema(manifest, where)
    unsealed = {key: value for key, value in manifest.items() if key != "seal"}
    if raw != canonical(manifest) or manifest["seal"] != _seal_of(unsealed):
        raise BundleAltered("its content is not what was sealed", path=where, hint="fetch or export the bundle again")
    return dict(manifest)


def released_bundle() -> Path:
    """The newest bundle that came with this installation.

    Raises:
        BundleMissing: none came with it.
    """
    package = Path(__file__).resolve().parent
    places = (package / "released", package.parents[1] / "models")
    found = [
        folder for place in places if place.is_dir() for folder in place.iterdir() if (folder / MANIFEST).is_file()
    ]
    if not found:
        raise BundleMissing("no model bundle came with this installation", hint="name one with --bundle")
    return max(found, key=_release_order)


def _release_order(folder: Path) -> tuple[tuple[int, ...], bool, str]:
    """Sort key: semantic version out of ``<name>-<version>``; a release comes after its pre-releases."""
    match = re.search(rf"-{_VERSION.pattern}$", folder.name)
    if match is None:
        return (-1,), False, folder.name
    major, minor, patch, pre = match.groups()
    return (int(major), int(minor), int(patch)), pre is None, pre or ""


def _bundle(path: Path, raw: bytes, manifest: Mapping[str, Any]) -> Bundle:
    try:
        inputs = InputContract.from_json(manifest["input"])
        scoring = ScoringContract.from_json(manifest["scoring"])
    except (KeyError, TypeError) as error:
        raise BundleSchema(f"its input or scoring contract is malformed: {error}", path=str(path / MANIFEST)) from error
    digest = hashlib.sha256(raw).hexdigest()
    return Bundle(path, manifest["name"], manifest["version"], digest, inputs, scoring, manifest)


def _check_schema(manifest: Any, where: str) -> None:
    if not isinstance(manifest, dict) or not isinstance(manifest.get("schema_version"), int):
        raise BundleSchema("has no schema version", path=where)
    version = manifest["schema_version"]
    if version != SCHEMA_VERSION:
        hint = "upgrade hemo-batch" if version > SCHEMA_VERSION else "export the model again"
        raise BundleSchema(f"is of schema {version}, this version reads {SCHEMA_VERSION}", path=where, hint=hint)
    absent = [name for name in _FIELDS if name not in manifest]
    if absent:
        raise BundleSchema(f"lacks {', '.join(absent)}", path=where)
    if not (_matches(_NAME, manifest["name"]) and _matches(_VERSION, manifest["version"])):
        raise BundleSchema("its name or semantic version is malformed", path=where)
    if not isinstance(manifest["explain"], dict) or manifest["explain"].get("path") not in {"pooled", "general"}:
        raise BundleSchema("its explain path is neither pooled nor general", path=where)
    _check_files(manifest["files"], where)


def _matches(pattern: re.Pattern[str], value: Any) -> bool:
    return isinstance(value, str) and pattern.fullmatch(value) is not None


def _check_files(files: Any, where: str) -> None:
    """Each entry is ``relative path → {sha256, bytes}`` and stays inside the folder."""
    if not isinstance(files, dict):
        raise BundleSchema("its list of files is malformed", path=where)
    for name, entry in files.items():
        parts = PurePosixPath(name).parts
        if not parts or name.startswith("/") or "\\" in name or "\0" in name or {"..", "."} & set(name.split("/")):
            raise BundleUnsafe(f"names a file outside the bundle: {name!r}", path=where)
        if not isinstance(entry, dict) or not isinstance(entry.get("bytes"), int) or entry["bytes"] < 0:
            raise BundleSchema(f"its entry for {name} is malformed", path=where)
        if not _matches(re.compile(r"[0-9a-f]{64}"), entry.get("sha256")):
            raise BundleSchema(f"its digest for {name} is malformed", path=where)
    absent = [name for name in REQUIRED_FILES if name not in files]
    if absent:
        raise BundleMissing(f"seals no {', '.join(absent)}", path=where)


def _read_manifest(folder: Path) -> bytes:
    path = folder / MANIFEST
    if not folder.is_dir():
        raise BundleMissing("no such bundle", path=str(folder), hint="give a bundle's folder or a .hemo file")
    try:
        info = path.lstat()
    except FileNotFoundError as error:
        raise BundleMissing(f"has no {MANIFEST}", path=str(folder), hint="is this the bundle's own folder?") from error
    if not stat.S_ISREG(info.st_mode):
        raise BundleUnsafe("is no plain file", path=str(path))
    if info.st_size > _LARGEST_MANIFEST:
        raise BundleSchema("is too large for a manifest", path=str(path))
    return path.read_bytes()


def _verify_files(folder: Path, files: Mapping[str, Mapping[str, Any]]) -> None:
    there = set(_walk(folder)) - {MANIFEST}
    missing, extra = sorted(set(files) - there), sorted(there - set(files))
    if missing:
        raise BundleMissing(f"sealed files are gone: {', '.join(missing)}", path=str(folder))
    if extra:
        raise BundleAltered(f"files are there that were not sealed: {', '.join(extra)}", path=str(folder))
    for name, entry in files.items():
        _compare(folder / name, _describe(folder / name)["sha256"], entry["sha256"])


def _compare(path: Path, found: str, sealed: str) -> None:
    if found != sealed:
        hint = "fetch or export the bundle again"
        raise BundleAltered(f"digest {found[:12]}… is not the sealed {sealed[:12]}…", path=str(path), hint=hint)


def _describe(path: Path) -> dict[str, Any]:
    with path.open("rb") as file:
        return {"sha256": hashlib.file_digest(file, "sha256").hexdigest(), "bytes": os.fstat(file.fileno()).st_size}


def _walk(folder: Path, prefix: str = "") -> Iterator[str]:
    """POSIX paths of all plain files below ``folder``; a link or a device is refused, never followed."""
    with os.scandir(folder) as entries:
        for entry in entries:
            name = f"{prefix}{entry.name}"
            if entry.is_dir(follow_symlinks=False):
                yield from _walk(folder / entry.name, f"{name}/")
            elif entry.is_file(follow_symlinks=False):
                yield name
            else:
                raise BundleUnsafe(f"{name} is a link or no plain file", path=str(folder))


def _seal_of(content: Mapping[str, Any]) -> str:
    return hashlib.sha256(canonical(content)).hexdigest()
