"""``hemo-batch learning-curve``: what more training patients are worth."""

from __future__ import annotations

from pathlib import Path

import click

from hemo_cli.console import interval_text, print_fields, print_json
from hemo_cli.options import cache_option, config_option, jobs_option, json_option, pretrained_option
from hemo_core.extras import need_extra


@click.command("learning-curve")
@config_option
@click.option(
    "--out",
    type=click.Path(path_type=Path, file_okay=False),
    default=Path("runs/learning-curve"),
    show_default=True,
    help="Folder for the folds, the figures and the plot.",
)
@click.option(
    "--share",
    "shares",
    type=click.FloatRange(0, 1, min_open=True),
    multiple=True,
    default=(0.25, 0.5, 1.0),
    show_default=True,
    help="Of the patients that a fold may train on; may be repeated.",
)
@click.option("--folds", type=click.IntRange(min=3), default=3, show_default=True, help="Models for each share.")
@jobs_option
@pretrained_option
@cache_option
@json_option
def learning_curve(
    config: Path,
    out: Path,
    shares: tuple[float, ...],
    folds: int,
    jobs: int,
    pretrained: Path | None,
    cache: Path | None,
    as_json: bool,
) -> None:
    """Cross-validate a configuration with ever more of its patients. Never uses the test side."""
    need_extra("train")
    from hemo_trainer.runs.learning_curve import learning_curve as measure

    points = measure(
        config, out, cache=cache or out / "cache", folds=folds, jobs=jobs, shares=shares, pretrained=pretrained
    )
    if as_json:
        print_json(points)
        return
    rows = {
        f"{point['patients']} patients, {where}": interval_text(one)
        for point in points
        for where, one in point["figures"].items()
    }
    print_fields("AUC out of fold", {**rows, "plot": out / "learning_curve.png"})
