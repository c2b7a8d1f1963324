"""Where a bundle is looked for, and which form it has: a folder, or one ``.hemo`` file."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

import hemo_core
from hemo_core.bundle.archive import unpack
from hemo_core.bundle.keys import PublicKey
from hemo_core.bundle.manifest import MANIFEST, SEMANTIC_VERSION
from hemo_core.bundle.sealed import Bundle, open_folder
from hemo_core.errors import BundleMissing


def open_bundle(path: Path, trusted: Sequence[PublicKey] = ()) -> Bundle:
    """Verify a bundle and describe it; no model is loaded.

    Args:
        path: a bundle's folder, or a ``.hemo`` file, which is unpacked into the user's cache first.
        trusted: keys one of which must have signed it; none: a signature is not asked for.

    Raises:
        BundleMissing: no bundle there, or a sealed file is gone.
        BundleAltered: a byte differs, or a file is there that was not sealed.
        BundleSchema: ``bundle.json`` is malformed or newer than this version reads.
        BundleUnsafe: a link, a path outside the folder, or a Keras file that could run foreign code.
        BundleUntrusted: no trusted key signed it, or its signature is not about it.
    """
    return unpack(path, trusted=trusted) if path.is_file() else open_folder(path, trusted)


def released_bundle() -> Path:
    """The newest bundle that came with this installation.

    Raises:
        BundleMissing: none came with it.
    """
    package = Path(hemo_core.__file__).resolve().parent
    places = (package / "released", package.parents[1] / "models")
    found = [
        folder for place in places if place.is_dir() for folder in place.iterdir() if (folder / MANIFEST).is_file()
    ]
    if not found:
        raise BundleMissing("no model bundle came with this installation", hint="name one with --bundle")
    return max(found, key=_release_order)


def _release_order(folder: Path) -> tuple[tuple[int, ...], bool, str]:
    """Sort key: semantic version out of ``<name>-<version>``; a release comes after its pre-releases."""
    match = re.search(rf"-{SEMANTIC_VERSION.pattern}$", folder.name)
    if match is None:
        return (-1,), False, folder.name
    major, minor, patch, pre = match.groups()
    return (int(major), int(minor), int(patch)), pre is None, pre or ""
