"""What a submit asks for, checked before anything is written, and how it reaches a broker."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

from hemo_core.bundle import open_bundle, released_bundle
from hemo_core.errors import RootNotMounted, SettingsError, UsageError
from hemo_core.inference.precision import variant_files
from hemo_core.jobs.header import JobHeader, JobOptions, Priority, check_job_id
from hemo_core.jobs.store import JobStore
from hemo_core.jobs.submit import new_job_id, submit
from hemo_core.scans.scan import ScanRef

if TYPE_CHECKING:
    from hemo_core.bundle import Bundle
    from hemo_core.bundle.keys import PublicKey
    from hemo_core.scans.discover import Discovery

SCANS_ROOT, OUT_ROOT = "scans", "out"


@dataclass(frozen=True, slots=True)
class Submission:
    """A job before it is one.

    Attributes:
        found: the scans, streamed.
        prefix: path of the searched folder below its root.
        mounts: where the roots are on this machine, input and output.
        job_dir: the job's folder, below the mount of the output root.
    """

    found: Discovery
    prefix: PurePosixPath
    mounts: Mapping[str, Path]
    job_dir: Path
    bundle: Bundle
    options: JobOptions
    priority: Priority

    def place(self, store: JobStore) -> JobHeader:
        """Write the job's folder and put it on the broker. Raises JobExists, NoInput, SinkError, BrokerError."""
        return submit(
            store,
            self.job_dir,
            self.refs(),
            bundle=self.bundle,
            ignored=self.found.ignored,
            output_root=OUT_ROOT,
            output_path=self.job_dir.resolve().relative_to(self.mounts[OUT_ROOT].resolve()).as_posix(),
            options=self.options,
            priority=self.priority,
        )

    def refs(self) -> Iterator[ScanRef]:
        """The scans with paths relative to their root, not to the folder that was searched."""
        if not self.prefix.parts:
            yield from self.found
            return
        for ref in self.found:
            files = tuple(str(self.prefix / name) for name in ref.files)
            yield replace(ref, path=str(self.prefix / ref.path), files=files)


def prepare_submission(
    path: Path,
    out: Path,
    search: Callable[[Path, str], Discovery],
    *,
    job: str | None = None,
    roots: Mapping[str, Path] | None = None,
    bundle: Path | None = None,
    trusted: Sequence[PublicKey] = (),
    options: JobOptions | None = None,
    priority: Priority = "normal",
) -> Submission:
    """Check everything that can be checked before anything is written.

    Args:
        path: a folder of scans, or one file.
        out: the folder of the job's folder.
        search: finds the scans in a path, for a root of that name.
        job: its id; None for one made of the time.
        roots: mounts by name; without one that holds ``path``, it is a root of its own.
        bundle: the model; None for the released one.
        trusted: one of these keys must have signed it; none: signatures are not asked for.

    Raises:
        UsageError: the id, a path or a root cannot be used.
        BundleError: the model is refused, or lacks the precision asked for.
    """
    mounts, options = dict(roots or {}), options or JobOptions()
    name, mount = _root_of(path, mounts)
    found = search(path, name or SCANS_ROOT)
    base = mount or found.mount
    mounts = {OUT_ROOT: out, **mounts, name or SCANS_ROOT: base}
    job_dir = out / check_job_id(job or new_job_id(), error=UsageError)
    if not job_dir.resolve().is_relative_to(mounts[OUT_ROOT].resolve()):
        raise SettingsError(f"--out {out} is not below the root {OUT_ROOT!r}", path=str(mounts[OUT_ROOT]))
    opened = open_bundle(bundle or released_bundle(), trusted)
    if options.precision is not None:
        variant_files(opened, options.precision)
    prefix = PurePosixPath(found.mount.relative_to(base.resolve()))
    return Submission(found, prefix, mounts, job_dir, opened, options, priority)


def _root_of(path: Path, roots: Mapping[str, Path]) -> tuple[str | None, Path | None]:
    """The innermost named root that holds the path; where none is named, the path is a root of its own.

    Raises:
        RootNotMounted: a named root is not there.
        UsageError: roots are named, and none of them holds the path: workers would look for it below another one.
    """
    there = path.resolve()
    holding = [
        (name, mount) for name, mount in roots.items() if name != OUT_ROOT and there.is_relative_to(mount.resolve())
    ]
    inputs = sorted(name for name in roots if name != OUT_ROOT)
    for name in inputs:
        if not roots[name].is_dir():
            raise RootNotMounted(f"the root {name!r} is not mounted", path=str(roots[name]), hint="mend --root")
    if not holding and inputs:
        hint = f"named are {', '.join(f'{name}={roots[name]}' for name in inputs)}"
        raise UsageError("lies below no named root, so that no worker would find it", path=str(path), hint=hint)
    if not holding:
        return None, None
    return max(holding, key=lambda item: len(item[1].parts))
