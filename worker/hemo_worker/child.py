"""The worker's child: loads the model in its own process and works off chunk messages."""

from __future__ import annotations

import logging
import os
import secrets
import signal
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from hemo_core.bundle import Bundle, open_bundle
from hemo_core.bundle.manifest import Precision
from hemo_core.errors import (
    BrokerError,
    BundleAltered,
    BundleError,
    DeviceError,
    HemoError,
    JobError,
    JobNotFound,
    MissingExtra,
    RootNotMounted,
    ScanError,
    SinkError,
)
from hemo_core.inference.gradcam import Explainer, ExplainerKind, choose_explainer
from hemo_core.jobs import Claim, JobHeader, JobStore
from hemo_core.processes import die_with_parent, keep_freed_memory
from hemo_core.scans.readers import read_scan
from hemo_worker.chunks import ChunkRun, Tools, job_folder
from hemo_worker.metrics import Meter
from hemo_worker.outputs.registry import OUTPUTS
from hemo_worker.outputs.summary import summarise
from hemo_worker.pipeline import Limits, LoadedModel, Pipeline
from hemo_worker.settings import WorkerSettings
from hemo_worker.shared import Ready, Shared

_LOG = logging.getLogger(__name__)
_PATIENCE_S = 60.0
_WRITERS = 2
_STEP_S = 0.1


