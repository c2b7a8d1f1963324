"""The ``.hemo`` form of a bundle: the same files in one zip, for carrying it about."""

from __future__ import annotations

import hashlib
import os
import shutil
import tempfile
import zipfile
import zlib
from pathlib import Path

from hemo_core.bundle import MANIFEST, Bundle, open_bundle, parse_manifest
from hemo_core.errors import BundleAltered, BundleError, BundleMissing, BundleSchema, BundleUnsafe

_LARGEST_BUNDLE = 2 * 1024**3
_LARGEST_MANIFEST = 4 * 1024 * 1024
_BLOCK = 1024 * 1024
_EPOCH = (1980, 1, 1, 0, 0, 0)


def pack(bundle: Bundle, target: Path) -> Path:
    """Write a bundle as one ``.hemo`` file; the same bundle gives the same bytes.

    Args:
        bundle: an opened bundle.
        target: the file to write, replaced if it exists.
    """
    scratch = target.with_name(f".{target.name}.{os.getpid()}")
    try:
        with zipfile.ZipFile(scratch, "w", zipfile.ZIP_DEFLATED) as archive:
            for name in (MANIFEST, *sorted(bundle.manifest["files"])):
                info = zipfile.ZipInfo(name, _EPOCH)
                info.external_attr = 0o644 << 16
                archive.writestr(info, (bundle.path / name).read_bytes(), zipfile.ZIP_DEFLATED)
        scratch.replace(target)
    finally:
        scratch.unlink(missing_ok=True)
    return target


def unpack(source: Path, cache: Path | None = None) -> Bundle:
    """Unpack a ``.hemo`` file into ``cache/<digest>`` and open it; the second time, only open it.

    Nothing is written that ``bundle.json`` does not name, and no more bytes than it announces.

    Args:
        source: the ``.hemo`` file.
        cache: default ``$XDG_CACHE_HOME/hemo-batch/bundles``.

    Raises:
        BundleError: as :func:`hemo_core.bundle.open_bundle`.
    """
    try:
        with zipfile.ZipFile(source) as archive:
            raw = _manifest_bytes(archive, source)
            folder = (cache or _user_cache()) / hashlib.sha256(raw).hexdigest()
            if folder.is_dir():
                return _reopen(folder, archive, raw, source)
            return _extract(archive, raw, source, folder)
    except (zipfile.BadZipFile, zlib.error, EOFError) as error:
        raise BundleAltered(f"is damaged, or no bundle: {error}", path=str(source)) from error


def _reopen(folder: Path, archive: zipfile.ZipFile, raw: bytes, source: Path) -> Bundle:
    """The cached copy; a damaged one is unpacked again."""
    try:
        return open_bundle(folder)
    except BundleError:
        shutil.rmtree(folder)
        return _extract(archive, raw, source, folder)


def _extract(archive: zipfile.ZipFile, raw: bytes, source: Path, folder: Path) -> Bundle:
    files = parse_manifest(raw, f"{source}:{MANIFEST}")["files"]
    names = archive.namelist()
    if sorted(names) != sorted((MANIFEST, *files)):
        raise BundleAltered("holds other files than were sealed", path=str(source))
    if sum(entry["bytes"] for entry in files.values()) > _LARGEST_BUNDLE:
        raise BundleUnsafe("would unpack to more than 2 GiB", path=str(source))
    folder.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder.parent, prefix=".unpack-") as scratch:
        made = Path(scratch) / "bundle"
        for name, entry in files.items():
            _copy(archive, name, entry["bytes"], made / name)
        (made / MANIFEST).write_bytes(raw)
        open_bundle(made)
        _move(made, folder)
    return open_bundle(folder)


def _move(made: Path, folder: Path) -> None:
    """Rename into place; another process may have been faster with the very same content."""
    try:
        made.rename(folder)
    except OSError:
        if not folder.is_dir():
            raise


def _copy(archive: zipfile.ZipFile, name: str, announced: int, target: Path) -> None:
    """Copy one member, stopping at the first byte more than was announced."""
    target.parent.mkdir(parents=True, exist_ok=True)
    left = announced
    with archive.open(name) as member, target.open("xb") as file:
        while block := member.read(min(_BLOCK, left + 1)):
            left -= len(block)
            if left < 0:
                raise BundleAltered(f"{name} is longer than was sealed", path=str(archive.filename))
            file.write(block)


def _manifest_bytes(archive: zipfile.ZipFile, source: Path) -> bytes:
    try:
        info = archive.getinfo(MANIFEST)
    except KeyError as error:
        raise BundleMissing(f"has no {MANIFEST}", path=str(source)) from error
    if info.file_size > _LARGEST_MANIFEST:
        raise BundleSchema(f"its {MANIFEST} is too large for a manifest", path=str(source))
    with archive.open(info) as member:
        return member.read(_LARGEST_MANIFEST)


def _user_cache() -> Path:
    base = os.environ.get("XDG_CACHE_HOME") or str(Path.home() / ".cache")
    return Path(base) / "hemo-batch" / "bundles"
