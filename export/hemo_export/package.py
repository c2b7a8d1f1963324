"""A training run's folder → a sealed bundle that is proven to answer as the Keras model does."""

from __future__ import annotations

import os
import platform
import shutil
import tempfile
from collections.abc import Mapping
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from hemo_core import __version__
from hemo_core.bundle import CNN, HEAD, MODEL, SEQUENCE, Bundle, open_bundle, seal
from hemo_core.bundle.keras import load_keras
from hemo_core.bundle.manifest import NAME, SEMANTIC_VERSION
from hemo_core.errors import ExportError, MissingExtra, UsageError
from hemo_core.inference.gradcam import Explainer
from hemo_core.inference.session import contract_text
from hemo_core.records import encode
from hemo_export.gates import GateContext
from hemo_export.gates.failure_folder import discard_failure
from hemo_export.graph import OPSET, cnn_graph, op_census, sequence_graph
from hemo_export.listener import Listener, Silent
from hemo_export.metadata import expected_metadata, write_metadata
from hemo_export.page import PAGE, export_page
from hemo_export.parity.reference import KerasModel
from hemo_export.parity.task_scans import TaskData, load_task_data
from hemo_export.parity.task_scores import ScoredModel
from hemo_export.release import judge_fp32, measured, release_variants
from hemo_export.run_folder import RunFolder, read_run
from hemo_export.submodels import Submodels, split_model

CARD = "MODEL_CARD.md"
EVIDENCE = "evidence"
_LIBRARIES = ("tensorflow", "keras", "tf2onnx", "onnx", "onnxruntime", "numpy")
_TRAINING = ("data", "seed", "architecture", "fit", "augment", "lesions", "pretrain", "epochs", "chosen_on", "versions")
_OPTIONAL = ("heatmaps", "origin")


def export_run(
    run_dir: Path,
    out: Path,
    *,
    version: str,
    name: str | None = None,
    listener: Listener | None = None,
    measure: bool = True,
) -> Bundle:
    """Export a training run as the new folder ``out/<name>-<version>``.

    The folder appears only when every gate of fp32 has passed. A smaller precision that fails one of its own is left
    out, and the bundle says why. What failed lies in ``out/<name>-<version>.failed``, with a script for each failure.

    Args:
        run_dir: holds ``model.keras`` and ``run.json``; ``MODEL_CARD.md`` and ``evidence/`` are taken along,
            ``parity.npz`` and ``calibration.npz`` are read and stay behind.
        out: folder that bundles lie in.
        version: semantic version of the bundle.
        name: of the bundle; default the run's.
        listener: is told how it goes on.
        measure: benchmark the precisions. Without, no worker chooses a smaller one by itself.

    Raises:
        UsageError: the name or the version can be no bundle's, nor its folder's.
        ExportError: the run is incomplete, the model has no ONNX form, or the bundle exists already.
        GatesFailed: the graphs do not answer as the Keras model does.
        MissingExtra: tf2onnx is not installed.
    """
    _require_tf2onnx()
    run = read_run(run_dir)
    identity = {"name": name or run.record.name, "version": version}
    if not (NAME.fullmatch(identity["name"]) and SEMANTIC_VERSION.fullmatch(version)):
        raise UsageError(
            f"{identity['name']!r} {version!r} cannot be a bundle's name and version",
            hint="--name takes small letters, digits, '.', '_' and '-'; --version is like 1.2.3",
        )
    target = out / f"{identity['name']}-{version}"
    if target.exists():
        raise ExportError("exists already", path=str(target), hint="a bundle is never overwritten; take a new version")
    failed = out / f"{target.name}.failed"
    discard_failure(failed)
    if failed.exists():
        raise ExportError("is in the way of what a failed gate would leave", path=str(failed), hint="move it away")
    out.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=out, prefix=".export-") as scratch:
        folder = Path(scratch) / target.name
        folder.mkdir()
        _build(run, folder, identity, failed, listener or Silent(), measure=measure)
        folder.rename(target)
    return open_bundle(target)


