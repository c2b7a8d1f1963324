"""What a worker is told."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from hemo_core.errors import SettingsError

if TYPE_CHECKING:  # the command line reads the defaults: nothing heavy for that
    from hemo_core.bundle.keys import PublicKey
    from hemo_core.inference.gradcam import WantedExplainer
    from hemo_core.inference.precision import Wanted

Device = Literal["auto", "cpu", "cuda"]


@dataclass(frozen=True, slots=True)
class WorkerSettings:
    """One worker process and its child.

    Attributes:
        broker: Redis URL.
        bundle: folder or ``.hemo`` file; None for the released one.
        trusted_keys: one of them must have signed the bundle; none: signatures are not asked for.
        roots: where the input and output roots are mounted, by name.
        device: ``cuda`` fails if CUDA does not come up.
        precision: ``auto`` takes what the bundle released for the device.
        explainer: what draws heat maps; ``onnx`` never imports TensorFlow, ``auto`` takes it where it is installed.
        threads: threads for one CNN call on the CPU; None for one a core.
        readers: threads that read and prepare scans ahead of the CNN.
        batch: slices in a CNN call.
        ahead: at most so many scans in flight at once.
        ahead_bytes: stop reading ahead while decoded pixels in flight exceed this.
        lease_s: a chunk whose worker is silent for so long is given to another.
        task_s: a task stops claiming further chunks after this long.
        reconcile_s: how often lost messages are looked for.
        metrics_port: serve Prometheus metrics there; None: not at all; 0: any free port.
        metrics_address: bind there.
        ready_fd: file descriptor that gets one JSON line as soon as the model is loaded, or the reason why not.
    """

    broker: str
    roots: Mapping[str, Path] = field(default_factory=dict)
    bundle: Path | None = None
    trusted_keys: tuple[PublicKey, ...] = ()
    device: Device = "auto"
    precision: Wanted = "auto"
    explainer: WantedExplainer = "auto"
    threads: int | None = None
    readers: int = field(default_factory=lambda: max(2, min(8, (os.cpu_count() or 2) - 1)))
    batch: int = 16
    ahead: int = 64
    ahead_bytes: int = 1 << 30
    lease_s: float = 60.0
    task_s: float = 300.0
    reconcile_s: float = 5.0
    metrics_port: int | None = None
    metrics_address: str = "127.0.0.1"
    ready_fd: int | None = None

    def __post_init__(self) -> None:
        for name in ("readers", "batch", "ahead", "ahead_bytes", "lease_s", "task_s", "reconcile_s"):
            if getattr(self, name) <= 0:
                raise SettingsError(f"{name} must be more than 0, not {getattr(self, name)}")
        if self.threads is not None and self.threads < 1:
            raise SettingsError(f"threads must be at least 1, not {self.threads}")
