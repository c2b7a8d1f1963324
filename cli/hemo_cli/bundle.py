"""``hemo-batch bundle``: look at, check and pack model bundles."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from hemo_cli.console import print_fields, print_json
from hemo_cli.options import bundle_argument, json_option

if TYPE_CHECKING:
    from hemo_core.bundle import Bundle


@click.group()
def bundle() -> None:
    """Look at, check and pack model bundles."""


@bundle.command()
@bundle_argument
@json_option
def show(path: Path | None, as_json: bool) -> None:
    """What a bundle is: labels, input, threshold, metrics, licence. Default: the one that came along."""
    opened = _open(path)
    if as_json:
        print_json({"path": str(opened.path), "digest": opened.digest, **opened.manifest})
        return
    print_fields(f"{opened.name} {opened.version}", _facts(opened))


@bundle.command()
@bundle_argument
@json_option
def verify(path: Path | None, as_json: bool) -> None:
    """Check the digest of every file; exit code 4 if anything was altered."""
    opened = _open(path)
    facts = {"name": opened.name, "version": opened.version, "digest": opened.digest, "path": str(opened.path)}
    if as_json:
        print_json({"verified": True, "files": len(opened.manifest["files"]), **facts})
        return
    print_fields(f"verified: {len(opened.manifest['files'])} files are what was sealed", facts)


@bundle.command()
@click.argument("path", type=click.Path(path_type=Path, exists=True, file_okay=False))
@click.argument("out", type=click.Path(path_type=Path, dir_okay=False))
@json_option
def pack(path: Path, out: Path, as_json: bool) -> None:
    """Pack the bundle folder PATH into the single file OUT (.hemo)."""
    from hemo_core.bundle import open_bundle
    from hemo_core.bundle_zip import pack as pack_bundle

    written = pack_bundle(open_bundle(path), out)
    if as_json:
        print_json({"path": str(written)})
        return
    print_fields("packed", {"file": written})


def _open(path: Path | None) -> Bundle:
    from hemo_core.bundle import open_bundle, released_bundle

    return open_bundle(path or released_bundle())


def _facts(opened: Bundle) -> dict[str, Any]:
    windows = ", ".join(f"level {window.level:g} width {window.width:g}" for window in opened.input.windows)
    return {
        "path": opened.path,
        "digest": opened.digest,
        "labels": ", ".join(opened.scoring.labels),
        "input": f"{opened.input.height}×{opened.input.width}, {windows} HU",
        "threshold": f"{opened.scoring.threshold:.4f} (calibrated probability)",
        "calibration": f"temperature {opened.scoring.temperature:.4f}",
        "grad-cam": opened.manifest["explain"]["path"],
        "licence": opened.manifest.get("licence", "not stated"),
        "made from": opened.manifest.get("git_commit") or "unknown commit",
    }
