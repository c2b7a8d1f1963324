"""``hemo-batch bundle diff``: two bundles side by side."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from hemo_cli.console import out, plain, print_json
from hemo_cli.options import json_option, rows_option
from hemo_core.records import encode

if TYPE_CHECKING:
    from hemo_core.bundle.comparison import BundleComparison, Change, Figure, GraphChange

_LONGEST = 48
_SHORT = 12


@click.command()
@click.argument("before", metavar="A", type=click.Path(path_type=Path))
@click.argument("after", metavar="B", type=click.Path(path_type=Path))
@rows_option
@json_option
def diff(before: Path, after: Path, rows: int, as_json: bool) -> None:
    """What changed from bundle A to bundle B: contract, weights, figures, files, libraries, training data.

    Exit code 0 whether or not they differ, 4 if one of them is refused.
    """
    from hemo_core.bundle import open_bundle
    from hemo_core.bundle.comparison import compare_bundles

    found = compare_bundles(open_bundle(before), open_bundle(after))
    if as_json:
        print_json(encode(found))
        return
    _show(found, rows)


def _show(found: BundleComparison, rows: int) -> None:
    console = out()
    for mark, bundle in (("A", found.before), ("B", found.after)):
        signed = f", signed by {bundle['signature_key'][:_SHORT]}…" if bundle["signature_key"] else ", not signed"
        identity = f"{bundle['name']} {bundle['version']}, digest {bundle['digest'][:_SHORT]}…{signed}"
        console.print(f"[bold]{mark}[/] {plain(identity)}", soft_wrap=True)
    if found.before["digest"] == found.after["digest"]:
        console.print("the same bundle, byte for byte")
        return
    _table("contract", ("", "A", "B"), _rows(found.contract))
    columns = ("graph", "arrays", "numbers changed", "of", "relative change")
    _table("weights", columns, _weights(found.graphs), numbers=True)
    for graph in found.graphs:
        _show_graph(graph, rows)
    _table("figures", ("", "A", "B"), _figures(found))
    if not found.same_data:
        console.print("[yellow]the data or its split is another one: figures are not of the same scans[/]")
    _table("files", ("", "A", "B"), [(change.key, _size(change.before), _size(change.after)) for change in found.files])
    for title in ("variants", "libraries", "training", "other"):
        _table(title, ("", "A", "B"), _rows(getattr(found, title)))


def _show_graph(graph: GraphChange, rows: int) -> None:
    weights = graph.weights
    if weights is None:
        return
    columns = ("array", "shape", "changed", "largest", "relative change")
    lines = [
        (
            change.name,
            "×".join(map(str, change.shape)),
            f"{change.changed:,} of {change.count:,}",
            f"{change.largest:.3g}",
            _percent(change.relative_norm),
        )
        for change in weights.differing[:rows]
    ]
    title = f"{graph.file}: the {len(lines)} arrays farthest apart, of {len(weights.differing)} that differ"
    _table(title, columns, lines, numbers=True)
    for word, names in (("only in A", weights.removed), ("only in B", weights.added)):
        if names:
            out().print(f"{plain(graph.file)}, {word}: {plain(', '.join(names[:rows]))}")


def _weights(graphs: Sequence[GraphChange]) -> list[tuple[str, ...]]:
    return [
        (graph.file, graph.note, "", "", "")
        if graph.weights is None
        else (
            graph.file,
            str(graph.weights.tensors),
            f"{graph.weights.changed:,}",
            f"{graph.weights.count:,}",
            _percent(graph.weights.relative_norm),
        )
        for graph in graphs
    ]


def _figures(found: BundleComparison) -> list[tuple[str, ...]]:
    """Those with an interval, and those that changed; counts in tables are for ``--json``."""
    return [
        (figure.key, _figure(figure.before), _figure(figure.after)) for figure in found.metrics if _is_telling(figure)
    ]


def _is_telling(figure: Figure) -> bool:
    sides = (figure.before, figure.after)
    if any(isinstance(side, list) for side in sides):
        return False
    return figure.changed or any(isinstance(side, dict) for side in sides)


def _figure(value: Any) -> str:
    if isinstance(value, dict):
        ends = [value.get(end) for end in ("low", "high")]
        interval = "" if None in ends else f" [{_number(ends[0])}–{_number(ends[1])}]"
        return f"{_number(value['value'])}{interval}"
    return _number(value)


def _number(value: Any) -> str:
    if value is None:
        return "–"
    return f"{value:.4f}" if isinstance(value, float) else str(value)


def _rows(changes: Sequence[Change]) -> list[tuple[str, ...]]:
    return [(change.key, _brief(change.before), _brief(change.after)) for change in changes]


def _brief(value: Any) -> str:
    if value is None:
        return "–"
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]}…"


def _size(entry: Any) -> str:
    return "–" if entry is None else f"{entry['bytes']:,} bytes, {entry['sha256'][:_SHORT]}…"


def _percent(ratio: float | None) -> str:
    return "from zero" if ratio is None else f"{ratio:.3%}"


def _table(title: str, columns: tuple[str, ...], rows: Sequence[tuple[str, ...]], *, numbers: bool = False) -> None:
    from rich.table import Table

    if not rows:
        return
    table = Table(title=plain(title), title_justify="left", box=None, pad_edge=False, header_style="bold")
    for column in columns:
        table.add_column(column, justify="right" if numbers and table.columns else "left", overflow="fold")
    for row in rows:
        table.add_row(*map(plain, row))
    out().print(table)
