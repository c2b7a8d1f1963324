"""``hemo-batch worker``: one worker for a shared broker; run one a GPU."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from hemo_cli.options import (
    broker_option,
    bundle_option,
    device_option,
    explainer_option,
    explainer_setting,
    precision_option,
    root_option,
    trusted_option,
)
from hemo_core.extras import need_scoring

if TYPE_CHECKING:
    from hemo_core.bundle.keys import PublicKey


@click.command()
@broker_option
@bundle_option
@trusted_option
@root_option
@device_option
@precision_option
@explainer_option
@click.option("--threads", type=click.IntRange(min=1), help="Threads for one CNN call on the CPU. [default: cores]")
@click.option("--readers", type=click.IntRange(min=1), help="Threads that read scans ahead.")
@click.option("--batch", type=click.IntRange(min=1), help="Slices in one CNN call. [default: 16]")
@click.option("--metrics-port", type=click.IntRange(min=0), help="Serve Prometheus metrics there; 0: any free port.")
@click.option("--metrics-address", help="Address to serve them on. [default: 127.0.0.1]")
@click.option("--ready-fd", type=int, help="File descriptor that gets one line of JSON when the model is loaded.")
def worker(
    broker: str | None,
    bundle: Path | None,
    trusted: tuple[PublicKey, ...] | None,
    roots: dict[str, Path] | None,
    device: str | None,
    precision: str | None,
    explainer: str | None,
    threads: int | None,
    readers: int | None,
    batch: int | None,
    metrics_port: int | None,
    metrics_address: str | None,
    ready_fd: int | None,
) -> int:
    """Score what is on a broker, until told to stop.

    On SIGTERM, what is in flight is finished. Every root that jobs name must be mounted here:
    --root scans=/mnt/scans --root out=/mnt/reports.
    """
    need_scoring(explainer_setting(explainer))
    from hemo_core.processes import few_threads

    few_threads()  # before the libraries that read it are imported
    from hemo_core.settings import Sources
    from hemo_worker.settings import worker_settings
    from hemo_worker.startup import run_worker

    settings = worker_settings(
        Sources.load(),
        broker=broker,
        bundle=bundle,
        trusted_keys=trusted,
        roots=roots,
        device=device,
        precision=precision,
        explainer=explainer,
        threads=threads,
        readers=readers,
        batch=batch,
        metrics_port=metrics_port,
        metrics_address=metrics_address,
        ready_fd=ready_fd,
    )
    return run_worker(settings)
