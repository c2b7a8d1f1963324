"""``hemo-batch evaluate``: measure a bundle on labelled data and write the evidence."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import click

from hemo_cli.console import print_fields, print_json
from hemo_cli.kinds import OutputFolder
from hemo_cli.options import device_option, folder_option, json_option
from hemo_cli.settings import SETTINGS
from hemo_core.errors import NoInput
from hemo_core.extras import need_extra

if TYPE_CHECKING:
    from hemo_core.bundle.manifest import Precision
    from hemo_core.inference.session import Device
    from hemo_trainer.datasets.record import Split

_MOST_PRECISIONS = 2


@click.command()
@click.argument("paths", nargs=-1, required=True, metavar="[BUNDLE] DATA", type=click.Path(path_type=Path))
@click.option(
    "--side",
    type=click.Choice(["val", "test"]),
    help="Which patients. [default: test of a configuration, all of other data]",
)
@folder_option("Folder.", default_text="runs/evidence/…")
@click.option(
    "--cache",
    type=OutputFolder(),
    default=Path("runs/cache"),
    show_default=True,
    help="Where preprocessed slices are kept.",
)
@click.option(
    "--precision",
    "precisions",
    multiple=True,
    type=click.Choice(["fp32", "fp16", "int8"]),
    help="Graphs to run; give it twice to compare two. [default: fp32]",
)
@click.option(
    "--cases",
    type=click.IntRange(min=0),
    default=12,
    show_default=True,
    help="Misses and false alarms; 0: no pictures.",
)
@click.option("--heatmaps", is_flag=True, help="Also measure the heat maps. Slow.")
@click.option("--resamples", type=click.IntRange(min=100), default=2000, show_default=True, help="Of the bootstrap.")
@click.option("--seed", type=int, default=7, show_default=True, help="Of the bootstrap.")
@SETTINGS["bundle"].option(hidden=True)  # for HEMO_BUNDLE and hemo.toml; the command line has an argument
@device_option
@json_option
def evaluate(
    paths: tuple[Path, ...],
    side: str | None,
    folder: Path | None,
    cache: Path,
    precisions: tuple[str, ...],
    cases: int,
    heatmaps: bool,
    resamples: int,
    seed: int,
    bundle: Path | None,
    device: Device,
    as_json: bool,
) -> None:
    """Measure a bundle on labelled data and write a report.

    DATA is a training configuration (TOML), a folder in one of the known layouts, or a CSV table of slices. Without
    BUNDLE, HEMO_BUNDLE or the one that came along is measured. It refuses data that the bundle was trained on.

    The report, evidence.html with .json and .md, shows pictures of the slices that the model got wrong: keep it where
    the data may be.
    """
    if len(paths) > 2:  # noqa: PLR2004
        raise click.UsageError("give a bundle and the data, or the data alone")
    if len(set(precisions)) != len(precisions) or len(precisions) > _MOST_PRECISIONS:
        raise click.UsageError("--precision is given once, or twice with two different ones")
    data = paths[-1]
    if not data.exists():
        raise NoInput("nothing is at this path", path=str(data))
    need_extra("train")
    need_extra("worker")
    from hemo_core.bundle import released_bundle
    from hemo_trainer.evaluation.run import Plan
    from hemo_trainer.evaluation.run import evaluate as measure
    from hemo_trainer.figures.intervals import Resampling

    measured = paths[0] if len(paths) > 1 else bundle or released_bundle()
    plan = Plan(
        side=cast("Split | None", side),
        device=device,
        precisions=cast("tuple[Precision, ...]", precisions) or ("fp32",),
        resampling=Resampling(resamples, seed),
        cases=cases,
        heatmaps=heatmaps,
        command=_command(measured, data, side, precisions, resamples, seed),
    )
    report = measure(measured, data, folder or _folder(measured, data, side), cache=cache, plan=plan)
    if as_json:
        print_json({"report": str(report.page), "evidence": report.evidence})
        return
    print_fields(report.evidence["about"]["title"], {**_figures(report.evidence), "report": report.page})


def _folder(bundle: Path, data: Path, side: str | None) -> Path:
    """Where the report goes if nobody says."""
    name = "-".join(filter(None, (bundle.stem if bundle.is_file() else bundle.name, data.stem, side)))
    return Path("runs") / "evidence" / name


def _command(bundle: Path, data: Path, side: str | None, precisions: tuple[str, ...], resamples: int, seed: int) -> str:
    """What measures the same again, spelt out."""
    words = ["hemo-batch", "evaluate", str(bundle), str(data)]
    words += ["--side", side] if side else []
    words += [word for one in precisions for word in ("--precision", one)]
    return shlex.join([*words, "--resamples", str(resamples), "--seed", str(seed)])


def _figures(evidence: Mapping[str, Any]) -> dict[str, str]:
    """A line a source and unit."""
    rows = {"run by": f"{evidence['about']['provider']}, {evidence['about']['precision']}"}
    for group in evidence["groups"]:
        for unit in ("exam", "slice"):
            if group[unit] is not None:
                rows[f"{group['name']}, {unit}s"] = _line(group[unit])
    return rows


def _line(figures: Mapping[str, Any]) -> str:
    auc = figures["auc"]
    counts = f"{figures['count']} of {figures['patients']} patients, {figures['positive']} positive"
    if auc is None:
        return f"{counts}: one class only, no AUC"
    return f"{counts}: AUC {auc['value']:.3f} [{auc['low']:.3f}–{auc['high']:.3f}]"
