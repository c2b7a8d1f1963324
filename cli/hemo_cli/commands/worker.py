"""``hemo-batch worker``: one worker for a shared broker; run one a GPU.

It is also what ``submit`` starts on a machine of its own, see :mod:`hemo_worker.local`.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from hemo_cli.options import (
    bundle_option,
    device_option,
    explainer_option,
    precision_option,
    root_option,
    trusted_option,
)
from hemo_cli.settings import SETTINGS
from hemo_core.processes import few_threads
from hemo_worker.settings import WorkerSettings

if TYPE_CHECKING:
    from hemo_core.bundle.keys import PublicKey
    from hemo_core.inference.gradcam import WantedExplainer
    from hemo_core.inference.precision import Wanted
    from hemo_worker.settings import Device


@click.command()
@SETTINGS["broker"].option(text="Redis that the jobs are on.", required=True)
@bundle_option
@trusted_option
@root_option
@device_option
@precision_option
@explainer_option
@SETTINGS["worker.threads"].option()
@SETTINGS["worker.readers"].option()
@SETTINGS["worker.batch"].option()
@SETTINGS["worker.ahead"].option()
@SETTINGS["worker.ahead_bytes"].option()
@SETTINGS["worker.lease_s"].option()
@SETTINGS["worker.task_s"].option()
@SETTINGS["worker.reconcile_s"].option()
@SETTINGS["metrics.port"].option()
@SETTINGS["metrics.address"].option()
@click.option("--ready-fd", type=int, help="File descriptor that gets one line of JSON when the model is loaded.")
def worker(
    broker: str,
    bundle: Path | None,
    trusted_keys: tuple[PublicKey, ...],
    roots: dict[str, Path],
    device: Device,
    precision: Wanted,
    explainer: WantedExplainer,
    metrics_port: int | None,
    metrics_address: str,
    ready_fd: int | None,
    **tuning: Any,
) -> int:
    """Score what is on a broker, until told to stop.

    On SIGTERM, what is in flight is finished. Every root that jobs name must be mounted here:
    --root scans=/mnt/scans --root out=/mnt/reports.
    """
    few_threads()  # before the libraries that read it are imported
    from hemo_worker.startup import run_worker

    settings = WorkerSettings(
        broker=broker,
        bundle=bundle,
        trusted_keys=trusted_keys,
        roots=roots,
        device=device,
        precision=precision,
        explainer=explainer,
        metrics_port=metrics_port,
        metrics_address=metrics_address,
        ready_fd=ready_fd,
        **{name.removeprefix("worker_"): value for name, value in tuning.items()},
    )
    return run_worker(settings)
