"""The result of an export as a table: one row for each precision, the same in the terminal and on the page."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from hemo_core.bundle.manifest import PRECISIONS
from hemo_export.variants.speed import BATCHES

COLUMNS = (
    "precision",
    "released",
    "MB",
    "parity",
    "ΔAUC",
    "flips",
    *(f"ms/slice, batch {batch}" for batch in BATCHES),
    "memory MiB",
)
_ABSENT = "–"


def rows(manifest: Mapping[str, Any]) -> tuple[tuple[str, ...], ...]:
    """Rows under :data:`COLUMNS`, from ``bundle.json``.

    Parity is fp32's largest difference of a logit from Keras, and the others' largest difference of a probability from
    fp32. ΔAUC is the lower of scans' and slices'; flips are of scans + slices.
    """
    entries = manifest["variants"]
    return tuple(_row(precision, entries[precision], manifest) for precision in PRECISIONS if precision in entries)


def _row(precision: str, entry: Mapping[str, Any], manifest: Mapping[str, Any]) -> tuple[str, ...]:
    task = entry.get("gates", {}).get("task parity", {})
    speed = entry.get("benchmark") or {}
    milliseconds = speed.get("ms_per_slice", {})
    return (
        precision,
        "yes" if entry["released"] else "no",
        _size(entry, manifest.get("files", {})),
        _parity(precision, task, manifest),
        _delta_auc(task),
        f"{task['flipped_scans']}+{task['flipped_slices']}" if "flipped_scans" in task else _ABSENT,
        *(f"{milliseconds[str(batch)]:.2f}" if str(batch) in milliseconds else _ABSENT for batch in BATCHES),
        str(speed.get("peak_mebibytes", _ABSENT)),
    )


def _size(entry: Mapping[str, Any], files: Mapping[str, Any]) -> str:
    """Both graphs, in megabytes."""
    if not {entry["cnn"], entry["sequence"]} <= files.keys():
        return _ABSENT
    return f"{(files[entry['cnn']]['bytes'] + files[entry['sequence']]['bytes']) / 1e6:.2f}"


def _parity(precision: str, task: Mapping[str, Any], manifest: Mapping[str, Any]) -> str:
    if precision == "fp32":
        return f"{manifest['parity']['max_abs_logit_difference']:.1e} (logit)"
    return f"{task['largest_delta_p']:.1e} (p)" if "largest_delta_p" in task else _ABSENT


def _delta_auc(task: Mapping[str, Any]) -> str:
    known = [task[key] for key in ("delta_auc_scans", "delta_auc_slices") if task.get(key) is not None]
    return f"{min(known):+.4f}" if known else _ABSENT