class Child:
    """Everything a child needs between two tasks. Made once in each child, after the fork.

    Args:
        bundle: as the parent verified it.
        opener: reads one scan.

    Raises:
        BundleError: the bundle changed since the worker started, or lacks the precision asked for.
        DeviceError: the device does not come up.
    """

    def __init__(
        self,
        settings: WorkerSettings,
        shared: Shared,
        bundle: Bundle,
        *,
        opener: Callable[..., Any] = read_scan,
    ) -> None:
        self.pid = os.getpid()
        if self.pid == shared.parent:
            raise RuntimeError("the model must be loaded in the worker's child, not in its parent")
        self.settings = settings
        self.shared = shared
        self.bundle = bundle
        self.meter = Meter()
        if shared.count_child() > 1:
            self.meter.crashes.inc()
        self.model = load_model(bundle, settings, shared.fail)
        self.meter.loaded(bundle, self.model.engine.provider, self.model.engine.precision)
        shared.loaded(self.model.engine.precision)
        limits = Limits(settings.readers, _WRITERS, settings.ahead, settings.ahead_bytes)
        self.tools = Tools(
            store=JobStore(settings.broker, patience_s=_PATIENCE_S),
            owner=f"{shared.worker}/{self.pid}-{secrets.token_hex(4)}",
            pipeline=Pipeline(self.model, settings.roots, limits, self.meter, opener=opener),
            settings=settings,
            meter=self.meter,
            stopping=shared.stopping,
        )

    def handle(self, job: str, first: int) -> None:
        """Work on a job, the chunk that begins at row ``first`` first.

        What is about one scan becomes its report. A job this worker cannot serve is left alone, with a note. What
        makes every scan fail alike (root not mounted, device gone) stops the worker; a full disk stops this task.
        """
        if os.getpid() != self.pid:
            raise RuntimeError("a model loaded in one process must not be used in another")
        if self.shared.stopping():
            return
        try:
            header = self.tools.store.header(job)
            check_bundle(header, self.bundle)
            check_precision(header, self.model.engine.precision)
            check_outputs(header)
            self._work(header, job_folder(header, self.settings), first)
        except JobNotFound:
            _LOG.info("job %s is gone; its message is dropped", job)
        except (JobError, SinkError, BrokerError) as problem:
            _LOG.error("job %s: %s", job, problem)
            self._note(job, problem)
            if not isinstance(problem, JobError):
                self._pause()
        except (RootNotMounted, DeviceError, BundleError, MissingExtra) as problem:
            _LOG.error("the worker stops: %s", problem)
            self._note(job, problem)
            self.shared.fail(problem)
        except Exception as problem:
            self._note(job, JobError(f"unforeseen {type(problem).__name__}, see the worker's log: {problem}"))
            raise

    def _work(self, header: JobHeader, folder: Path, first: int) -> None:
        store, owner, lease_s = self.tools.store, self.tools.owner, self.settings.lease_s
        claim = store.claim(header.job, owner, first // header.chunk_size, lease_s)
        if claim.verdict in ("empty", "busy"):
            claim = store.claim(header.job, owner, None, lease_s)
        if claim.verdict == "finish" or (claim.verdict == "run" and self._run(header, folder, claim)):
            summarise(folder)
            store.finish(header.job)

    def _run(self, header: JobHeader, folder: Path, claim: Claim) -> bool:
        """Whether the job is complete after it."""
        run = ChunkRun(self.tools, header, folder)
        try:
            run.run(claim)
        finally:
            run.close()
        return run.complete

    def _pause(self) -> None:
        """Wait a little after a failure that will not have gone a moment later."""
        deadline = time.monotonic() + self.settings.reconcile_s
        while time.monotonic() < deadline and not self.shared.stopping():
            time.sleep(_STEP_S)

    def _note(self, job: str, problem: HemoError) -> None:
        try:
            self.tools.store.note(job, str(problem))
        except BrokerError:
            _LOG.warning("the broker is away, nobody can be told")


def load_model(bundle: Bundle, settings: WorkerSettings, broken: Callable[[HemoError], None]) -> LoadedModel:
    """Load both halves and run each once, so that no scan waits for it.

    TensorFlow takes seconds to import and only positive scans need it: it loads in a thread, while the CNN works.
    Without it, explaining loads in milliseconds, at once.

    Args:
        broken: called from that thread if the explaining half cannot be loaded.

    Raises:
        DeviceError, BundleError: what is loaded at once cannot be loaded.
    """
    import cv2

    from hemo_core.inference.session import Engine

    cv2.setNumThreads(0)  # the reader threads are the parallelism
    engine = Engine(
        bundle,
        device=settings.device,
        threads=settings.threads,
        batch=settings.batch,
        precision=settings.precision,
    )
    picture = (bundle.input.height, bundle.input.width, bundle.input.channels)
    output = engine.cnn(np.zeros((1, *picture), np.float32))
    engine.sequence(output.embeddings)
    return LoadedModel(bundle, engine, load_explainer(bundle, settings, output.features, broken))


def load_explainer(
    bundle: Bundle,
    settings: WorkerSettings,
    features: npt.NDArray[np.float32],
    broken: Callable[[HemoError], None],
) -> Callable[[], Explainer]:
    """What gives the explainer, and waits for it if it is still being loaded."""
    kind, why = choose_explainer(settings.explainer)
    _LOG.info("explainer %s: %s", kind, why)
    if kind == "onnx":
        explainer = _explainer(bundle, kind, features)
        return lambda: explainer

    def load() -> Explainer:
        try:
            return _explainer(bundle, kind, features)
        except Exception as problem:
            failure = not_loaded(problem)
            broken(failure)
            raise failure from problem

    loader = ThreadPoolExecutor(1, "explainer")
    loading = loader.submit(load)
    loader.shutdown(wait=False)
    return loading.result


def not_loaded(problem: Exception) -> HemoError:
    """Why the model cannot be loaded: our own error as it is, whatever else as one of the installation."""
    if isinstance(problem, HemoError) and not isinstance(problem, ScanError):
        return problem
    why = f"the model cannot be loaded: {type(problem).__name__}: {problem}"
    return DeviceError(why, hint="hemo-batch doctor; if it is TensorFlow, --explainer onnx works without it")


def _explainer(bundle: Bundle, kind: ExplainerKind, features: npt.NDArray[np.float32]) -> Explainer:
    explainer = Explainer(bundle, kind)
    explainer.heatmaps(features, [0])
    return explainer


def check_bundle(header: JobHeader, bundle: Bundle) -> None:
    """Raise JobError unless the job names this very bundle."""
    if header.bundle_digest != bundle.digest:
        raise JobError(other_bundle(header, bundle), hint="start a worker with --bundle for that one")


def other_bundle(header: JobHeader, bundle: Bundle) -> str:
    """What to say of a job that names another bundle."""
    wanted = f"{header.bundle_name} {header.bundle_version} ({header.bundle_digest[:12]})"
    ours = f"{bundle.name} {bundle.version} ({bundle.digest[:12]})"
    return f"job {header.job} names the bundle {wanted}; this worker has {ours}"


def check_precision(header: JobHeader, precision: Precision) -> None:
    """Raise JobError if the job asks for another precision: its reports would not compare with each other."""
    wanted = header.options.precision
    if wanted not in (None, precision):
        text = f"job {header.job} asks for {wanted}; this worker computes in {precision}"
        raise JobError(text, hint=f"start a worker with --precision {wanted}")


def check_outputs(header: JobHeader) -> None:
    """Raise JobError if the job asks for an output that this version does not know."""
    unknown = [name for name in header.options.outputs if name not in OUTPUTS]
    if unknown:
        text = f"job {header.job} asks for the output {', '.join(unknown)}; this worker writes {', '.join(OUTPUTS)}"
        raise JobError(text, hint="update the workers, or submit it again with other --outputs")


def start_child(
    settings: WorkerSettings, shared: Shared, bundle: Bundle, opener: Callable[..., Any] = read_scan
) -> Child | None:
    """Load everything in a new child and say so. On failure the worker stops, and None is returned.

    Args:
        bundle: as the parent verified it; verified once more.
        opener: reads one scan.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent decides when to stop
    die_with_parent(signal.SIGKILL)
    keep_freed_memory()
    try:
        _check_unchanged(bundle)
        child = Child(settings, shared, bundle, opener=opener)
    except Exception as problem:  # noqa: BLE001  (Celery would log it and leave a worker that never works)
        failure = not_loaded(problem)
        _LOG.error("the worker stops: %s", failure, exc_info=problem is not failure)
        shared.fail(failure)
        return None
    engine = child.model.engine
    _LOG.info(
        "ready: %s %s on %s in %s: %s", bundle.name, bundle.version, engine.provider, engine.precision, engine.reason
    )
    explainer = choose_explainer(settings.explainer)[0]
    shared.say(Ready(engine.provider, engine.precision, engine.reason, explainer, bundle.digest))
    return child


def _check_unchanged(bundle: Bundle) -> None:
    if open_bundle(bundle.path).digest != bundle.digest:
        raise BundleAltered("another bundle since the worker started", path=str(bundle.path))
