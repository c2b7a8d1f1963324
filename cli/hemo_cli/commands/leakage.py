"""``hemo-batch leakage``: what a split by slice instead of by patient does to a score."""

from __future__ import annotations

from pathlib import Path

import click

from hemo_cli.console import interval_text, print_fields, print_json
from hemo_cli.options import cache_option, config_option, json_option
from hemo_core.extras import need_extra


@click.command()
@config_option
@click.option(
    "--out",
    type=click.Path(path_type=Path, file_okay=False),
    default=Path("runs/leakage"),
    show_default=True,
    help="Folder for the figures and the plot.",
)
@click.option("--folds", type=click.IntRange(min=3), default=3, show_default=True, help="Folds of either kind.")
@cache_option
@json_option
def leakage(config: Path, out: Path, folds: int, cache: Path | None, as_json: bool) -> None:
    """Score one configuration under a random split of slices and under a split by patient."""
    need_extra("train")
    from hemo_trainer.runs.leakage import study

    found = study(config, out, cache=cache or out / "cache", folds=folds)
    if as_json:
        print_json(found)
        return
    rows = {f"{kind}, {name}": interval_text(one[name]) for kind, one in found.items() for name in ("auc", "accuracy")}
    print_fields("the same network, two ways to split", {**rows, "plot": out / "leakage.png"})
