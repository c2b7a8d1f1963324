"""``hemo-batch train``: fit a model on your own data."""

from __future__ import annotations

from pathlib import Path

import click

from hemo_cli.console import print_fields, print_json
from hemo_cli.options import cache_option, config_option, json_option
from hemo_core.extras import need_extra


@click.command()
@config_option
@click.option("--out", type=click.Path(path_type=Path, file_okay=False), help="Run folder. [default: runs/NAME]")
@click.option("--resume", is_flag=True, help="Go on after the last finished epoch.")
@click.option("--finish", is_flag=True, help="With --resume: train no further, finish with the best epoch so far.")
@click.option("--tensorboard", is_flag=True, help="Also write TensorBoard logs.")
@click.option(
    "--refit",
    type=click.Path(path_type=Path, exists=True, file_okay=False),
    help="Folder of `crossval` with the same configuration: fit to train and val patients; calibration, threshold "
    "and figures come from its out-of-fold predictions.",
)
@cache_option
@json_option
def train(
    config: Path,
    out: Path | None,
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
    run = out or Path("runs") / config.stem
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
