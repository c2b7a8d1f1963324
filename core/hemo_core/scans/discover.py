"""A path → the scans in it, one row each, before any pixel is read.

The whole tree is read once, headers only, before its DICOM files are grouped: which level of an archive is submitted,
and how its files are named and spread over folders, changes nothing about what is scored. About 400 bytes are kept of
a DICOM file. Every file ends in exactly one place: in a row (to be scored, rejected, or failed, with a reason), or in
the list of ignored files, with a reason.
"""

from __future__ import annotations

import json
import os
import tempfile
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path

from hemo_core.errors import NoInput, NoPixels, UsageError
from hemo_core.scans.choice import REJECTION_CODES, Fired, choose, fired, own_rejection
from hemo_core.scans.ids import IdRegister, fingerprint_of_all, id_of_digests, id_of_uids
from hemo_core.scans.readers.dicom_header import pixel_digest, shown_uid
from hemo_core.scans.readers.safe_open import open_below
from hemo_core.scans.recognise import Failed, Found, FoundDicom, FoundFile, Ignored, recognise
from hemo_core.scans.rules.vocabulary import Rules, load_rules
from hemo_core.scans.scan import Cause, ScanRef
from hemo_core.scans.stacks import Instance, Stack, StackTable
from hemo_core.scans.walk import Entry, EntryKind, unzipped, walk
from hemo_core.text import natural_key

__all__ = ["REJECTION_CODES", "Discovery", "discover"]

_THREADS = 4
_READ_AHEAD = 256
_SPILL_BYTES = 4 << 20


def discover(
    root: Path,
    *,
    root_name: str = "scans",
    group_folders: bool = False,
    overrides: frozenset[str] = frozenset(),
    all_series: bool = False,
    rules: Rules | None = None,
    threads: int = _THREADS,
) -> Discovery:
    """Find the scans below a folder, or in one file.

    Args:
        root: the input folder or file; may be a symbolic link, links below it are not followed.
        root_name: the name under which workers know this root.
        group_folders: take the pictures of a folder for the slices of one scan, ordered naturally by name.
        overrides: codes of :data:`REJECTION_CODES` that shall not keep a series from being scored.
        all_series: score every series that could be scored, not just the best one of each study.
        rules: the vocabulary that series are chosen by; None for the one that came along.
        threads: how many files are opened at once.

    Raises:
        NoInput: nothing is at that path, or neither a file nor a folder, or it cannot be read.
        UsageError: an override that is no rejection code.
    """
    unknown = overrides - set(REJECTION_CODES)
    if unknown:
        raise UsageError(f"no such rejection code: {', '.join(sorted(unknown))}", hint=", ".join(REJECTION_CODES))
    if not root.exists():
        raise NoInput("nothing is at this path", path=str(root))
    if not (root.is_dir() or root.is_file()):
        raise NoInput("neither a file nor a folder", path=str(root))
    if not os.access(root, os.R_OK):
        raise NoInput("this path cannot be read", path=str(root), hint="check its permissions")
    return Discovery(
        root.resolve(),
        root_name,
        overrides,
        rules or load_rules(),
        group_folders=group_folders,
        all_series=all_series,
        threads=threads,
    )


