"""``hemo-batch train``, ``crossval``, ``learning-curve``, ``leakage``: a model of your own, and how far to trust it.

Each takes a configuration and fills a folder; the work is in :mod:`hemo_trainer.runs`.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from hemo_cli.console import interval_text, print_fields, print_json
from hemo_cli.kinds import OutputFolder
from hemo_cli.options import folder_option, json_option
from hemo_cli.settings import Command
from hemo_core.extras import need_extra

_SIDES = {"train,val": ("train", "val"), "all": ("train", "val", "test")}
_FILE = click.Path(path_type=Path, exists=True, dir_okay=False)

_config_option = click.option(
    "--config", required=True, type=_FILE, help="TOML file that names the data and every hyper-parameter."
)
_cache_option = click.option(
    "--cache", type=OutputFolder(), show_default="OUT/cache", help="Folder for preprocessed slices."
)
_jobs_option = click.option("--jobs", type=click.IntRange(min=1), default=1, show_default=True, help="Folds at a time.")
_pretrained_option = click.option(
    "--pretrained", type=_FILE, help="Weights of the first phase, from an earlier run with the same configuration."
)


def _folds_option(default: int, text: str) -> Callable[[Command], Command]:
    return click.option("--folds", type=click.IntRange(min=3), default=default, show_default=True, help=text)


@click.command()
@_config_option
@folder_option("Run folder.", default_text="runs/NAME")
@click.option("--resume", is_flag=True, help="Go on after the last finished epoch.")
@click.option("--finish", is_flag=True, help="With --resume: train no further, finish with the best epoch so far.")
@click.option("--tensorboard", is_flag=True, help="Also write TensorBoard logs.")
@click.option(
    "--refit",
    type=click.Path(path_type=Path, exists=True, file_okay=False),
    help="Folder of `crossval` with the same configuration: fit to train and val patients; calibration, threshold "
    "and figures come from its out-of-fold predictions.",
)
@_cache_option
@json_option
def train(
    config: Path,
    folder: Path | None,
    resume: bool,
    finish: bool,
    tensorboard: bool,
    refit: Path | None,
    cache: Path | None,
    as_json: bool,
) -> None:
    """Fit a model: configuration in, run folder out. Needs the extra [train]."""
    if finish and not resume:
        raise click.UsageError("--finish goes with --resume")
    if refit and (resume or tensorboard):
        raise click.UsageError("--refit goes with neither --resume nor --tensorboard")
    need_extra("train")
    run = folder or Path("runs") / config.stem
    if refit:
        from hemo_trainer.runs.refit import refit as fit_again

        fit_again(config, run, crossval=refit, cache=cache or refit / "cache")
    else:
        from hemo_trainer.runs.fit import train as fit

        fit(config, run, resume=resume, finish=finish, tensorboard=tensorboard, cache=cache)
    if as_json:
        print_json({"run": str(run), "manifest": str(run / "run.json")})
        return
    print_fields("trained", {"run": run, "card": run / "MODEL_CARD.md", "next": f"hemo-batch export {run}"})


@click.command()
@_config_option
@folder_option("Folder for the folds and the figures.", default_text="runs/NAME-crossval")
@_folds_option(5, "How many models are fitted.")
@click.option(
    "--sides",
    type=click.Choice(list(_SIDES)),
    default="train,val",
    show_default=True,
    help="Whose patients are dealt out. Choose a configuration without the test patients; `all` is for the last run.",
)
@_jobs_option
@click.option("--ablate", is_flag=True, help="Also score the CNN alone, LSTM, GRU, both, and both on shuffled slices.")
@_pretrained_option
@_cache_option
@json_option
def crossval(
    config: Path,
    folder: Path | None,
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

    folder = folder or Path("runs") / f"{config.stem}-crossval"
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
    print_fields(f"{folds} folds, AUC out of fold", {"folder": folder, **_out_of_fold_rows(found)})


@click.command("learning-curve")
@_config_option
@folder_option("Folder for the folds, the figures and the plot.", Path("runs/learning-curve"))
@click.option(
    "--share",
    "shares",
    type=click.FloatRange(0, 1, min_open=True),
    multiple=True,
    default=(0.25, 0.5, 1.0),
    show_default=True,
    help="Of the patients that a fold may train on; may be repeated.",
)
@_folds_option(3, "Models for each share.")
@_jobs_option
@_pretrained_option
@_cache_option
@json_option
def learning_curve(
    config: Path,
    folder: Path,
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
        config, folder, cache=cache or folder / "cache", folds=folds, jobs=jobs, shares=shares, pretrained=pretrained
    )
    if as_json:
        print_json(points)
        return
    rows = {
        f"{point['patients']} patients, {where}": interval_text(one)
        for point in points
        for where, one in point["figures"].items()
    }
    print_fields("AUC out of fold", {**rows, "plot": folder / "learning_curve.png"})


@click.command()
@_config_option
@folder_option("Folder for the figures and the plot.", Path("runs/leakage"))
@_folds_option(3, "Folds of either kind.")
@_cache_option
@json_option
def leakage(config: Path, folder: Path, folds: int, cache: Path | None, as_json: bool) -> None:
    """Score one configuration under a random split of slices and under a split by patient."""
    need_extra("train")
    from hemo_trainer.runs.leakage import study

    found = study(config, folder, cache=cache or folder / "cache", folds=folds)
    if as_json:
        print_json(found)
        return
    rows = {f"{kind}, {name}": interval_text(one[name]) for kind, one in found.items() for name in ("auc", "accuracy")}
    print_fields("the same network, two ways to split", {**rows, "plot": folder / "leakage.png"})


def _out_of_fold_rows(found: dict[str, Any]) -> dict[str, str]:
    """A line for each figure and for each difference."""
    rows: dict[str, str] = {}
    for where, kinds in found["figures"].items():
        rows |= {f"{where}, {kind}": interval_text(figure) for kind, figure in kinds.items()}
        rows |= {f"{where}, {kind}": interval_text(one) for kind, one in found["differences"][where].items()}
    return rows
