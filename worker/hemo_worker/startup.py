"""A worker's process: verify the bundle, start Celery with one child that holds the model, serve metrics, stop cleanly.

The parent never imports onnxruntime or tensorflow: a session or a model that crosses a fork hangs its child.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any

from hemo_core.bundle import Bundle, open_bundle, released_bundle
from hemo_core.errors import HemoError, MissingExtra, RootNotMounted
from hemo_core.extras import need_scoring
from hemo_core.inference.gradcam import choose_explainer
from hemo_core.inference.precision import variant_files
from hemo_core.jobs import JobStore
from hemo_core.jobs.queue import make_app, queue_name
from hemo_core.scans.readers import read_scan
from hemo_worker import metrics
from hemo_worker.settings import WorkerSettings
from hemo_worker.shared import Fatal, Shared
from hemo_worker.tasks import register

if TYPE_CHECKING:
    from hemo_worker.child import Child
    from hemo_worker.gpu_metrics import GpuCollector

_LOG = logging.getLogger(__name__)


def run_worker(settings: WorkerSettings, *, opener: Callable[..., Any] = read_scan) -> int:
    """Work until told to stop. SIGTERM: finish what is in flight, give back the rest.

    Args:
        settings: see :class:`WorkerSettings`.
        opener: reads one scan.

    Returns:
        0 after an orderly stop; else the exit code of what stopped the worker, 5 for a device that is not there.

    Raises:
        BundleError, BrokerError, MissingExtra, RootNotMounted: before anything was started.
    """
    configure_logging()
    shared = Shared(settings.ready_fd)
    try:
        bundle = open_bundle(settings.bundle or released_bundle(), settings.trusted_keys)
        if settings.precision != "auto":
            variant_files(bundle, settings.precision)
        choose_explainer(settings.explainer)
        need_scoring(settings.explainer)
        _check_roots(settings)
        store = JobStore(settings.broker)
        store.ping()
    except HemoError as problem:
        shared.say(Fatal.of(problem))
        raise
    if bundle.signed_by:
        _LOG.info("the bundle is signed by the trusted key %s", bundle.signed_by)
    with ExitStack() as cleanup:
        cleanup.callback(store.close)
        if settings.metrics_port is not None:
            cleanup.callback(metrics.remove_folder, metrics.prepare_folder())
        return _Parent(settings, shared, bundle, store, opener).run(cleanup)


class _Parent:
    """The Celery worker and what stands around it."""

    def __init__(
        self,
        settings: WorkerSettings,
        shared: Shared,
        bundle: Bundle,
        store: JobStore,
        opener: Callable[..., Any],
    ) -> None:
        self.settings = settings
        self.shared = shared
        self.bundle = bundle
        self.store = store
        self.opener = opener
        self.child: Child | None = None

    def run(self, cleanup: ExitStack) -> int:
        """Start, work, stop. Returns the exit code."""
        from celery import signals

        app = make_app(self.settings.broker)
        register(app, lambda: self.child)
        connected = (
            (signals.setup_logging, lambda **_: None),  # ours stays as it is
            (signals.worker_process_init, lambda **_: self._start_child()),
            (signals.worker_ready, lambda **_: self._ready(cleanup)),
            (signals.worker_shutting_down, lambda **_: self.shared.stop()),
        )
        for signal, receiver in connected:
            signal.connect(receiver, weak=False)
        worker = app.Worker(
            pool="prefork",
            concurrency=1,
            queues=[queue_name(self.bundle.digest)],
            hostname=self.shared.worker.replace(":", "-") + "@hemo",
            loglevel="WARNING",
            without_gossip=True,
            without_mingle=True,
            without_heartbeat=True,
            quiet=True,
        )
        try:
            worker.start()
        finally:
            for signal, receiver in connected:
                signal.disconnect(receiver)
        fatal = self.shared.fatal()
        return fatal.exit_code if fatal is not None else int(worker.exitcode or 0)

    def _start_child(self) -> None:
        """In the child, after the fork."""
        from hemo_worker.child import start_child

        self.child = start_child(self.settings, self.shared, self.bundle, self.opener)

    def _ready(self, cleanup: ExitStack) -> None:
        """In the parent, once Celery consumes."""
        from hemo_worker.reconcile import Reconciler

        reconciler = Reconciler(self.store, self.settings, self.shared, self.bundle)
        reconciler.start()
        cleanup.callback(reconciler.stop)
        if self.settings.metrics_port is not None:
            broker = metrics.BrokerCollector(JobStore(self.settings.broker), self.bundle.digest)
            collectors = (broker, *self._gpu_collectors())
            server = metrics.serve(self.settings.metrics_port, self.settings.metrics_address, *collectors)
            cleanup.callback(server.shutdown)
            _LOG.info("metrics on http://%s:%d/metrics", self.settings.metrics_address, server.server_port)

    def _gpu_collectors(self) -> tuple[GpuCollector, ...]:
        """The GPUs' gauges, unless this worker is to use the CPU or the machine has no NVIDIA driver."""
        from hemo_worker.gpu_metrics import gpu_collector

        if self.settings.device == "cpu":
            return ()
        try:
            return (gpu_collector(),)
        except MissingExtra as problem:
            _LOG.info("no gpu metrics: %s", problem)
            return ()


def configure_logging(level: int = logging.INFO) -> None:
    """Log to stderr, times in UTC."""
    logging.Formatter.converter = time.gmtime
    logging.basicConfig(level=level, format="%(asctime)sZ %(processName)s %(levelname)s %(name)s: %(message)s")
    logging.getLogger("celery").setLevel(max(level, logging.WARNING))


def _check_roots(settings: WorkerSettings) -> None:
    for name, path in settings.roots.items():
        if not path.is_dir():
            raise RootNotMounted(f"the root {name!r} is not mounted", path=str(path), hint="mount it, or mend --root")
