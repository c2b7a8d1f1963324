"""Walk an input folder, in an order that is the same on every machine."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum
from pathlib import Path

from hemo_core.errors import ScanError
from hemo_core.scans.readers.safe_open import open_below
from hemo_core.scans.readers.zipped import SUFFIX, member_names


class EntryKind(Enum):
    """What stands at a path, links not followed."""

    FILE = "file"
    LINK = "link"
    SPECIAL = "special"
    UNREADABLE = "unreadable"
    EMPTY = "empty"
    JOB = "job"
    ARCHIVE = "archive"


JOB_FILES = ("job.json", "manifest.jsonl")  # a folder that holds both is a job's


@dataclass(frozen=True, slots=True)
class Entry:
    """One path that is no folder, or a folder that is not walked: unlistable, empty, or a job's.

    A ZIP file is a folder; one that cannot be listed is an entry of its own.

    Attributes:
        path: relative to the root, POSIX style.
        problem: why a folder or a ZIP file cannot be listed.
    """

    path: str
    kind: EntryKind
    problem: str = ""

    @property
    def folder(self) -> str:
        """The folder it lies in, empty for the root itself."""
        return self.path.rpartition("/")[0]

    @property
    def name(self) -> str:
        """Its last component."""
        return self.path.rpartition("/")[2]


def walk(root: Path, start: str) -> Iterator[Entry]:
    """Every file below ``root/start``: a folder's own files first, by name, then its folders."""
    waiting = [start]
    while waiting:
        entries, folders = _list(root, waiting.pop())
        yield from entries
        waiting.extend(reversed(folders))


def unzipped(root: Path, entry: Entry) -> list[Entry]:
    """The files in a ZIP file, by its name; the entry itself for any other file."""
    if entry.kind is not EntryKind.FILE or not entry.name.lower().endswith(SUFFIX):
        return [entry]
    try:
        with open_below(root, entry.path) as stream:
            names = member_names(stream, entry.path)
    except ScanError as error:
        return [Entry(entry.path, EntryKind.ARCHIVE, error.message)]
    if not names:
        return [Entry(entry.path, EntryKind.ARCHIVE, "it is empty")]
    return [Entry(f"{entry.path}/{name}", EntryKind.FILE) for name in names]


def _list(root: Path, folder: str) -> tuple[list[Entry], list[str]]:
    """Files and folders of one folder, both sorted by name; one entry for a folder that holds nothing to walk."""
    entries: list[Entry] = []
    folders: list[str] = []
    try:
        with os.scandir(root / folder) as found:
            for item in sorted(found, key=lambda one: one.name):
                path = f"{folder}/{item.name}" if folder else item.name
                kind = _kind(item)
                if kind is None:
                    folders.append(path)
                else:
                    entries.extend(unzipped(root, Entry(path, kind)))
    except OSError as error:
        entries.append(Entry(folder or ".", EntryKind.UNREADABLE, error.strerror or "cannot be listed"))
    if {entry.name for entry in entries}.issuperset(JOB_FILES):
        return [Entry(folder or ".", EntryKind.JOB)], []
    if folder and not entries and not folders:
        return [Entry(folder, EntryKind.EMPTY)], []
    return entries, folders


def _kind(item: os.DirEntry[str]) -> EntryKind | None:
    """None for a folder."""
    if item.is_symlink():
        return EntryKind.LINK
    if item.is_dir(follow_symlinks=False):
        return None
    return EntryKind.FILE if item.is_file(follow_symlinks=False) else EntryKind.SPECIAL
