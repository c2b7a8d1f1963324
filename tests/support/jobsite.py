"""A place to run jobs: scans, a private broker and real worker processes."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import TypeVar

from hemo_core.bundle import Bundle
from hemo_core.jobs import JobHeader, JobStore, Progress, submit
from hemo_core.phantoms import Phantom, PhantomSpec, make_phantom, write_dicom, write_png
from hemo_core.scans.discover import discover
from hemo_worker.local import LocalWorker

T = TypeVar("T")
WAIT_S = 240.0
ENTRY = str(Path(__file__).parent / "frail_worker.py")
SLIM = str(Path(__file__).parent / "slim_worker.py")
TORN = str(Path(__file__).parent / "torn_worker.py")


@dataclass(frozen=True)
class Site:
    """A broker, an output root, and an input root for each folder in ``scans``."""

    folder: Path
    store: JobStore
    bundle: Bundle

    @property
    def out(self) -> Path:
        return self.folder / "out"

    def scans(self, name: str) -> Path:
        """The input root of that name."""
        return self.folder / "scans" / name

    def submit(self, job: str, scans: str, **options) -> JobHeader:
        found = discover(self.scans(scans), root_name=scans)
        return submit(self.store, self.out / job, found, bundle=self.bundle, ignored=found.ignored, **options)

    @contextmanager
    def worker(self, *arguments: str, bundle: Bundle | None = None, entry: str = ENTRY) -> Iterator[LocalWorker]:
        worker = LocalWorker(
            [
                f"--broker={self.store.url}",
                f"--bundle={(bundle or self.bundle).path}",
                *(f"--root={folder.name}={folder}" for folder in (self.folder / "scans").iterdir()),
                f"--root=out={self.out}",
                "--device=cpu",
                "--explainer=onnx",  # starts in a tenth of the time that TensorFlow takes; a later flag wins
                "--lease=2",
                "--reconcile=0.5",
                *arguments,
            ],
            module=(entry,),
        )
        try:
            yield worker
        finally:
            worker.stop()

    def until(self, job: str, condition: Callable[[Progress], bool]) -> Progress:
        """Poll the job until the condition holds."""
        return eventually(lambda: self.store.progress(job), condition)

    def complete(self, job: str) -> Progress:
        return self.until(job, lambda progress: progress.complete)

    def reports(self, job: str) -> dict[str, bytes]:
        """Bytes of every file below ``scans``, pages excepted (they are written with the summary)."""
        folder = self.out / job / "scans"
        return {
            path.relative_to(folder).as_posix(): path.read_bytes()
            for path in sorted(folder.rglob("*"))
            if path.suffix in {".json", ".png"}
        }


def eventually(look: Callable[[], T], condition: Callable[[T], bool], seconds: float = WAIT_S) -> T:
    deadline = time.monotonic() + seconds
    while not condition(found := look()):
        if time.monotonic() > deadline:
            raise AssertionError(f"still {found} after {seconds:.0f} s")
        time.sleep(0.02)
    return found


def write_series(folder: Path, names: Iterable[str]) -> None:
    """One small DICOM series a name: drawn phantoms, told apart by their UIDs and a little offset."""
    drawn = _drawn()
    for number, name in enumerate(names):
        phantom = drawn[number % len(drawn)]
        spec = replace(phantom.spec, seed=1000 + number)
        write_dicom(replace(phantom, spec=spec, hu=phantom.hu + number // len(drawn) % 5), folder / name)


def write_crowd(folder: Path, count: int) -> None:
    """``count`` scans: one in twenty a series, the others single pictures."""
    write_series(folder, [f"series-{number:03d}" for number in range(0, count, 20)])
    drawn = _drawn()
    for number in range(count):
        if number % 20:
            phantom = drawn[number % len(drawn)]
            spec = replace(phantom.spec, seed=number)
            write_png(replace(phantom, spec=spec, hu=phantom.hu + number // 40), folder / "pictures", [2 + number % 5])


@cache
def _drawn() -> list[Phantom]:
    """Phantoms as the tiny model knows them, so that each label occurs."""
    bleeds = ("epidural", "none", "subdural", "none", "intraparenchymal", "none")
    return [
        make_phantom(PhantomSpec(seed, bleed=bleed, bleed_size=1, slices=8, spacing_mm=14, rows=96, detail="fast"))
        for seed, bleed in enumerate(bleeds)
    ]


def child_of(pid: int) -> int | None:
    """Pid of a worker's child."""
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    return int(children[0]) if children else None


def kill(pid: int) -> None:
    os.kill(pid, signal.SIGKILL)
