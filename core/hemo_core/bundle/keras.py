"""Opening ``.keras`` files: look inside first, then let Keras load it on the CPU of a quiet TensorFlow."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path
from typing import Any

from hemo_core.bundle.keras_check import check_keras_file
from hemo_core.bundle.sealed import Bundle
from hemo_core.errors import BundleError, BundleUnsafe, MissingExtra


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

    from hemo_core.bundle import keras_layers  # noqa: F401  (registers PerSlice)

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
