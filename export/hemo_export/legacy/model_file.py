"""Older model files, ``.keras`` and ``.h5``: looked into first, then spelled as Keras 3 reads them, then loaded."""

from __future__ import annotations

import hashlib
import io
import json
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hemo_core.bundle.keras import load_keras, quiet_tensorflow
from hemo_core.bundle.keras_check import check_config
from hemo_core.errors import BundleBomb, BundleLink, BundleMissing, ExportError, HemoError

_HDF5, _ZIP = b"\x89HDF\r\n\x1a\n", b"PK\x03\x04"
_WEIGHTS = "model.weights.h5"
_SUFFIXES = {".h5": _HDF5, ".hdf5": _HDF5, ".keras": _ZIP}
_LARGEST_CONFIG = 32 * 1024 * 1024
_LARGEST_WEIGHTS = 2 * 1024**3
_LONGEST_REASON = 300
_RECURRENT = frozenset({"LSTM", "GRU", "SimpleRNN"})


@dataclass(frozen=True, slots=True, eq=False)
class LegacyModel:
    """A loaded file.

    Attributes:
        model: the Keras model as saved, weights included.
        format: ``hdf5`` or ``keras``.
        sha256: of the file.
        keras_version: that wrote it; ``unknown`` where the file does not say.
    """

    model: Any
    format: str
    sha256: str
    keras_version: str


def load_legacy(file: Path, scratch: Path) -> LegacyModel:
    """Load a model file without running any code of its own.

    Args:
        file: ``.keras``, ``.h5`` or ``.hdf5``.
        scratch: a folder for a copy in today's spelling.

    Raises:
        BundleMissing: there is no such file.
        BundleUnsafe: a Lambda layer, an object of a foreign module, HDF5 that leads out of the file, or a bomb.
        ExportError: no model file, weights only, or of a kind that this Keras does not know.
    """
    kind = _kind(file)
    with file.open("rb") as stream:
        digest = hashlib.file_digest(stream, "sha256").hexdigest()
    load = _load_hdf5 if kind == "hdf5" else _load_zip
    model, version = load(file, scratch / f"checked{file.suffix.lower()}")
    return LegacyModel(model, kind, digest, version)


def _kind(file: Path) -> str:
    """``hdf5`` or ``keras``, as name and content agree on."""
    if not file.is_file():
        raise BundleMissing("no such model file", path=str(file))
    magic = _SUFFIXES.get(file.suffix.lower())
    with file.open("rb") as stream:
        start = stream.read(len(_HDF5))
    if magic is None or not start.startswith(magic):
        hint = "save it again with model.save('model.keras'), or model.save('model.h5') in older Keras"
        raise ExportError(f"is no Keras model that a name like *{file.suffix} stands for", path=str(file), hint=hint)
    return "hdf5" if magic == _HDF5 else "keras"


def _load_zip(file: Path, copy: Path) -> tuple[Any, str]:
    """A ``.keras`` file: a zip of ``config.json``, ``metadata.json`` and weights."""
    import h5py

    try:
        with zipfile.ZipFile(file) as source, zipfile.ZipFile(copy, "w") as target:
            config = _parse(_member(source, "config.json"), file)
            version = str(_parse(_member(source, "metadata.json"), file).get("keras_version", "unknown"))
            check_config(config, file)
            target.writestr("config.json", json.dumps(_modern(config, version, file)))
            target.writestr("metadata.json", _member(source, "metadata.json"))
            weights = _member(source, _WEIGHTS, _LARGEST_WEIGHTS)
            with h5py.File(io.BytesIO(weights), "r") as inside:
                _check_links(inside, file)
            target.writestr(_WEIGHTS, weights)
    except (zipfile.BadZipFile, KeyError, OSError) as error:
        raise ExportError(f"is no readable .keras file: {error}", path=str(file)) from error
    return _loaded(lambda: load_keras(copy), file), version


def _member(archive: zipfile.ZipFile, name: str, largest: int = _LARGEST_CONFIG) -> bytes:
    if archive.getinfo(name).file_size > largest:
        raise BundleBomb(f"its {name} is too large to be a model's", path=str(archive.filename))
    return archive.read(name)


