"""What a worker counts, for Prometheus. Base units; prefix ``hemo_batch_``.

The child counts into files below ``PROMETHEUS_MULTIPROC_DIR``, which survive its death; the parent adds them up and
serves them, also while a task runs. prometheus_client reads that variable when it is imported, hence the late imports.
"""

from __future__ import annotations

import os
import shutil
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from hemo_core.errors import BrokerError, JobError, SettingsError
from hemo_core.jobs import JobStore

if TYPE_CHECKING:
    from prometheus_client import CollectorRegistry
    from prometheus_client.core import Metric

    from hemo_core.bundle import Bundle

Stage = Literal["read", "preprocess", "cnn", "sequence", "gradcam", "outputs", "write"]

PREFIX = "hemo_batch_"
_VARIABLE = "PROMETHEUS_MULTIPROC_DIR"
_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30)
_WAITS = (0.01, 0.1, 1, 10, 60, 300, 1800, 7200, 43200)
_SCORES = tuple(step / 20 for step in range(1, 21))


class Meter:
    """The worker's counters and histograms.

    Args:
        registry: where they are registered; None for a child, whose numbers go to files.
    """

    def __init__(self, registry: CollectorRegistry | None = None) -> None:
        from prometheus_client import REGISTRY, Counter, Gauge, Histogram

        where = REGISTRY if registry is None else registry

        def counter(name: str, text: str, labels: tuple[str, ...] = ()) -> Counter:
            return Counter(PREFIX + name, text, labels, registry=where)

        def histogram(name: str, text: str, buckets: tuple[float, ...], labels: tuple[str, ...] = ()) -> Histogram:
            return Histogram(PREFIX + name, text, labels, buckets=buckets, registry=where)

        self.scans = counter("scans", "Scans that ended, by outcome and label or code.", ("outcome", "code"))
        self.slices = counter("slices", "Model slices scored.")
        self.redelivered = counter("chunks_redelivered", "Chunks taken over from a dead or silent process.")
        self.crashes = counter("child_crashes", "Deaths of this worker's child.")
        self.poison = counter("poison_scans", "Scans given up because they kill their process.")
        self.stages = histogram(
            "stage_duration_seconds", "Time in each stage, a scan (cnn: a batch).", _SECONDS, ("stage",)
        )
        self.queue_wait = histogram("queue_wait_seconds", "From enqueuing a chunk to its start.", _WAITS)
        self.batch = histogram("batch_slices", "Real slices in a CNN call.", (1, 2, 4, 8, 12, 16, 24, 32, 64, 128))
        self.score = histogram("scan_score", "Calibrated scan probabilities; watch them drift.", _SCORES)
        self._info = {
            name: Gauge(PREFIX + name, text, labels, multiprocess_mode="max", registry=where)
            for name, text, labels in (
                ("model_info", "The model that is loaded.", ("name", "version", "digest")),
                ("device_info", "What runs it.", ("provider", "precision")),
            )
        }

    @contextmanager
    def timed(self, stage: Stage, timings: dict[str, float]) -> Iterator[None]:
        """Measure a stage into the histogram and, in seconds, into ``timings``."""
        start = time.perf_counter()
        try:
            yield
        finally:
            took = time.perf_counter() - start
            timings[stage] = timings.get(stage, 0.0) + took
            self.stages.labels(stage).observe(took)

    def loaded(self, bundle: Bundle, provider: str, precision: str) -> None:
        """Say which model runs on what, and in which precision."""
        self._info["model_info"].labels(bundle.name, bundle.version, bundle.digest).set(1)
        self._info["device_info"].labels(provider, precision).set(1)


class BrokerCollector:
    """Gauges read from the broker when somebody scrapes: they do not need a worker.

    Args:
        store: the broker.
        digest: only jobs of this bundle; None for all.
    """

    def __init__(self, store: JobStore, digest: str | None = None) -> None:
        self._store = store
        self._digest = digest

    def collect(self) -> Iterator[Metric]:
        """What the broker says now; nothing but ``broker_up 0`` while it is away."""
        from prometheus_client.core import GaugeMetricFamily

        def gauge(name: str, text: str, value: float) -> Metric:
            return GaugeMetricFamily(PREFIX + name, text, value=value)

        try:
            depth, outstanding, workers = self._read()
        except BrokerError:
            yield gauge("broker_up", "Whether the broker answers.", 0)
            return
        yield gauge("broker_up", "Whether the broker answers.", 1)
        yield gauge("queue_depth_chunks", "Chunks that wait in the queue.", depth)
        yield gauge("scans_outstanding", "Scans without an outcome in running jobs.", outstanding)
        yield gauge("worker_up", "Workers seen within a minute.", workers)

    def _read(self) -> tuple[int, int, int]:
        outstanding, digests = 0, {self._digest} if self._digest else set[str]()
        for job in self._store.unfinished():
            with suppress(JobError):  # a job that has gone meanwhile, or is malformed, hides no other
                digest = self._store.header(job).bundle_digest
                if self._digest in (None, digest):
                    outstanding += self._store.progress(job).open
                    digests.add(digest)
        depth = sum(self._store.queue_depth(digest) for digest in digests)
        return depth, outstanding, len(self._store.workers())


def prepare_folder() -> Path:
    """An empty folder for the children's numbers; call before prometheus_client is imported."""
    named = os.environ.get(_VARIABLE)
    if not named:
        folder = Path(tempfile.mkdtemp(prefix="hemo-metrics-"))
        os.environ[_VARIABLE] = str(folder)
        return folder
    folder = Path(named)
    folder.mkdir(parents=True, exist_ok=True)
    for leftover in folder.glob("*.db"):
        leftover.unlink()
    return folder


def remove_folder(folder: Path) -> None:
    """Remove what :func:`prepare_folder` made."""
    shutil.rmtree(folder, ignore_errors=True)


def serve(port: int, address: str, *collectors: Any, multiprocess: bool = True) -> Any:
    """Serve metrics over HTTP until the returned server is shut down.

    Args:
        port: 0 for any free one; the server knows which.
        address: to bind.
        collectors: besides the children's numbers.
        multiprocess: include the children's numbers.

    Raises:
        SettingsError: the address is taken or not ours.
    """
    from prometheus_client import CollectorRegistry, start_http_server
    from prometheus_client.multiprocess import MultiProcessCollector

    registry = CollectorRegistry()
    if multiprocess:
        MultiProcessCollector(registry)  # type: ignore[no-untyped-call]
    for collector in collectors:
        registry.register(collector)
    try:
        server, _ = start_http_server(port, address, registry)
    except OSError as problem:
        raise SettingsError(f"cannot serve metrics on {address}:{port}: {problem.strerror}") from problem
    return server
