"""The ``.hemo`` form of a bundle: the same files in one zip, for carrying it about."""

from __future__ import annotations

import hashlib
import os
import shutil
import struct
import tempfile
import zipfile
import zlib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from hemo_core.bundle.keys import PublicKey
from hemo_core.bundle.manifest import (
    LARGEST_MANIFEST,
    MANIFEST,
    SIGNATURE,
    Manifest,
    SealedFile,
    parse_manifest,
    read_manifest,
)
from hemo_core.bundle.safe_zip import check_archive
from hemo_core.bundle.sealed import Bundle, open_folder
from hemo_core.bundle.signatures import LARGEST_SIGNATURE, Signature, check_signature
from hemo_core.errors import (
    BundleAltered,
    BundleDamaged,
    BundleError,
    BundleIncomplete,
    BundleMissing,
    BundleSchema,
    BundleStowaway,
    SignatureMalformed,
)
from hemo_core.files import replacing

_BLOCK = 1024 * 1024
_EPOCH = (1980, 1, 1, 0, 0, 0)
_TORN = (
    zipfile.BadZipFile,
    zlib.error,
    struct.error,
    EOFError,
    NotImplementedError,
    OverflowError,
    ValueError,  # a name that is no text, an offset before the file's beginning
)


def pack(bundle: Bundle, target: Path) -> Path:
    """Write a bundle as one ``.hemo`` file, with its signature if it has one; the same bundle gives the same bytes.

    Args:
        bundle: an opened bundle.
        target: the file to write, replaced if it exists.

    Raises:
        BundleAltered: the bundle changed since it was opened.
        SinkError: it cannot be written.
    """
    with replacing(target) as file, zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in _contents(bundle):
            info = zipfile.ZipInfo(name, _EPOCH)
            info.external_attr = 0o644 << 16
            archive.writestr(info, content, zipfile.ZIP_DEFLATED)
    return target


def unpack(source: Path, cache: Path | None = None, trusted: Sequence[PublicKey] = ()) -> Bundle:
    """Unpack a ``.hemo`` file into a folder of ``cache`` named by its content, and open it; later, only open it.

    Nothing is written that ``bundle.json`` does not name, no more bytes than it announces, and nothing at all of an
    archive that is unsafe or, with trusted keys, not signed by one of them.

    Args:
        source: the ``.hemo`` file.
        cache: default ``$XDG_CACHE_HOME/hemo-batch/bundles``.
        trusted: as for :func:`hemo_core.bundle.open_bundle`.

    Raises:
        BundleError: as :func:`hemo_core.bundle.open_bundle`, and for what :func:`check_archive` refuses.
    """
    with _opened(source) as archive:
        packed = _read(archive, source, trusted)
        folder = (cache or _user_cache()) / packed.folder_name
        try:
            return _open_same(folder, packed, trusted)
        except BundleError:  # not there yet, or damaged
            shutil.rmtree(folder, ignore_errors=True)
        _extract(archive, packed, folder)
        return _open_same(folder, packed, trusted)


@dataclass(frozen=True, slots=True)
class _Packed:
    """What a ``.hemo`` file says of itself, verified as far as that goes without unpacking it.

    Attributes:
        raw: bytes of ``bundle.json``.
        signed: bytes of ``bundle.sig``; None without one.
    """

    raw: bytes
    manifest: Manifest
    signed: bytes | None

    @property
    def digest(self) -> str:
        return hashlib.sha256(self.raw).hexdigest()

    @property
    def folder_name(self) -> str:
        """The digest; with a signature that, too, so that no worker sees a signature change under its hands."""
        return self.digest if self.signed is None else f"{self.digest}-{hashlib.sha256(self.signed).hexdigest()[:16]}"


def _contents(bundle: Bundle) -> Iterator[tuple[str, bytes]]:
    raw = (bundle.path / MANIFEST).read_bytes()
    if hashlib.sha256(raw).hexdigest() != bundle.digest:
        raise BundleAltered("changed since it was opened", path=str(bundle.path / MANIFEST))
    yield MANIFEST, raw
    if bundle.signature is not None:
        yield SIGNATURE, bundle.signature.to_bytes()
    for name in sorted(bundle.manifest.files):
        yield name, bundle.read(name)