def library_versions() -> dict[str, str]:
    """Versions of what made the bundle."""
    found = {"python": platform.python_version(), "hemo-batch": __version__}
    for name in _LIBRARIES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:  # tensorflow-cpu carries another name
            found[name] = str(__import__(name).__version__)
    return found


def gate_context(run: RunFolder, submodels: Submodels, bundle: Bundle, data: TaskData) -> GateContext:
    """What the gates of fp32 look at: ``bundle`` beside the Keras model it came from."""
    keras = KerasModel(submodels)
    reference = ScoredModel("Keras", keras, data, run.scoring)
    explain = cache(lambda: Explainer(bundle))
    return GateContext(run, submodels, keras, bundle, "fp32", data, reference, explain)


def _build(
    run: RunFolder, folder: Path, identity: Mapping[str, str], failed: Path, listener: Listener, *, measure: bool
) -> None:
    """Write all files into ``folder``, judge every precision, and seal with the results."""
    data = load_task_data(run)
    listener.step("load the Keras model and trace its graphs")
    submodels = split_model(load_keras(run.model, threads=os.cpu_count()))
    _check_shapes(submodels, run)
    manifest = _write_fp32(run, submodels, folder, identity)
    listener.step(f"check fp32 against Keras on {data.in_words()}")
    context = gate_context(run, submodels, seal(folder, manifest), data)
    results = judge_fp32(context, failed, listener)
    variants = release_variants(context, manifest, results, failed, listener)
    if measure:
        listener.step("measure speed and memory")
        variants = measured(seal(folder, {**manifest, "variants": encode(variants)}), variants)
    numeric = next(result.figures for result in results if "max_abs_logit_difference" in result.figures)
    complete = {
        **manifest,
        "variants": encode(variants),
        "gates": {"data": data.describe()},
        "parity": {key: numeric[key] for key in ("max_abs_logit_difference", "logit_limit", "checks")},
    }
    (folder / PAGE).parent.mkdir(exist_ok=True)
    (folder / PAGE).write_bytes(export_page(seal(folder, complete)))
    seal(folder, complete)


def _write_fp32(run: RunFolder, submodels: Submodels, folder: Path, identity: Mapping[str, str]) -> dict[str, Any]:
    """Both graphs, both Keras files and what is taken along; returns the manifest as far as it is known."""
    contract = contract_text(run.contract)
    graphs = {CNN: cnn_graph(submodels, contract), SEQUENCE: sequence_graph(submodels, contract)}
    for file_name, proto in graphs.items():
        (folder / file_name).write_bytes(proto.SerializeToString())
        write_metadata(folder / file_name, expected_metadata(run, identity["name"], identity["version"], "fp32"))
    submodels.model.save(folder / MODEL)
    submodels.head.save(folder / HEAD)
    _take_along(run.path, folder)
    content = run.record.to_json()
    return {
        **identity,
        **encode(run.contract),
        "explain": {"method": "grad-cam", "path": submodels.explain, "memory": submodels.memory},
        "training": {key: content[key] for key in _TRAINING if key in content},
        "metrics": content["metrics"],
        **{key: content[key] for key in _OPTIONAL if key in content},
        "libraries": library_versions(),
        "onnx": {"opset": OPSET, "operators": {name: op_census(proto) for name, proto in graphs.items()}},
        "git_commit": content["git_commit"],
        "licence": content["licence"],
    }


def _check_shapes(submodels: Submodels, run: RunFolder) -> None:
    """The contract must be the model's own."""
    if tuple(submodels.cnn.input_shape[1:]) != run.picture:
        raise ExportError(f"run.json says {run.picture} for a slice, the model takes {submodels.cnn.input_shape[1:]}")
    named, channels = len(run.scoring.findings), submodels.sequence.output_shape[-1]
    if channels != named:
        raise ExportError(f"run.json names {named} findings, the model has {channels} outputs")


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
