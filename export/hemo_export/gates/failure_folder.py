"""What a failed export leaves behind: the graphs, and for each failed gate a script that shows the failure again."""

from __future__ import annotations

import json
import shutil
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from hemo_core.bundle import MANIFEST, Bundle, seal
from hemo_core.bundle.manifest import Precision
from hemo_export.gates.base import GateResult, Reproduction

RESULTS, UNSEALED = "gates.json", "unsealed.json"


@dataclass(frozen=True, slots=True)
class FailureFiles:
    """What a script finds beside itself.

    Attributes:
        folder: the script's own.
        name: of the failed gate, as the file's.
        facts: see :class:`hemo_export.gates.base.Reproduction`.
        arrays: the same.
    """

    folder: Path
    name: str
    facts: dict[str, Any]
    arrays: dict[str, npt.NDArray[Any]]


def keep_failure(folder: Path, built: Path, results: Mapping[Precision, Sequence[GateResult]]) -> tuple[Path, ...]:
    """Keep what is needed to look into failed gates.

    The folder can never be taken for a bundle (its manifest has another name), and git ignores it, for it may hold
    pixels of validation scans.

    Args:
        folder: the new folder.
        built: the bundle that failed.
        results: all results, by precision.

    Returns:
        The scripts.
    """
    discard_failure(folder)
    shutil.copytree(built, folder)
    (folder / MANIFEST).rename(folder / UNSEALED)
    (folder / ".gitignore").write_text("*\n", "utf-8")
    found_by_precision = {
        precision: {each.name: each.to_json() for each in found} for precision, found in results.items()
    }
    (folder / RESULTS).write_text(json.dumps(found_by_precision, indent=2, ensure_ascii=False) + "\n", "utf-8")
    return tuple(
        _write(folder, precision, each.name, each.reproduce)
        for precision, found in results.items()
        for each in found
        if each.reproduce is not None
    )


def discard_failure(folder: Path) -> None:
    """Remove what an earlier export left; a folder that is none of ours stays."""
    if (folder / RESULTS).is_file():
        shutil.rmtree(folder)


def failure_files(script: str) -> FailureFiles:
    """What was left beside ``repro_<name>.py``.

    Args:
        script: the script's ``__file__``.
    """
    path = Path(script).resolve()
    name = path.stem.removeprefix("repro_")
    facts = json.loads((path.parent / f"{name}.json").read_text("utf-8"))
    arrays_file = path.parent / f"{name}.npz"
    arrays = dict(np.load(arrays_file, allow_pickle=False)) if arrays_file.is_file() else {}
    return FailureFiles(path.parent, name, facts, arrays)


@contextmanager
def failed_bundle(folder: Path) -> Iterator[Bundle]:
    """The failed bundle, sealed again in a temporary place, as the gates met it."""
    manifest = json.loads((folder / UNSEALED).read_text("utf-8"))
    with tempfile.TemporaryDirectory(prefix="hemo-failed-") as scratch:
        for name in manifest["files"]:
            (Path(scratch) / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(folder / name, Path(scratch) / name)
        yield seal(Path(scratch), manifest)


def _write(folder: Path, precision: str, gate: str, again: Reproduction) -> Path:
    """Script, facts and arrays of one failed gate."""
    name = f"{precision}_{gate.lower().replace(' ', '_')}"
    script = folder / f"repro_{name}.py"
    source = resources.files("hemo_export.gates").joinpath("scripts", again.script)
    script.write_text(source.read_text("utf-8"), "utf-8")
    (folder / f"{name}.json").write_text(json.dumps(dict(again.facts), indent=2) + "\n", "utf-8")
    if again.arrays:
        np.savez_compressed(folder / f"{name}.npz", **again.arrays)  # type: ignore[arg-type]
    return script
