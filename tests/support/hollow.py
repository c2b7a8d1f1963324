"""A bundle with no model in it: enough for everything that looks at seals and signatures, made in milliseconds."""

from __future__ import annotations

import hashlib
import json
import zipfile
from pathlib import Path
from typing import Any

from findings import one_finding

from hemo_core.bundle import CNN, HEAD, MANIFEST, MODEL, SEQUENCE, Bundle, canonical, seal
from hemo_core.bundle.contract import InputContract
from hemo_core.bundle.manifest import seal_of
from hemo_core.records import encode


def write_hollow(folder: Path, **changes: Any) -> Bundle:
    """Seal a folder whose graphs are a few bytes and whose Keras files name one layer."""
    folder.mkdir(parents=True)
    for name in (CNN, SEQUENCE):
        (folder / name).write_bytes(f"this would be {name}".encode())
    for name in (HEAD, MODEL):
        write_keras(folder / name, {"class_name": "Dense", "module": "keras.layers"})
    (folder / "MODEL_CARD.md").write_text("# hollow\n", "utf-8")
    (folder / "evidence").mkdir()
    (folder / "evidence" / "metrics.json").write_text("{}\n", "utf-8")
    manifest = {
        "name": "hollow",
        "version": "1.0.0",
        "input": encode(InputContract()),
        "scoring": encode(one_finding()),
        "explain": {"method": "grad-cam", "path": "pooled"},
    }
    return seal(folder, {**manifest, **changes})


def write_keras(path: Path, *layers: dict[str, Any]) -> None:
    """A ``.keras`` file as far as looking into it goes."""
    with zipfile.ZipFile(path, "w") as archive:
        config = {"class_name": "Functional", "module": "keras", "config": {"layers": list(layers)}}
        archive.writestr("config.json", json.dumps(config))


def reseal(folder: Path, **changes: Any) -> None:
    """Change the manifest and seal it again, as anybody could."""
    manifest = {**json.loads((folder / MANIFEST).read_text("utf-8")), **changes}
    (folder / MANIFEST).write_bytes(canonical({**manifest, "seal": seal_of(manifest)}))


def reseal_files(folder: Path) -> None:
    """Seal what lies in the folder now, without looking at it as :func:`hemo_core.bundle.seal` does."""
    files = {
        str(path.relative_to(folder)): {
            "sha256": hashlib.sha256(path.read_bytes()).hexdigest(),
            "bytes": path.stat().st_size,
        }
        for path in folder.rglob("*")
        if path.is_file() and path.name != MANIFEST
    }
    reseal(folder, files=files)


def flip(path: Path, position: int, bit: int = 0) -> None:
    """Alter one bit of a file."""
    data = bytearray(path.read_bytes())
    data[position] ^= 1 << bit
    path.write_bytes(data)
