"""Opening ``.keras`` files: look inside first, then let Keras load it on the CPU of a quiet TensorFlow."""

from __future__ import annotations

import json
import os
import re
import struct
import tempfile
import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hemo_core.errors import BundleCode, BundleError, BundleMissing, BundleUnsafe, MissingExtra
from hemo_core.safe_zip import check_archive

if TYPE_CHECKING:
    from hemo_core.bundle import Bundle

_FORBIDDEN = frozenset({"Lambda", "__lambda__", "TorchModuleWrapper"})
_TRUSTED_ROOTS = frozenset({"keras", "builtins"})
_OURS = "hemo_core.keras_layers"
_NO_PARTS = frozenset({"utils", "config", "saving", "datasets", "applications", "callbacks", "export", "backend"})
"""Parts of Keras that no layer lives in and that download, read or write files, or change how models are loaded."""
_LARGEST_CONFIG = 32 * 1024 * 1024


def check_keras_file(path: Path) -> None:
    """Refuse a ``.keras`` file whose layers could run code that is neither Keras's nor ours.

    Only the zip's directory and its ``config.json`` are read; Keras is not imported.

    Raises:
        BundleMissing: there is no such file.
        BundleCode: it holds a Lambda layer, or an object of a foreign module or of a part of Keras that is no model's.
        BundleUnsafe: it is no readable Keras file, or :func:`hemo_core.safe_zip.check_archive` refuses it.
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
    if module != _OURS and (not isinstance(module, str) or parts[0] not in _TRUSTED_ROOTS):
        raise BundleCode(f"asks for {kind} of the foreign module {module}", path=str(path))
    if parts[0] == "keras" and not _NO_PARTS.isdisjoint(parts):
        raise BundleCode(f"asks for {kind} of {module}, which is no part of a model", path=str(path))


def load_keras(path: Path, *, threads: int | None = None) -> Any:
    """Check a ``.keras`` file and load it in safe mode, without its optimizer.

    Args:
        path: the file.
        threads: TensorFlow's threads for one operation, see :func:`quiet_tensorflow`.

    Returns:
        A ``keras.Model``.
    """
    check_keras_file(path)
    quiet_tensorflow(threads)
    import keras

    from hemo_core import keras_layers  # noqa: F401  (registers PerSlice)

    try:
        return keras.saving.load_model(path, compile=False, safe_mode=True)
    except (ValueError, TypeError, OSError, KeyError) as error:
        raise BundleUnsafe(f"Keras cannot load it: {error}", path=str(path)) from error


def load_sealed(bundle: Bundle, name: str, *, threads: int | None = None) -> Any:
    """Load a Keras file of a bundle: the very bytes that were verified, whatever happens to the folder meanwhile.

    Args:
        bundle: opened.
        name: of the sealed file.
        threads: as for :func:`load_keras`.

    Raises:
        BundleError: the file changed since the bundle was opened, or Keras cannot load it.
    """
    with tempfile.TemporaryDirectory(prefix="hemo-keras-") as ours:
        copy = Path(ours) / "sealed.keras"
        copy.write_bytes(bundle.read(name))
        try:
            return load_keras(copy, threads=threads)
        except BundleError as error:
            error.path = str(bundle.path / name)
            raise


def quiet_tensorflow(threads: int | None = None) -> None:
    """Import TensorFlow as Keras's backend, without GPUs and with few threads.

    Args:
        threads: threads for one operation; else ``HEMO_TF_THREADS``, else 1. Without effect once TensorFlow has run.
    """
    os.environ.setdefault("KERAS_BACKEND", "tensorflow")
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    count = str(threads or os.environ.get("HEMO_TF_THREADS") or 1)
    os.environ.setdefault("TF_NUM_INTRAOP_THREADS", count)
    os.environ.setdefault("TF_NUM_INTEROP_THREADS", "1")
    try:
        import tensorflow as tf
    except ImportError as error:
        raise MissingExtra("TensorFlow is not installed", hint="pip install 'hemo-batch[worker]'") from error
    try:
        tf.config.set_visible_devices([], "GPU")
    except RuntimeError:  # a training process has its devices up already; our functions name the CPU themselves
        return


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
