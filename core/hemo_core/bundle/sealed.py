"""The model bundle: one folder with ONNX graphs, Keras models and ``bundle.json``, which seals every byte of it.

The seal shows that nothing changed since it was set; a signature, ``bundle.sig``, shows who vouches for it.
"""

from __future__ import annotations

import hashlib
import os
import re
import stat
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hemo_core.bundle.contract import Contract, HeatmapCheck, InputContract, ScoringContract, with_findings
from hemo_core.bundle.keras_check import check_keras_file
from hemo_core.bundle.keys import PublicKey
from hemo_core.bundle.manifest import (
    LARGEST_MANIFEST,
    MANIFEST,
    SIGNATURE,
    canonical,
    current,
    parse_manifest,
    seal_of,
)
from hemo_core.bundle.signatures import LARGEST_SIGNATURE, Signature, check_signature
from hemo_core.errors import (
    BundleAltered,
    BundleIncomplete,
    BundleLink,
    BundleMissing,
    BundleSchema,
    BundleStowaway,
    BundleUnsafe,
    SignatureMalformed,
)
from hemo_core.records import decode

_PRIVATE_KEY = re.compile(rb"-----BEGIN [A-Z ]*PRIVATE KEY-----")
_BEGINNING = 64 * 1024


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
        signature: the content of ``bundle.sig``; None if the bundle is not signed.
        signed_by: id of the trusted key whose signature was verified; empty if no key was asked for.
    """

    path: Path
    name: str
    version: str
    digest: str
    input: InputContract
    scoring: ScoringContract
    manifest: Mapping[str, Any]
    signature: Signature | None = None
    signed_by: str = ""

    @property
    def heatmap_check(self) -> HeatmapCheck:
        """Whether the maps passed the randomisation check; a worker draws none that failed it, unless asked."""
        heatmaps = self.manifest.get("heatmaps")
        check = heatmaps.get("randomisation") if isinstance(heatmaps, Mapping) else None
        passed = check.get("passed") if isinstance(check, Mapping) else None
        return "not_measured" if not isinstance(passed, bool) else "passed" if passed else "failed"

    @property
    def pooled(self) -> bool:
        """Whether the head begins with a global average pool, so that Grad-CAM may take the fast path."""
        return bool(self.manifest["explain"]["path"] == "pooled")

    @property
    def alone(self) -> bool:
        """Whether each slice is scored by itself, so that no other slice can move its logit."""
        return bool(self.manifest["explain"].get("memory") == "slice")

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


def seal(folder: Path, manifest: Mapping[str, Any]) -> Bundle:
    """Write ``bundle.json`` with the digest of every file in ``folder``, then open the result.

    A signature that lies there is removed: it was about what ``bundle.json`` was before.

    Args:
        folder: holds the bundle's files and nothing else.
        manifest: name, version, input, scoring, explain and whatever else is to be recorded; of any schema version.

    Raises:
        BundleError: the folder or the manifest would not open as a bundle, or a file holds a private key.
    """
    names = sorted(set(_walk(folder)) - {MANIFEST, SIGNATURE})
    for name in names:
        _refuse_private_key(folder / name)
    files = {name: _describe(folder / name) for name in names}
    content = {**current(manifest), "files": files}
    content["seal"] = seal_of(content)
    (folder / SIGNATURE).unlink(missing_ok=True)
    (folder / MANIFEST).write_bytes(canonical(content))
    return open_folder(folder)


def open_folder(path: Path, trusted: Sequence[PublicKey] = ()) -> Bundle:
    """Verify a bundle's folder and describe it, see :func:`hemo_core.bundle.open_bundle`."""
    raw = _read_manifest(path)
    manifest = parse_manifest(raw, str(path / MANIFEST))
    signature = _read_signature(path)
    digest = hashlib.sha256(raw).hexdigest()
    signed_by = check_signature(signature, digest, trusted, str(path))
    _verify_files(path, manifest["files"])
    for name in manifest["files"]:
        if name.endswith(".keras"):
            check_keras_file(path / name)
    inputs, scoring = _contracts(manifest, str(path / MANIFEST))
    return Bundle(path, manifest["name"], manifest["version"], digest, inputs, scoring, manifest, signature, signed_by)


def _contracts(manifest: Mapping[str, Any], where: str) -> tuple[InputContract, ScoringContract]:
    found = decode(Contract, with_findings(manifest), error=BundleSchema, what="contract", path=where)
    return found.input, found.scoring


def _read_manifest(folder: Path) -> bytes:
    if not folder.is_dir():
        raise BundleMissing("no such bundle", path=str(folder), hint="give a bundle's folder or a .hemo file")
    raw = _read_plain(folder / MANIFEST, LARGEST_MANIFEST)
    if raw is None:
        raise BundleMissing(f"has no {MANIFEST}", path=str(folder), hint="is this the bundle's own folder?")
    if len(raw) > LARGEST_MANIFEST:
        raise BundleSchema("is too large for a manifest", path=str(folder / MANIFEST))
    return raw


def _read_signature(folder: Path) -> Signature | None:
    raw = _read_plain(folder / SIGNATURE, LARGEST_SIGNATURE)
    if raw is None:
        return None
    if len(raw) > LARGEST_SIGNATURE:
        raise SignatureMalformed("is too large for a signature", path=str(folder / SIGNATURE))
    return Signature.from_bytes(raw, str(folder / SIGNATURE))


def _read_plain(path: Path, most: int) -> bytes | None:
    """Up to one byte more than ``most``; None if nothing is there. A link is refused, never followed."""
    try:
        info = path.lstat()
    except FileNotFoundError:
        return None
    if not stat.S_ISREG(info.st_mode):
        raise BundleLink("is no plain file", path=str(path))
    with path.open("rb") as file:
        return file.read(most + 1)


def _verify_files(folder: Path, files: Mapping[str, Mapping[str, Any]]) -> None:
    there = set(_walk(folder)) - {MANIFEST, SIGNATURE}
    missing, extra = sorted(set(files) - there), sorted(there - set(files))
    if missing:
        raise BundleIncomplete(f"sealed files are gone: {', '.join(missing)}", path=str(folder))
    if extra:
        raise BundleStowaway(f"files are there that were not sealed: {', '.join(extra)}", path=str(folder))
    for name, entry in files.items():
        found = _describe(folder / name)
        _compare(folder / name, found["sha256"], entry["sha256"])
        if found["bytes"] != entry["bytes"]:
            raise BundleSchema(f"states another length than it has: {name}", path=str(folder / MANIFEST))


def _compare(path: Path, found: str, sealed: str) -> None:
    if found != sealed:
        hint = "fetch or export the bundle again"
        raise BundleAltered(f"digest {found[:12]}… is not the sealed {sealed[:12]}…", path=str(path), hint=hint)


def _describe(path: Path) -> dict[str, Any]:
    with path.open("rb") as file:
        return {"sha256": hashlib.file_digest(file, "sha256").hexdigest(), "bytes": os.fstat(file.fileno()).st_size}


def _refuse_private_key(path: Path) -> None:
    with path.open("rb") as file:
        if _PRIVATE_KEY.search(file.read(_BEGINNING)):
            raise BundleUnsafe("is a private key, which has no place in a bundle", path=str(path))


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
                raise BundleLink(f"{name} is a link or no plain file", path=str(folder))
