"""``hemo-batch metrics``: the broker's gauges, for a fleet that may be scaled to zero."""

from __future__ import annotations

import signal

import click

from hemo_cli.commands.jobs import store_at
from hemo_cli.console import err, print_json
from hemo_cli.options import json_option
from hemo_cli.settings import SETTINGS


@click.command()
@SETTINGS["broker"].option(text="Redis that the jobs are on.", required=True)
@click.option("--port", type=click.IntRange(0, 65535), default=9108, show_default=True, help="0 for any free port.")
@click.option("--address", default="127.0.0.1", show_default=True, help="Address to serve on.")
@json_option
def metrics(broker: str, port: int, address: str, as_json: bool) -> None:
    """Serve a broker's gauges to Prometheus.

    Queue depth, outstanding scans and live workers; with --json they are printed once.
    """
    from hemo_worker.metrics import BrokerCollector, serve

    with store_at(broker) as store:
        collector = BrokerCollector(store)
        if as_json:
            print_json({sample.name: sample.value for family in collector.collect() for sample in family.samples})
            return
        server = serve(port, address, collector, multiprocess=False)
        err().print(f"metrics on http://{address}:{server.server_port}/metrics")
        try:
            signal.sigwait({signal.SIGINT, signal.SIGTERM})
        finally:
            server.shutdown()
