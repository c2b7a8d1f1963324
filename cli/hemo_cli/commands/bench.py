"""``hemo-batch bench``: how fast this machine is, against its own ceiling and against the textbook."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from hemo_cli.console import err, out, print_json
from hemo_cli.options import bundle_option, device_option, json_option
from hemo_core.extras import need_extra

if TYPE_CHECKING:
    from collections.abc import Mapping

    from hemo_core.bundle import Bundle
    from hemo_core.bundle.manifest import Precision
    from hemo_core.inference.session import Device
    from hemo_worker.benchmark import Benchmark

_NAMES = {
    "worker": "worker, files to reports",
    "cnn": "its CNN alone (ceiling)",
    "textbook": "textbook, a picture at a time",
}


@click.command()
@click.argument("scans", required=False, type=click.Path(path_type=Path, exists=True))
@click.option("--phantoms", type=click.IntRange(1, 200), default=8, show_default=True, help="Without SCANS: so many.")
@click.option("--rounds", type=click.IntRange(1, 50), default=3, show_default=True, help="Times each way is timed.")
@click.option(
    "--precision",
    "precisions",
    multiple=True,
    type=click.Choice(["fp32", "fp16", "int8"]),
    help="Time these precisions of the model in turns, and nothing else. May be repeated.",
)
@bundle_option
@device_option
@json_option
def bench(
    scans: Path | None,
    phantoms: int,
    rounds: int,
    precisions: tuple[Precision, ...],
    bundle: Path | None,
    device: Device,
    as_json: bool,
) -> None:
    """Measure how fast this machine scores.

    Times the worker on SCANS (default: synthetic ones) in turns with its CNN alone and with the textbook way.

    The worker reads files and writes reports and overlays; the other two begin with slices already prepared. Worker
    and textbook explain the same positive slices. With --precision, only the model's own speed and memory.
    """
    need_extra("worker")
    from hemo_core.processes import few_threads, keep_freed_memory

    few_threads()  # as in a worker's child, before the libraries that read it are imported
    keep_freed_memory()
    from hemo_core.bundle import open_bundle, released_bundle
    from hemo_core.phantoms.demo import write_heads
    from hemo_worker.benchmark import benchmark

    opened = open_bundle(bundle or released_bundle())
    if precisions:
        chosen: Device = "cpu" if device == "auto" else device  # as the figures in a bundle were measured
        _bench_precisions(opened, precisions, chosen, as_json=as_json)
        return
    with tempfile.TemporaryDirectory(prefix="hemo-bench-") as scratch:
        folder = scans or Path(scratch) / "phantoms"
        if scans is None:
            err().print(f"[dim]drawing {phantoms} phantoms[/]")
            write_heads(folder, phantoms)
        found = benchmark(opened, folder, Path(scratch), device=device, rounds=rounds)
    if as_json:
        print_json(found.to_json())
        return
    _show(found)


def _bench_precisions(bundle: Bundle, precisions: tuple[Precision, ...], device: Device, *, as_json: bool) -> None:
    from hemo_export.variants.speed import time_precisions

    found = time_precisions(bundle, tuple(dict.fromkeys(precisions)), device=device)
    if as_json:
        print_json(
            {"bundle": {"name": bundle.name, "version": bundle.version, "digest": bundle.digest}, "precisions": found}
        )
        return
    _show_precisions(found)


def _show_precisions(found: Mapping[Precision, Mapping[str, Any]]) -> None:
    """A row each; the others' speed against the first one's."""
    from rich.table import Table

    base = next(iter(found.values()))
    title = f"ms a slice, picture to logit, {base['provider']}, {base['threads']} threads"
    table = Table(title=title, title_justify="left", box=None, pad_edge=False, header_style="bold")
    table.add_column("precision")
    for batch in base["ms_per_slice"]:
        table.add_column(f"batch {batch}", justify="right")
    table.add_column("MiB", justify="right")
    for precision, figures in found.items():
        times = (
            f"{spent:.2f} (×{base['ms_per_slice'][batch] / spent:.2f})"
            for batch, spent in figures["ms_per_slice"].items()
        )
        table.add_row(precision, *times, str(figures["peak_mebibytes"]))
    out().print(table)


def _show(found: Benchmark) -> None:
    from rich.table import Table

    title = (
        f"{found.scans} scans, {found.slices} slices, {found.explained} explained, {found.provider}, {found.precision}"
    )
    table = Table(title=title, title_justify="left", box=None, pad_edge=False, header_style="bold")
    table.add_column("way")
    for name in ("slices/s", "fastest s", "slowest s", "CPU ms/slice"):
        table.add_column(name, justify="right")
    for way, timing in found.ways.items():
        cpu = 1e3 * sum(timing.cpu_seconds) / len(timing.cpu_seconds) / found.slices
        spread = (f"{min(timing.seconds):.2f}", f"{max(timing.seconds):.2f}")
        table.add_row(_NAMES[way], f"{timing.slices_per_second:.1f}", *spread, f"{cpu:.1f}")
    out().print(table)
    stages = ", ".join(f"{stage} {spent:.1f}" for stage, spent in found.stage_ms.items())
    out().print(f"worker: {found.of_ceiling:.0%} of the ceiling, {found.times_textbook:.1f} times the textbook")
    out().print(f"CPU outside the CNN: {found.cpu_ms_outside_cnn:.1f} ms/slice; stages, ms/slice in threads: {stages}")
    if not found.explained:
        out().print("[yellow]no slice was positive: nothing was explained, so the ratios flatter no one[/]")
