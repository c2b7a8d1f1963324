"""What differs between two bundles: contract, weights, figures, files, libraries, training data."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from hemo_core.bundle.manifest import current
from hemo_core.bundle.sealed import Bundle
from hemo_core.bundle.weight_comparison import WeightChange, compare_weights
from hemo_core.errors import BundleSchema

_CONTRACT = ("input", "scoring", "explain")
_OTHER = ("licence", "git_commit", "onnx")
_INTERVAL = "value"


@dataclass(frozen=True, slots=True)
class Change:
    """One entry that differs. None: the bundle does not have it."""

    key: str
    before: Any
    after: Any


@dataclass(frozen=True, slots=True)
class Figure:
    """One metric, side by side: a number, or ``{value, low, high}``. None: the bundle does not have it."""

    key: str
    before: Any
    after: Any

    @property
    def changed(self) -> bool:
        """Whether the two differ."""
        return bool(self.before != self.after)


@dataclass(frozen=True, slots=True)
class GraphChange:
    """One ONNX file that both bundles have, with other bytes.

    Attributes:
        weights: what changed in its weights; None if the file could not be read.
        note: why it could not.
    """

    file: str
    weights: WeightChange | None
    note: str = ""


@dataclass(frozen=True, slots=True)
class BundleComparison:
    """Two bundles. Everything is empty where they agree, but ``metrics``, which are always given side by side.

    Attributes:
        before, after: name, version, digest and signing key of each.
        contract: input, scoring with its findings, explain.
        files: sha256 and bytes of each file that differs.
        graphs: the weights behind changed ONNX files.
        training: data fingerprint, split, architecture, recipe, seed.
        variants: what is released in which precision.
        other: licence, commit, operators of the graphs.
        same_data: the figures come from data with the same fingerprint and the same split.
    """

    before: dict[str, str]
    after: dict[str, str]
    contract: tuple[Change, ...]
    files: tuple[Change, ...]
    graphs: tuple[GraphChange, ...]
    metrics: tuple[Figure, ...]
    training: tuple[Change, ...]
    libraries: tuple[Change, ...]
    variants: tuple[Change, ...]
    other: tuple[Change, ...]
    same_data: bool


def compare_bundles(before: Bundle, after: Bundle) -> BundleComparison:
    """Compare two opened bundles. Needs neither TensorFlow nor the onnx package."""
    old, new = current(before.content), current(after.content)
    return BundleComparison(
        before=_identity(before),
        after=_identity(after),
        contract=_changes(_some(old, _CONTRACT), _some(new, _CONTRACT)),
        files=tuple(_files(old["files"], new["files"])),
        graphs=tuple(_graphs(before, after)),
        metrics=tuple(_figures(old.get("metrics"), new.get("metrics"))),
        training=_changes(old.get("training"), new.get("training")),
        libraries=_changes(old.get("libraries"), new.get("libraries")),
        variants=_changes(_released(old), _released(new)),
        other=_changes(_some(old, _OTHER), _some(new, _OTHER)),
        same_data=_data(old) == _data(new),
    )


def _identity(bundle: Bundle) -> dict[str, str]:
    signed = "" if bundle.signature is None else bundle.signature.key_id
    return {"name": bundle.name, "version": bundle.version, "digest": bundle.digest, "signature_key": signed}


def _some(manifest: Mapping[str, Any], names: tuple[str, ...]) -> dict[str, Any]:
    return {name: manifest[name] for name in names if name in manifest}


def _data(manifest: Mapping[str, Any]) -> tuple[Any, Any]:
    data = (manifest.get("training") or {}).get("data") or {}
    return data.get("fingerprint"), data.get("split_hash")


def _released(manifest: Mapping[str, Any]) -> dict[str, str]:
    """By precision, in words."""
    entries = manifest.get("variants") or {"fp32": {"released": True}}
    return {name: "released" if entry["released"] else f"not: {entry['reason']}" for name, entry in entries.items()}


def _changes(before: Any, after: Any) -> tuple[Change, ...]:
    old, new = dict(_leaves(before)), dict(_leaves(after))
    keys = [*old, *(key for key in new if key not in old)]
    return tuple(Change(key, old.get(key), new.get(key)) for key in keys if old.get(key) != new.get(key))


def _leaves(value: Any, key: str = "") -> Iterator[tuple[str, Any]]:
    """``a.b.0.c → value`` of all that is no object or list of objects; a list's are called by their names, if any."""
    if isinstance(value, list) and value and all(isinstance(item, dict) for item in value):
        value = {str(item.get("name", number)): item for number, item in enumerate(value)}
    if isinstance(value, dict):
        for name, item in value.items():
            yield from _leaves(item, f"{key}.{name}" if key else name)
    elif key:
        yield key, value


def _files(before: Mapping[str, Any], after: Mapping[str, Any]) -> Iterator[Change]:
    for name in sorted({*before, *after}):
        if before.get(name) != after.get(name):
            yield Change(name, before.get(name), after.get(name))


def _graphs(before: Bundle, after: Bundle) -> Iterator[GraphChange]:
    old, new = before.manifest.files, after.manifest.files
    for name in sorted(set(old) & set(new)):
        if name.endswith(".onnx") and old[name] != new[name]:
            yield _graph(before, after, name)


def _graph(before: Bundle, after: Bundle, name: str) -> GraphChange:
    from hemo_core.bundle.onnx_file import read_onnx

    try:
        graphs = [read_onnx(bundle.read(name), str(bundle.path / name)) for bundle in (before, after)]
    except BundleSchema as error:
        return GraphChange(name, None, f"only the digests were compared: {error}")
    return GraphChange(name, compare_weights(graphs[0].weights, graphs[1].weights))


def _figures(before: Any, after: Any) -> Iterator[Figure]:
    old, new = dict(_measured(before)), dict(_measured(after))
    for key in [*old, *(key for key in new if key not in old)]:
        yield Figure(key, old.get(key), new.get(key))


def _measured(value: Any, key: str = "") -> Iterator[tuple[str, Any]]:
    """Numbers and intervals by dotted key; prose is no figure."""
    if isinstance(value, dict) and _INTERVAL not in value:
        for name, item in value.items():
            yield from _measured(item, f"{key}.{name}" if key else name)
    elif key and not isinstance(value, str):
        yield key, value
