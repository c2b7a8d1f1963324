"""What a ``.keras`` file may hold, judged before Keras sees it: layers of Keras and of ours, nothing that runs code."""

from __future__ import annotations

import json
import re
import struct
import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from hemo_core.bundle.safe_zip import check_archive
from hemo_core.errors import BundleCode, BundleMissing, BundleUnsafe

_FORBIDDEN = frozenset({"Lambda", "__lambda__", "TorchModuleWrapper"})
_TRUSTED_ROOTS = frozenset({"keras", "builtins"})
_OURS = frozenset({"hemo_core.bundle.keras_layers", "hemo_core.keras_layers"})
"""The second is what versions up to 0.2 wrote; Keras finds the layer by its registered name."""
_NO_PARTS = frozenset({"utils", "config", "saving", "datasets", "applications", "callbacks", "export", "backend"})
"""Parts of Keras that no layer lives in and that download, read or write files, or change how models are loaded."""
_LARGEST_CONFIG = 32 * 1024 * 1024


def check_keras_file(path: Path) -> None:
    """Refuse a ``.keras`` file whose layers could run code that is neither Keras's nor ours.

    Only the zip's directory and its ``config.json`` are read; Keras is not imported.

    Raises:
        BundleMissing: there is no such file.
        BundleCode: it holds a Lambda layer, or an object of a foreign module or of a part of Keras that is no model's.
        BundleUnsafe: it is no readable Keras file, or :func:`hemo_core.bundle.safe_zip.check_archive` refuses it.
    """
    check_config(_config(path), path)


def check_config(config: Any, path: Path) -> None:
    """Refuse an architecture, as Keras writes it to JSON, that could run code that is neither Keras's nor ours.

    Args:
        config: the parsed JSON.
        path: what to call the file in messages.

    Raises:
        BundleCode: see :func:`check_keras_file`.
    """
    for node in _walk(config):
        kind, module = node.get("class_name"), node.get("module")
        names = [name for name in (kind, node.get("registered_name")) if isinstance(name, str)]
        for name in names:  # "layers.Lambda" of the module "keras" is a Lambda, too
            if re.split(r"[.>]", name)[-1] in _FORBIDDEN:
                raise BundleCode(f"holds a {name} layer, which runs arbitrary code", path=str(path))
        if module is not None:
            _check_module(module, kind, path)


def _check_module(module: Any, kind: Any, path: Path) -> None:
    """Keras joins module and class name with a dot and looks that up, so both are looked at."""
    parts = f"{module}.{kind}".split(".")
    if not isinstance(module, str) or (module not in _OURS and parts[0] not in _TRUSTED_ROOTS):
        raise BundleCode(f"asks for {kind} of the foreign module {module}", path=str(path))
    if parts[0] == "keras" and not _NO_PARTS.isdisjoint(parts):
        raise BundleCode(f"asks for {kind} of {module}, which is no part of a model", path=str(path))


def _config(path: Path) -> Any:
    try:
        with zipfile.ZipFile(path) as archive:
            check_archive(archive, path)
            if archive.getinfo("config.json").file_size > _LARGEST_CONFIG:
                raise BundleUnsafe("its config.json is too large to be a model's", path=str(path))
            return json.loads(archive.read("config.json"))
    except FileNotFoundError as error:
        raise BundleMissing("no such file", path=str(path)) from error
    except (zipfile.BadZipFile, zlib.error, struct.error, EOFError, KeyError, ValueError, RecursionError) as error:
        raise BundleUnsafe(f"is no readable .keras file: {error}", path=str(path)) from error


def _walk(node: Any) -> Iterator[dict[str, Any]]:
    """Every JSON object below ``node``, itself included."""
    stack = [node]
    while stack:
        current = stack.pop()
        if isinstance(current, dict):
            yield current
            stack.extend(current.values())
        elif isinstance(current, list):
            stack.extend(current)
