"""``hemo-batch train`` and ``evaluate``: fit a model on your own data, and measure one."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, cast

import click

from hemo_cli.console import print_fields, print_json
from hemo_cli.extras import need_extra
from hemo_cli.options import bundle_option, device_option, json_option, path_setting, setting

if TYPE_CHECKING:
    from hemo_core.inference.session import Device


@click.command()
@click.option(
    "--config",
    required=True,
    type=click.Path(path_type=Path, exists=True, dir_okay=False),
    help="TOML file that names the data and every hyper-parameter.",
)
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
@click.option(
    "--cache", type=click.Path(path_type=Path, file_okay=False), help="Preprocessed slices. [default: OUT/cache]"
)
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
        from hemo_trainer.refit import refit as fit_again

        fit_again(config, run, crossval=refit, cache=cache or refit / "cache")
    else:
        from hemo_trainer.fit import train as fit

        fit(config, run, resume=resume, finish=finish, tensorboard=tensorboard, cache=cache)
    if as_json:
        print_json({"run": str(run), "manifest": str(run / "run.json")})
        return
    print_fields("trained", {"run": run, "card": run / "MODEL_CARD.md", "next": f"hemo-batch export {run}"})


@click.command()
@click.option(
    "--config",
    required=True,
    type=click.Path(path_type=Path, exists=True, dir_okay=False),
    help="TOML file that names the data and its split, as for `train`.",
)
@bundle_option
@click.option("--side", type=click.Choice(["val", "test"]), default="test", show_default=True, help="Which patients.")
@click.option(
    "--cache",
    type=click.Path(path_type=Path, file_okay=False),
    default=Path("runs/cache"),
    show_default=True,
    help="Where preprocessed slices are kept.",
)
@device_option
@json_option
def evaluate(
    config: Path, bundle: Path | None, side: Literal["val", "test"], cache: Path, device: str | None, as_json: bool
) -> None:
    """Measure a bundle on labelled data.

    AUC with confidence intervals by patient; `--json` also gives the counts at the locked threshold.
    """
    need_extra("train")
    need_extra("worker")
    from hemo_core.bundle import released_bundle
    from hemo_trainer.evaluate import evaluate as measure

    chosen = cast("Device", setting("device", device) or "auto")
    found = measure(path_setting("bundle", bundle) or released_bundle(), config, cache, side=side, device=chosen)
    if as_json:
        print_json(found)
        return
    print_fields(f"{found['bundle']['name']} {found['bundle']['version']} on {side} patients", _figures(found))


def _figures(found: dict[str, Any]) -> dict[str, str]:
    """A line a source and unit."""
    rows = {"device": found["provider"]}
    for source, units in found["figures"].items():
        for unit, figures in units.items():
            rows[f"{source}, {unit}s"] = _line(figures)
    return rows


def _line(figures: dict[str, Any]) -> str:
    auc = figures["auc"]
    counts = f"{figures['count']} of {figures['patients']} patients, {figures['positive']} positive"
    if auc is None:
        return f"{counts}: one class only, no AUC"
    return f"{counts}: AUC {auc['value']:.3f} [{auc['low']:.3f}–{auc['high']:.3f}]"
