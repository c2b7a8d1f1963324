"""A training run's folder → a sealed bundle."""

from __future__ import annotations

import json
import platform
import shutil
import tempfile
from collections.abc import Mapping
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from hemo_core import __version__
from hemo_core.bundle import CNN, HEAD, MODEL, SEQUENCE, Bundle, open_bundle, seal
from hemo_core.contract import InputContract, ScoringContract
from hemo_core.errors import ExportError, MissingExtra
from hemo_core.inference.session import contract_text
from hemo_core.keras_file import load_keras
from hemo_export.graph import OPSET, cnn_graph, op_census, sequence_graph
from hemo_export.parity import check_parity
from hemo_export.parts import Parts, take_apart

RUN_FILE = "run.json"
CARD = "MODEL_CARD.md"
EVIDENCE = "evidence"
_LIBRARIES = ("tensorflow", "keras", "tf2onnx", "onnx", "onnxruntime", "numpy")
_TRAINING = ("data", "seed", "architecture", "fit", "versions")
_REQUIRED = ("name", "input", "scoring", "metrics", "data", "git_commit", "licence", "seed")


def export_run(run_dir: Path, out: Path, *, version: str, name: str | None = None) -> Bundle:
    """Export a training run as the new folder ``out/<name>-<version>``.

    The folder appears only when every gate has passed: the op census, the parity checks and the bundle's own
    verification.

    Args:
        run_dir: holds ``model.keras`` and ``run.json``; ``MODEL_CARD.md`` and ``evidence/`` are taken along.
        out: folder that bundles lie in.
        version: semantic version of the bundle.
        name: of the bundle; default the run's.

    Raises:
        ExportError: the run is incomplete, the model has no faithful ONNX form, or the bundle exists already.
        GatesFailed: ONNX and Keras differ.
        MissingExtra: tf2onnx is not installed.
    """
    _require_tf2onnx()
    run = read_run(run_dir)
    target = out / f"{name or run['name']}-{version}"
    if target.exists():
        raise ExportError("exists already", path=str(target), hint="a bundle is never overwritten; take a new version")
    out.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=out, prefix=".export-") as scratch:
        folder = Path(scratch) / target.name
        folder.mkdir()
        _build(run_dir, run, folder, {"name": name or run["name"], "version": version})
        folder.rename(target)
    return open_bundle(target)


def read_run(run_dir: Path) -> dict[str, Any]:
    """``run.json`` of a training run.

    Raises:
        ExportError: it is not there, is no JSON, or lacks a key.
    """
    path = run_dir / RUN_FILE
    try:
        run = json.loads(path.read_text("utf-8"), parse_constant=_refuse)
    except (OSError, ValueError) as error:
        raise ExportError(
            f"cannot be read: {error}", path=str(path), hint="is this a training run's folder?"
        ) from error
    absent = [key for key in _REQUIRED if key not in run]
    if absent:
        raise ExportError(f"lacks {', '.join(absent)}", path=str(path))
    return dict(run)


def _refuse(constant: str) -> None:
    """JSON has no NaN, Python's does."""
    raise ValueError(f"{constant} is no JSON number")


def library_versions() -> dict[str, str]:
    """Versions of what made the bundle."""
    found = {"python": platform.python_version(), "hemo-batch": __version__}
    for name in _LIBRARIES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:  # tensorflow-cpu carries another name
            found[name] = str(__import__(name).__version__)
    return found


def _build(run_dir: Path, run: Mapping[str, Any], folder: Path, identity: Mapping[str, str]) -> None:
    """Write all files into ``folder``, seal them, check parity on the sealed bundle, and seal with the results."""
    inputs, scoring = InputContract.from_json(run["input"]), ScoringContract.from_json(run["scoring"])
    parts = take_apart(load_keras(run_dir / MODEL))
    _check_shapes(parts, inputs, scoring)
    contract = contract_text(inputs.to_json(), scoring.to_json())
    graphs = {CNN: cnn_graph(parts, contract), SEQUENCE: sequence_graph(parts, contract)}
    for file_name, proto in graphs.items():
        (folder / file_name).write_bytes(proto.SerializeToString())
    parts.model.save(folder / MODEL)
    parts.head.save(folder / HEAD)
    _take_along(run_dir, folder)
    manifest = {
        **identity,
        "labels": list(scoring.labels),
        "input": inputs.to_json(),
        "scoring": scoring.to_json(),
        "explain": {"method": "grad-cam", "path": parts.explain},
        "training": {key: run[key] for key in _TRAINING if key in run},
        "metrics": run["metrics"],
        "libraries": library_versions(),
        "onnx": {"opset": OPSET, "operators": {name: op_census(proto) for name, proto in graphs.items()}},
        "git_commit": run["git_commit"],
        "licence": run["licence"],
    }
    parity = check_parity(parts, seal(folder, manifest))
    seal(folder, {**manifest, "parity": parity})


def _check_shapes(parts: Parts, inputs: InputContract, scoring: ScoringContract) -> None:
    """The contract must be the model's own."""
    picture = (inputs.height, inputs.width, inputs.channels)
    if tuple(parts.cnn.input_shape[1:]) != picture:
        raise ExportError(f"run.json says {picture} for a slice, the model takes {parts.cnn.input_shape[1:]}")
    if parts.sequence.output_shape[-1] != len(scoring.labels):
        raise ExportError(
            f"run.json names {len(scoring.labels)} labels, the model has {parts.sequence.output_shape[-1]}"
        )


def _take_along(run_dir: Path, folder: Path) -> None:
    if (run_dir / CARD).is_file():
        shutil.copyfile(run_dir / CARD, folder / CARD)
    if (run_dir / EVIDENCE).is_dir():
        shutil.copytree(run_dir / EVIDENCE, folder / EVIDENCE)


def _require_tf2onnx() -> None:
    try:
        import tf2onnx  # noqa: F401
    except ImportError as error:
        raise MissingExtra("tf2onnx is not installed", hint="pip install 'hemo-batch[export]'") from error
