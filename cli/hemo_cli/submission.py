"""What a submit asks for, checked before anything is written, and how it reaches a broker."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

from hemo_cli.selection import Intake
from hemo_core.errors import SettingsError

if TYPE_CHECKING:
    from hemo_core.bundle import Bundle
    from hemo_core.bundle.keys import PublicKey
    from hemo_core.jobs import JobHeader, JobOptions, JobStore, Priority
    from hemo_core.scans.discover import Discovery
    from hemo_core.scans.scan import ScanRef

SCANS_ROOT, OUT_ROOT = "scans", "out"


@dataclass(frozen=True, slots=True)
class Order:
    """Everything a submit needs to know, whoever works it off.

    Attributes:
        found: the scans, streamed.
        prefix: path of the searched folder below its root.
        mounts: where the roots are on this machine, input and output.
        job_dir: the job's folder, below the mount of the output root.
    """

    found: Discovery
    prefix: PurePosixPath
    mounts: dict[str, Path]
    job_dir: Path
    bundle: Bundle
    options: JobOptions
    priority: Priority

    def place(self, store: JobStore) -> JobHeader:
        """Write the job's folder and put it on the broker. Raises JobExists, NoInput, SinkError, BrokerError."""
        from hemo_core.jobs import submit as submit_job

        return submit_job(
            store,
            self.job_dir,
            self._refs(),
            bundle=self.bundle,
            ignored=self.found.ignored,
            output_root=OUT_ROOT,
            output_path=self.job_dir.resolve().relative_to(self.mounts[OUT_ROOT].resolve()).as_posix(),
            options=self.options,
            priority=self.priority,
        )

    def _refs(self) -> Iterator[ScanRef]:
        """The scans with paths relative to their root, not to the folder that was searched."""
        if not self.prefix.parts:
            yield from self.found
            return
        for ref in self.found:
            files = tuple(str(self.prefix / name) for name in ref.files)
            yield replace(ref, path=str(self.prefix / ref.path), files=files)


def make_order(
    path: Path,
    out: Path,
    job: str | None,
    roots: dict[str, Path],
    bundle: Path | None,
    trusted: tuple[PublicKey, ...],
    intake: Intake,
    options: JobOptions,
    priority: Priority,
) -> Order:
    """Check everything that can be checked before anything is written."""
    from hemo_core.bundle import open_bundle, released_bundle
    from hemo_core.inference.precision import variant_files
    from hemo_core.jobs import new_job_id
    from hemo_core.jobs.header import check_job_id

    name, mount = _root_of(path, roots)
    found = intake.discover(path, name or SCANS_ROOT)
    base = mount or found.mount
    mounts = {OUT_ROOT: out, **roots, name or SCANS_ROOT: base}
    job_dir = out / check_job_id(job or new_job_id())
    if not job_dir.resolve().is_relative_to(mounts[OUT_ROOT].resolve()):
        raise SettingsError(f"--out {out} is not below the root {OUT_ROOT!r}", path=str(mounts[OUT_ROOT]))
    opened = open_bundle(bundle or released_bundle(), trusted)
    if options.precision is not None:
        variant_files(opened, options.precision)
    return Order(
        found=found,
        prefix=PurePosixPath(found.mount.relative_to(base.resolve())),
        mounts=mounts,
        job_dir=job_dir,
        bundle=opened,
        options=options,
        priority=priority,
    )


def _root_of(path: Path, roots: dict[str, Path]) -> tuple[str | None, Path | None]:
    """The innermost named root that holds the path; none: the path is a root of its own."""
    there = path.resolve()
    holding = [
        (name, mount) for name, mount in roots.items() if name != OUT_ROOT and there.is_relative_to(mount.resolve())
    ]
    if not holding:
        return None, None
    return max(holding, key=lambda item: len(item[1].parts))
