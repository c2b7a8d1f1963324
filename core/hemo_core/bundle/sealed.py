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

from hemo_core.bundle.contract import HeatmapCheck, InputContract, ScoringContract
from hemo_core.bundle.keras_check import check_keras_file
from hemo_core.bundle.keys import PublicKey
from hemo_core.bundle.manifest import (
    LARGEST_MANIFEST,
    MANIFEST,
    SIGNATURE,
    Manifest,
    SealedFile,
    canonical,
    current,
    parse_manifest,
    read_manifest,
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
from hemo_core.records import encode

_PRIVATE_KEY = re.compile(rb"-----BEGIN [A-Z ]*PRIVATE KEY-----")
_BEGINNING = 64 * 1024


@dataclass(frozen=True, slots=True)
class Bundle:
    """A verified bundle.

    Attributes:
        path: its folder.
        digest: sha256 of ``bundle.json``, 64 hex digits: names this model and no other.
        manifest: what ``bundle.json`` says to programs.
        content: all of it.
        signature: the content of ``bundle.sig``; None if the bundle is not signed.
        signed_by: id of the trusted key whose signature was verified; empty if no key was asked for.
    """

    path: Path
    digest: str
    manifest: Manifest
    content: Mapping[str, Any]
    signature: Signature | None = None
    signed_by: str = ""

    @property
    def name(self) -> str:
        """What people call it."""
        return self.manifest.name

    @property
    def version(self) -> str:
        """Semantic version."""
        return self.manifest.version

    @property
    def input(self) -> InputContract:
        """What the CNN expects."""
        return self.manifest.input

    @property
    def scoring(self) -> ScoringContract:
        """How logits become a label."""
        return self.manifest.scoring

    @property
    def heatmap_check(self) -> HeatmapCheck:
        """Whether the maps passed the randomisation check; a worker draws none that failed it, unless asked."""
        heatmaps = self.manifest.heatmaps
        check = heatmaps.get("randomisation") if isinstance(heatmaps, Mapping) else None
        passed = check.get("passed") if isinstance(check, Mapping) else None
        return "not_measured" if not isinstance(passed, bool) else "passed" if passed else "failed"

    @property
    def pooled(self) -> bool:
        """Whether the head begins with a global average pool, so that Grad-CAM may take the fast path."""
        return self.manifest.explain.path == "pooled"

    @property
    def alone(self) -> bool:
        """Whether each slice is scored by itself, so that no other slice can move its logit."""
        return self.manifest.explain.memory == "slice"

    def read(self, name: str) -> bytes:
        """The bytes of a sealed file, verified once more as they are read.

        Raises:
            BundleMissing: the bundle has no such file.
            BundleAltered: the file changed since the bundle was opened.
        """
        sealed = self.manifest.files.get(name)
        if sealed is None:
            raise BundleMissing(f"has no {name}", path=str(self.path))
        data = (self.path / name).read_bytes()
        _compare(self.path / name, hashlib.sha256(data).hexdigest(), sealed.sha256)
        return data


def seal(folder: Path, content: Mapping[str, Any]) -> Bundle:
    """Write ``bundle.json`` with the digest of every file in ``folder``, then open the result.

    A signature that lies there is removed: it was about what ``bundle.json`` was before.

    Args:
        folder: holds the bundle's files and nothing else.
        content: name, version, input, scoring, explain and whatever else is to be recorded; of any schema version.

    Raises:
        BundleError: the folder or the content would not open as a bundle, or a file holds a private key.
    """
    names = sorted(set(_walk(folder)) - {MANIFEST, SIGNATURE})
    for name in names:
        _refuse_private_key(folder / name)
    files = {name: _describe(folder / name) for name in names}
    sealed = {**current(content), "files": encode(files)}
    sealed["seal"] = seal_of(sealed)
    (folder / SIGNATURE).unlink(missing_ok=True)
    (folder / MANIFEST).write_bytes(canonical(sealed))
    return open_folder(folder)


def open_folder(path: Path, trusted: Sequence[PublicKey] = ()) -> Bundle:
    """Verify a bundle's folder and describe it, see :func:`hemo_core.bundle.open_bundle`."""
    raw = _read_manifest(path)
    content = parse_manifest(raw, str(path / MANIFEST))
    manifest = read_manifest(content, str(path / MANIFEST))
    signature = _read_signature(path)
    digest = hashlib.sha256(raw).hexdigest()
    signed_by = check_signature(signature, digest, trusted, str(path))
    _verify_files(path, manifest.files)
    for name in manifest.files:
        if name.endswith(".keras"):
            check_keras_file(path / name)
    return Bundle(path, digest, manifest, content, signature, signed_by)


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


def _verify_files(folder: Path, files: Mapping[str, SealedFile]) -> None:
    there = set(_walk(folder)) - {MANIFEST, SIGNATURE}
    missing, extra = sorted(set(files) - there), sorted(there - set(files))
    if missing:
        raise BundleIncomplete(f"sealed files are gone: {', '.join(missing)}", path=str(folder))
    if extra:
        raise BundleStowaway(f"files are there that were not sealed: {', '.join(extra)}", path=str(folder))
    for name, entry in files.items():
        found = _describe(folder / name)
        _compare(folder / name, found.sha256, entry.sha256)
        if found.bytes != entry.bytes:
            raise BundleSchema(f"states another length than it has: {name}", path=str(folder / MANIFEST))


def _compare(path: Path, found: str, sealed: str) -> None:
    if found != sealed:
        hint = "fetch or export the bundle again"
        raise BundleAltered(f"digest {found[:12]}… is not the sealed {sealed[:12]}…", path=str(path), hint=hint)


def _describe(path: Path) -> SealedFile:
    with path.open("rb") as file:
        return SealedFile(hashlib.file_digest(file, "sha256").hexdigest(), os.fstat(file.fileno()).st_size)


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