class Discovery(Iterator[ScanRef]):
    """An iterator over the scans, one pass.

    Attributes:
        mount: the folder that all paths are relative to; the parent where the input is one file.
        ignored: (path, reason) of every file that is plainly no scan; complete once the iterator has ended.
        why: the rules that fired on the series of the row given last; empty for volumes and pictures.
    """

    def __init__(
        self,
        root: Path,
        root_name: str,
        overrides: frozenset[str],
        rules: Rules,
        *,
        group_folders: bool,
        all_series: bool,
        threads: int,
    ) -> None:
        self.mount = root if root.is_dir() else root.parent
        self.ignored = IgnoredFiles()
        self.why: tuple[Fired, ...] = ()
        self._root_name = root_name
        self._overrides = overrides
        self._rules = rules
        self._group_folders = group_folders
        self._all_series = all_series
        self._threads = threads
        self._ids = IdRegister()
        single = Entry(root.name, EntryKind.FILE)
        self._entries = iter(unzipped(self.mount, single)) if root.is_file() else walk(root, "")
        self._rows = self._all_rows()

    def __iter__(self) -> Discovery:
        return self

    def __next__(self) -> ScanRef:
        return next(self._rows)

    def _all_rows(self) -> Iterator[ScanRef]:
        """Rows of pictures and volumes as they are found, then those of the DICOM stacks."""
        table = StackTable(self._rules, self._pixel_digest)
        pictures: list[FoundFile] = []
        for found in self._recognised(self._entries):
            if pictures and not _same_folder(pictures[0], found):
                yield self._folder_row(pictures)
                pictures = []
            if isinstance(found, FoundDicom):
                table.add(found)
            elif isinstance(found, Ignored):
                self.ignored.add(found.path, found.reason)
            elif isinstance(found, Failed):
                yield self._row(found.scan_id, [found.path], [], kind=found.kind, failure=found.failure)
            elif self._group_folders and found.kind == "image":
                pictures.append(found)
            else:
                yield self._row(id_of_digests([found.digest]), [found.path], [found.fingerprint], kind=found.kind)
        if pictures:
            yield self._folder_row(pictures)
        for study in table.studies():
            yield from self._study_rows(study)

    def _recognised(self, entries: Iterator[Entry]) -> Iterator[Found]:
        """Look at files in a few threads, in order, never more than a window ahead."""
        with ExitStack() as stack:
            pool = stack.enter_context(ThreadPoolExecutor(self._threads, thread_name_prefix="discover"))
            window: deque[Future[Found]] = deque()
            stack.callback(lambda: [future.cancel() for future in window])
            for entry in entries:
                window.append(pool.submit(recognise, self.mount, entry))
                if len(window) >= _READ_AHEAD:
                    yield window.popleft().result()
            while window:
                yield window.popleft().result()

    def _folder_row(self, pictures: Sequence[FoundFile]) -> ScanRef:
        """A folder of pictures as one scan."""
        ordered = sorted(pictures, key=lambda one: natural_key(one.path))
        return self._row(
            id_of_digests([one.digest for one in ordered]),
            [one.path for one in ordered],
            [one.fingerprint for one in ordered],
            kind="image",
        )

    def _study_rows(self, study: Sequence[Stack]) -> Iterator[ScanRef]:
        """Rows of all stacks of one study."""
        verdicts = [own_rejection(one, self._overrides, self._rules) for one in study]
        candidates = [at for at, one in enumerate(study) if verdicts[at] is None and one.header.has_pixels]
        chosen = choose([study[at] for at in candidates], self._overrides, self._rules, all_series=self._all_series)
        for at, verdict in zip(candidates, chosen, strict=True):
            verdicts[at] = verdict
        for stack, verdict in zip(study, verdicts, strict=True):
            yield from self._stack_rows(stack, verdict)

    def _stack_rows(self, stack: Stack, rejection: Cause | None) -> Iterator[ScanRef]:
        """One row for a stack, and one for each whole copy of it."""
        failure = None
        if rejection is None and not stack.header.has_pixels:
            failure = Cause(NoPixels.code, "an image without pixel data")
        for path in stack.dropped:
            self.ignored.add(path, "a copy of another file of its series")
        for layer in (stack.instances, *stack.copies):
            yield self._row(
                self._stack_id(layer, ambiguous=stack.ambiguous_uids),
                [one.path for one in layer],
                [one.fingerprint for one in layer],
                kind="dicom",
                failure=failure,
                rejection=rejection,
                stack=stack,
            )

    def _stack_id(self, layer: Sequence[Instance], *, ambiguous: bool) -> str:
        """By SOP Instance UIDs; by the pixels where the UIDs do not tell the instances apart."""
        if not ambiguous:
            return id_of_uids(one.sop_uid for one in layer)
        return id_of_uids(f"{one.sop_uid}#{self._pixel_digest(one.path)}" for one in layer)

    def _pixel_digest(self, path: str) -> str:
        with open_below(self.mount, path) as stream:
            return pixel_digest(stream, path)

    def _row(
        self,
        scan_id: str,
        files: Sequence[str],
        fingerprints: Sequence[str],
        *,
        kind: str,
        failure: Cause | None = None,
        rejection: Cause | None = None,
        stack: Stack | None = None,
    ) -> ScanRef:
        unique, duplicate_of = self._ids.unique(scan_id)
        self.why = tuple(fired(stack.header, self._rules)) if stack else ()
        header = stack.header if stack else None
        return ScanRef(
            unique,
            self._root_name,
            _common_path(files),
            tuple(files),
            kind,  # type: ignore[arg-type]
            study_uid=shown_uid(header.study_uid) if header else None,
            series_uid=shown_uid(header.series_uid) if header else None,
            duplicate_of=duplicate_of,
            rejection=rejection,
            failure=failure,
            quality=stack.quality if stack else (),
            fingerprint=fingerprint_of_all(fingerprints) if fingerprints else None,
        )


class IgnoredFiles(Iterable[tuple[str, str]]):
    """(path, reason) pairs; kept on disk when there are many."""

    def __init__(self) -> None:
        self._rows = tempfile.SpooledTemporaryFile(max_size=_SPILL_BYTES, mode="w+", encoding="ascii")  # noqa: SIM115 - lives as long as this object
        self.count = 0

    def add(self, path: str, reason: str) -> None:
        """Append one pair."""
        self._rows.write(json.dumps([path, reason]) + "\n")
        self.count += 1

    def __len__(self) -> int:
        return self.count

    def __iter__(self) -> Iterator[tuple[str, str]]:
        self._rows.seek(0)
        for line in self._rows:
            path, reason = json.loads(line)
            yield path, reason
        self._rows.seek(0, os.SEEK_END)


def _same_folder(picture: FoundFile, found: Found) -> bool:
    path = found.header.path if isinstance(found, FoundDicom) else found.path
    return path.rpartition("/")[0] == picture.path.rpartition("/")[0]


def _common_path(files: Sequence[str]) -> str:
    """The file, or the folder that holds all of them."""
    if len(files) == 1:
        return files[0]
    common = os.path.commonpath([path.rpartition("/")[0] or "." for path in files])
    return common or "."