@contextmanager
def _opened(source: Path) -> Iterator[zipfile.ZipFile]:
    try:
        with zipfile.ZipFile(source) as archive:
            yield archive
    except _TORN as error:
        raise BundleDamaged(f"is damaged, or no bundle: {error}", path=str(source)) from error


def _read(archive: zipfile.ZipFile, source: Path, trusted: Sequence[PublicKey]) -> _Packed:
    """Everything that can be checked before a byte is written."""
    check_archive(archive, source)
    raw = _member(archive, MANIFEST, LARGEST_MANIFEST)
    if raw is None:
        raise BundleMissing(f"has no {MANIFEST}", path=str(source))
    if len(raw) > LARGEST_MANIFEST:
        raise BundleSchema(f"its {MANIFEST} is too large for a manifest", path=str(source))
    where = f"{source}:{MANIFEST}"
    manifest = read_manifest(parse_manifest(raw, where), where)
    packed = _Packed(raw, manifest, _member(archive, SIGNATURE, LARGEST_SIGNATURE))
    signature = None
    if packed.signed is not None:
        if len(packed.signed) > LARGEST_SIGNATURE:
            raise SignatureMalformed(f"its {SIGNATURE} is too large for a signature", path=str(source))
        signature = Signature.from_bytes(packed.signed, f"{source}:{SIGNATURE}")
    check_signature(signature, packed.digest, trusted, str(source))
    _check_members(archive, packed.manifest.files, source)
    return packed


def _check_members(archive: zipfile.ZipFile, files: Mapping[str, SealedFile], source: Path) -> None:
    there = set(archive.namelist()) - {MANIFEST, SIGNATURE}
    missing, extra = sorted(set(files) - there), sorted(there - set(files))
    if missing:
        raise BundleIncomplete(f"sealed files are gone: {', '.join(missing)}", path=str(source))
    if extra:
        raise BundleStowaway(f"holds other files than were sealed: {', '.join(extra)}", path=str(source))
    for name, entry in files.items():
        found = archive.getinfo(name).file_size
        if found != entry.bytes:
            raise BundleAltered(f"{name} has {found:,} bytes, not the sealed {entry.bytes:,}", path=str(source))


def _open_same(folder: Path, packed: _Packed, trusted: Sequence[PublicKey]) -> Bundle:
    """Open an unpacked bundle. Raises BundleAltered if it is sound, and another than the one in the archive."""
    bundle = open_folder(folder, trusted)
    signed = None if bundle.signature is None else bundle.signature.to_bytes()
    if bundle.digest != packed.digest or signed != packed.signed:
        raise BundleAltered("the unpacked copy is another bundle", path=str(folder), hint="remove it")
    return bundle


def _extract(archive: zipfile.ZipFile, packed: _Packed, folder: Path) -> None:
    folder.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder.parent, prefix=".unpack-") as scratch:
        made = Path(scratch) / "bundle"
        for name in packed.manifest.files:
            target = made / name
            target.parent.mkdir(parents=True, exist_ok=True)
            with archive.open(name) as member, target.open("xb") as file:
                shutil.copyfileobj(member, file, _BLOCK)
        (made / MANIFEST).write_bytes(packed.raw)
        if packed.signed is not None:
            (made / SIGNATURE).write_bytes(packed.signed)
        open_folder(made)
        _move(made, folder)


def _move(made: Path, folder: Path) -> None:
    """Rename into place; another process may have been faster with the very same content."""
    try:
        made.rename(folder)
    except OSError:
        if not folder.is_dir():
            raise


def _member(archive: zipfile.ZipFile, name: str, most: int) -> bytes | None:
    """Up to one byte more than ``most``; None if the archive has no such member."""
    if name not in archive.namelist():
        return None
    with archive.open(name) as member:
        return member.read(most + 1)


def _user_cache() -> Path:
    base = os.environ.get("XDG_CACHE_HOME") or str(Path.home() / ".cache")
    return Path(base) / "hemo-batch" / "bundles"
