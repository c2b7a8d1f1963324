"""Which precisions a bundle is released in: fp32 only with every gate passed, the others only where they follow it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeAlias

from hemo_core.bundle import CNN, Bundle, seal
from hemo_core.bundle.manifest import Precision, Variant
from hemo_core.errors import ExportError, GatesFailed
from hemo_core.records import encode
from hemo_export.gates import FP32_GATES, VARIANT_GATES, Gate, GateContext, GateResult, failures, run_gates
from hemo_export.gates.failure_folder import keep_failure
from hemo_export.listener import Listener
from hemo_export.metadata import expected_metadata, write_metadata
from hemo_export.parity.task_scans import calibration_pixels
from hemo_export.variants.build import HALF_CNN, INT8_CNN, make_variants
from hemo_export.variants.speed import time_precisions

Results: TypeAlias = tuple[GateResult, ...]
Entries: TypeAlias = dict[Precision, Variant]


def judge_fp32(context: GateContext, failed: Path, listener: Listener) -> Results:
    """Run all gates of fp32.

    Args:
        context: see :func:`hemo_export.package.gate_context`.
        failed: where to leave the graphs and a script for each failure.
        listener: is told.

    Raises:
        GatesFailed: names all that failed.
    """
    results = _run(FP32_GATES, context, listener)
    broken = failures(results)
    if broken:
        scripts = keep_failure(failed, context.bundle.path, {"fp32": results})
        raise GatesFailed(
            f"{len(broken)} of {len(results)} gates failed: {in_words(broken)}",
            path=str(failed),
            hint=f"run to see a failure again: {', '.join(script.name for script in scripts)}",
        )
    return results


def release_variants(
    context: GateContext, manifest: Mapping[str, Any], fp32: Results, failed: Path, listener: Listener
) -> Entries:
    """Make the smaller precisions and keep those that pass.

    Args:
        context: of fp32, which has passed.
        manifest: of the bundle so far.
        fp32: the results of fp32's gates.
        failed: where to leave what failed.
        listener: is told.

    Returns:
        ``variants`` of ``bundle.json``. Files of a precision that is not released are gone from the folder.
    """
    folder = context.bundle.path
    listener.step("make the smaller precisions")
    entries = _make(context)
    entries["fp32"] = replace(entries["fp32"], gates=recorded(fp32))
    made: list[Precision] = [name for name, entry in entries.items() if entry.released and name != "fp32"]
    if made:
        bundle = seal(folder, {**manifest, "variants": encode(entries)})
        ours = replace(context, bundle=bundle, reference=context.subject)
        judged = {name: _judge(replace(ours, precision=name), listener) for name in made}
        for precision, results in judged.items():
            reason = in_words(failures(results))
            entry = entries[precision]
            entries[precision] = replace(entry, released=not reason, reason=reason, gates=recorded(results))
        if any(failures(results) for results in judged.values()):
            keep_failure(failed, folder, judged)
    for name, entry in entries.items():
        if not entry.released:
            (folder / entry.cnn).unlink(missing_ok=True)
            listener.left_out(name, entry.reason, str(failed) if failed.is_dir() else "")
    return entries


def measured(bundle: Bundle, entries: Entries) -> Entries:
    """``entries`` with a benchmark of each released precision, all measured in turns."""
    released = [precision for precision, entry in entries.items() if entry.released]
    found = time_precisions(bundle, released)
    return {
        precision: replace(entry, benchmark=found[precision]) if precision in found else entry
        for precision, entry in entries.items()
    }


def recorded(results: Results) -> dict[str, Any]:
    """What ``bundle.json`` says of them, by gate."""
    return {result.name: result.to_json() for result in results}


def in_words(results: Results) -> str:
    """One line; gates with one and the same failing are named together."""
    gates: dict[str, list[str]] = {}
    for result in results:
        gates.setdefault(result.in_words(), []).append(result.name)
    return "; ".join(f"{', '.join(names)}: {words}" for words, names in gates.items())


def _judge(context: GateContext, listener: Listener) -> Results:
    listener.step(f"check {context.precision} against fp32")
    return _run(VARIANT_GATES, context, listener)


def _run(gates: tuple[Gate, ...], context: GateContext, listener: Listener) -> Results:
    return run_gates(gates, context, lambda result: listener.gate(context.precision, result))


def _make(context: GateContext) -> Entries:
    """All precisions, each graph named as its model is; or fp32 and why there is no other."""
    folder = context.bundle.path
    try:
        made = make_variants(folder, calibration_pixels(context.run))
    except ExportError as error:
        left_out = Variant(released=False, reason=f"cannot be made: {error}")
        return {
            "fp32": Variant(released=True, cnn=CNN),
            "fp16": replace(left_out, cnn=HALF_CNN),
            "int8": replace(left_out, cnn=INT8_CNN),
        }
    for name, variant in list(made.items())[1:]:
        metadata = expected_metadata(context.run, context.bundle.name, context.bundle.version, name)
        write_metadata(folder / variant.cnn, metadata)
    return made