def _load_hdf5(file: Path, copy: Path) -> tuple[Any, str]:
    """A ``.h5`` file: the architecture as an attribute, weights as data sets; the optimizer's state stays behind."""
    import h5py

    try:
        with h5py.File(file, "r") as source, h5py.File(copy, "w") as target:
            _check_links(source, file)
            if "model_config" not in source.attrs or "model_weights" not in source:
                hint = "save the whole model with model.save('model.h5'), not save_weights"
                raise ExportError("holds weights without an architecture", path=str(file), hint=hint)
            config = _parse(source.attrs["model_config"], file)
            version = str(_text(source.attrs.get("keras_version", "unknown")))
            check_config(config, file)
            target.attrs["model_config"] = json.dumps(_modern(config, version, file))
            source.copy("model_weights", target)
    except OSError as error:
        raise ExportError(f"is no readable HDF5 file: {error}", path=str(file)) from error
    quiet_tensorflow()
    import keras

    return _loaded(lambda: keras.saving.load_model(copy, compile=False, safe_mode=True), file), version


def _check_links(root: Any, file: Path) -> None:
    """HDF5 can point into other files, and announce far more numbers than it holds."""
    import h5py

    size, seen, stack = 0, set(), [root]
    while stack:
        group = stack.pop()
        for name in group:
            if not isinstance(group.get(name, getlink=True), h5py.HardLink):
                raise BundleLink(f"{name} in {group.name} is a link, which may lead elsewhere", path=str(file))
            item = group[name]
            address = h5py.h5o.get_info(item.id).addr
            if address in seen:
                continue
            seen.add(address)
            if isinstance(item, h5py.Group):
                stack.append(item)
            elif item.external or item.is_virtual:
                raise BundleLink(f"{item.name} takes its numbers from another file", path=str(file))
            else:
                size += item.nbytes
    if size > _LARGEST_WEIGHTS:
        raise BundleBomb("announces more than 2 GiB of weights", path=str(file))


def _loaded(load: Callable[[], Any], file: Path) -> Any:
    """What Keras makes of the checked copy; of its long complaints the last line says what is wrong."""
    try:
        return load()
    except (HemoError, ValueError, TypeError, KeyError, OSError) as error:
        text = error.message if isinstance(error, HemoError) else str(error)
        reason = (
            (text.strip() or type(error).__name__)
            .splitlines()[-1]
            .removeprefix("Exception encountered: ")[:_LONGEST_REASON]
        )
        raise ExportError(f"this version of Keras cannot load it: {reason}", path=str(file)) from error


def _parse(text: str | bytes, file: Path) -> dict[str, Any]:
    try:
        value = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise ExportError(f"its description is no JSON: {error}", path=str(file)) from error
    if not isinstance(value, dict):
        raise ExportError("its description is no JSON object", path=str(file))
    return value


def _text(value: str | bytes) -> str:
    return value.decode("utf-8") if isinstance(value, bytes) else value


def _modern(config: dict[str, Any], version: str, file: Path) -> dict[str, Any]:
    """The architecture as Keras 3 spells it: what Keras 2 wrote besides, always at the same value, is taken out.

    Raises:
        ExportError: it holds what Keras 3 would compute in another way.
    """
    copy: dict[str, Any] = json.loads(json.dumps(config))
    for kind, fields in _layers(copy):
        if version[:1] in "12" and "hard_sigmoid" in {fields.get("activation"), fields.get("recurrent_activation")}:
            raise ExportError("uses hard_sigmoid, which Keras 3 computes in another way", path=str(file))
        if kind != "InputLayer":  # Keras 2 noted it on the first true layer as well
            fields.pop("batch_input_shape", None)
        if kind in _RECURRENT and fields.get("time_major") is False:
            del fields["time_major"]
        if kind in {"DepthwiseConv2D", "SeparableConv2D", "Conv2DTranspose"} and fields.get("groups") == 1:
            del fields["groups"]
        if kind == "BatchNormalization" and isinstance(fields.get("axis"), list) and len(fields["axis"]) == 1:
            fields["axis"] = fields["axis"][0]
    return copy


def _layers(config: Any) -> Iterator[tuple[str, dict[str, Any]]]:
    """Class and settings of every object in an architecture."""
    stack = [config]
    while stack:
        node = stack.pop()
        if isinstance(node, dict):
            if isinstance(node.get("class_name"), str) and isinstance(node.get("config"), dict):
                yield node["class_name"], node["config"]
            stack.extend(node.values())
        elif isinstance(node, list):
            stack.extend(node)
