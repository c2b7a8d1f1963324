"""``hemo-batch export``: a training run, or an older model file, becomes a sealed bundle that workers load."""

from __future__ import annotations

import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from hemo_cli.console import err, out, plain, print_fields, print_json
from hemo_cli.import_options import import_options, stated
from hemo_cli.options import folder_option, json_option
from hemo_core.errors import UsageError
from hemo_core.extras import need_extra

if TYPE_CHECKING:
    from hemo_core.bundle import Bundle
    from hemo_export.gates import GateResult

_STYLES = {"passed": "green", "failed": "bold red", "not run": "yellow"}
_REPORTED = ("parity", "gates", "variants")


@click.command()
@click.argument("run", required=False, type=click.Path(path_type=Path, exists=True, file_okay=False))
@folder_option("Folder that bundles lie in; the new one is OUT/NAME-VERSION.", Path("bundles"))
@click.option("--version", "release", default="0.1.0", show_default=True, help="Semantic version of the bundle.")
@click.option("--name", help="Name of the bundle. [default: the run's, or the file's]")
@import_options
@json_option
def export(
    run: Path | None, source: Path | None, folder: Path, release: str, name: str | None, as_json: bool, **assumed: Any
) -> None:
    """Export the training run RUN, or the Keras model file named by --from, as a sealed bundle.

    The bundle appears only when every gate has passed: valid graphs, the same numbers, labels and heat maps as the
    Keras model. A smaller precision that fails its own gates is left out. What failed is kept in
    OUT/NAME-VERSION.failed with a script for each failure. Needs the extra [export].
    """
    origins = [path for path in (run, source) if path is not None]
    if len(origins) != 1:
        raise UsageError("give either a training run's folder or --from FILE")
    if source is None and stated(assumed):
        raise UsageError("a training run tells its own input and threshold", hint="those options go with --from")
    need_extra("export")
    from hemo_export.legacy.make_run import Assumptions, make_run
    from hemo_export.package import export_run

    with tempfile.TemporaryDirectory(prefix="hemo-import-") as scratch:
        ready = origins[0]
        if source is not None:
            ready = make_run(source, Path(scratch), name=name, assumed=Assumptions(**stated(assumed)))
        made = export_run(ready, folder, version=release, name=name, listener=_Progress())
    facts = {"path": str(made.path), "name": made.name, "version": made.version, "digest": made.digest}
    if as_json:
        print_json({**facts, **{key: made.content.get(key) for key in _REPORTED}})
        return
    _print_table(made)
    print_fields("exported: ONNX answers as Keras does", facts)


class _Progress:
    """One line on standard error for each step and each gate."""

    def __init__(self) -> None:
        self._console = err()
        self._began = time.monotonic()

    def step(self, text: str) -> None:
        """Something begins."""
        self._console.print(f"[dim]{time.monotonic() - self._began:5.1f} s[/] {plain(text)}")

    def gate(self, precision: str, result: GateResult) -> None:
        """A gate finished."""
        verdict = f"[{_STYLES[result.verdict]}]{result.verdict:<7}[/]"
        self._console.print(f"{'':7} {verdict} {plain(precision)} {plain(result.name)}: {plain(result.in_words())}")

    def left_out(self, precision: str, reason: str, left: str) -> None:
        """A precision is not released."""
        self._console.print(f"{'':7} [yellow]left out[/] {plain(precision)}: {plain(reason)}")
        if left:
            self._console.print(f"{'':16} [dim]to see it again: {plain(left)}[/]")


def _print_table(made: Bundle) -> None:
    from rich.table import Table

    from hemo_export.table import COLUMNS, rows

    table = Table(box=None, pad_edge=False)
    for index, column in enumerate(COLUMNS):
        table.add_column(column, justify="left" if not index else "right")
    for row in rows(made.content):
        table.add_row(*(plain(cell) for cell in row))
    out().print(table)
