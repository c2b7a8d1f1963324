"""``hemo-batch crossval``: every patient predicted by a model that never saw that patient."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from hemo_cli.console import interval_text, print_fields, print_json
from hemo_cli.options import cache_option, config_option, jobs_option, json_option, pretrained_option
from hemo_core.extras import need_extra

_SIDES = {"train,val": ("train", "val"), "all": ("train", "val", "test")}


@click.command()
@config_option
@click.option("--out", type=click.Path(path_type=Path, file_okay=False), help="Folder. [default: runs/NAME-crossval]")
@click.option("--folds", type=click.IntRange(min=3), default=5, show_default=True, help="How many models are fitted.")
@click.option(
    "--sides",
    type=click.Choice(list(_SIDES)),
    default="train,val",
    show_default=True,
    help="Whose patients are dealt out. Choose a configuration without the test patients; `all` is for the last run.",
)
@jobs_option
@click.option("--ablate", is_flag=True, help="Also score the CNN alone, LSTM, GRU, both, and both on shuffled slices.")
@pretrained_option
@cache_option
@json_option
def crossval(
    config: Path,
    out: Path | None,
    folds: int,
    sides: str,
    jobs: int,
    ablate: bool,
    pretrained: Path | None,
    cache: Path | None,
    as_json: bool,
) -> None:
    """Cross-validate a configuration by patient. A run that was stopped goes on with the folds that are missing."""
    need_extra("train")
    from hemo_trainer.runs.crossval import cross_validate
    from hemo_trainer.runs.out_of_fold import summarise

    folder = out or Path("runs") / f"{config.stem}-crossval"
    slices = cache or folder / "cache"
    cross_validate(
        config,
        folder,
        cache=slices,
        folds=folds,
        sides=_SIDES[sides],  # type: ignore[arg-type]
        jobs=jobs,
        ablate=ablate,
        pretrained=pretrained,
    )
    found = summarise(config, folder, cache=slices)
    if as_json:
        print_json(found)
        return
    print_fields(f"{folds} folds, AUC out of fold", {"folder": folder, **_lines(found)})


def _lines(found: dict[str, Any]) -> dict[str, str]:
    """A line for each figure and for each difference."""
    rows: dict[str, str] = {}
    for where, kinds in found["figures"].items():
        rows |= {f"{where}, {kind}": interval_text(figure) for kind, figure in kinds.items()}
        rows |= {f"{where}, {kind}": interval_text(one) for kind, one in found["differences"][where].items()}
    return rows
