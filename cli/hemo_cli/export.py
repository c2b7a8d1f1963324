"""``hemo-batch export``: a training run becomes a sealed bundle that workers load."""

from __future__ import annotations

from pathlib import Path

import click

from hemo_cli.console import print_fields, print_json
from hemo_cli.extras import need_extra
from hemo_cli.options import json_option


@click.command()
@click.argument("run", type=click.Path(path_type=Path, exists=True, file_okay=False))
@click.option(
    "--out",
    type=click.Path(path_type=Path, file_okay=False),
    default=Path("bundles"),
    show_default=True,
    help="Folder that bundles lie in; the new one is OUT/NAME-VERSION.",
)
@click.option("--version", "release", default="0.1.0", show_default=True, help="Semantic version of the bundle.")
@click.option("--name", help="Name of the bundle. [default: the run's]")
@json_option
def export(run: Path, out: Path, release: str, name: str | None, as_json: bool) -> None:
    """Export the training run RUN as a sealed bundle.

    The bundle appears only when every check has passed. Needs the extra [export].
    """
    need_extra("export")
    from hemo_export.package import export_run

    made = export_run(run, out, version=release, name=name)
    facts = {"path": str(made.path), "name": made.name, "version": made.version, "digest": made.digest}
    if as_json:
        print_json({**facts, "parity": made.manifest.get("parity")})
        return
    print_fields("exported: ONNX and Keras agree", facts)
