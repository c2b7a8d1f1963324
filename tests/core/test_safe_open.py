"""What is opened lies below the mount, and what cannot be opened says why."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest
from slices import read

from hemo_core.errors import DeviceError, EmptyFile, FileMissing, FileUnreadable, RootNotMounted, ScanError
from hemo_core.scans.readers.safe_open import open_below


@pytest.fixture
def mount(tmp_path: Path) -> Path:
    folder = tmp_path / "mount"
    (folder / "inner").mkdir(parents=True)
    (folder / "inner" / "file").write_bytes(b"content")
    (folder / "empty").touch()
    (tmp_path / "secret").write_bytes(b"secret")
    (folder / "out").symlink_to(tmp_path / "secret")
    (folder / "folder").symlink_to(tmp_path)
    (folder / "dangling").symlink_to(folder / "nothing")
    (folder / "loop").symlink_to(folder / "loop")
    os.mkfifo(folder / "pipe")
    return folder


def content(mount: Path, path: str) -> bytes:
    with open_below(mount, path) as stream:
        return stream.read()


def test_a_file_below_the_mount_is_read_and_the_mount_may_be_a_link(mount, tmp_path):
    assert content(mount, "inner/file") == b"content"
    (tmp_path / "link").symlink_to(mount)
    assert content(tmp_path / "link", "inner/file") == b"content"


@pytest.mark.parametrize(
    ("path", "error"),
    [
        ("gone", FileMissing),
        ("nowhere/file", FileMissing),
        ("inner", FileUnreadable),
        ("inner/file/deeper", FileUnreadable),
        ("out", FileUnreadable),
        ("folder/secret", FileUnreadable),
        ("dangling", FileUnreadable),
        ("loop", FileUnreadable),
        ("pipe", FileUnreadable),
        ("../secret", FileUnreadable),
        ("inner/../../secret", FileUnreadable),
        ("/etc/hostname", FileUnreadable),
        ("", FileUnreadable),
        ("empty", EmptyFile),
    ],
)
def test_each_way_of_not_being_a_file_has_its_error(mount, path, error):
    with pytest.raises(error) as caught:
        content(mount, path)
    assert type(caught.value) is error
    for kind in ("dicom", "nifti", "image"):
        if path and not path.startswith(("/", "..")) and ".." not in path:
            with pytest.raises(error):
                read(mount, path, kind=kind)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_a_file_without_permission_is_unreadable(mount):
    (mount / "inner" / "file").chmod(0)
    with pytest.raises(FileUnreadable, match="Permission denied"):
        content(mount, "inner/file")


def test_a_root_that_is_not_mounted_fails_no_scan(tmp_path):
    (tmp_path / "mountpoint").mkdir()
    for place in ("absent", "mountpoint"):
        with pytest.raises(RootNotMounted) as caught:
            content(tmp_path / place, "a/b.dcm")
        assert not isinstance(caught.value, ScanError)


@pytest.mark.parametrize("opened", [0, 1, 2])
def test_a_process_that_may_open_no_more_files_is_no_files_fault(mount, monkeypatch, opened):
    """Mount, folder and file are opened one by one."""
    opening, calls = os.open, iter(range(99))

    def full(*args, **options):
        if next(calls) == opened:
            raise OSError(errno.EMFILE, os.strerror(errno.EMFILE))
        return opening(*args, **options)

    monkeypatch.setattr(os, "open", full)
    with pytest.raises(DeviceError, match="Too many open files"):
        content(mount, "inner/file")
