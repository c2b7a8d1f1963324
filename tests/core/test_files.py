from __future__ import annotations

import os
from pathlib import Path

import pytest

from hemo_core import files
from hemo_core.errors import SinkError


def everything(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_a_file_is_the_old_one_until_the_block_ends(tmp_path: Path) -> None:
    target = tmp_path / "a.txt"
    files.write_durably(target, "old")
    with files.replacing(target) as file:
        file.write(b"new")
        file.flush()
        assert target.read_text() == "old"
    assert everything(tmp_path) == {"a.txt": b"new"}


@pytest.mark.parametrize("variant", [files.replacing, files.replacing_text, files.replacing_path])
def test_a_block_that_fails_leaves_no_trace(tmp_path: Path, variant) -> None:
    files.write_durably(tmp_path / "a.txt", b"old")
    with pytest.raises(ZeroDivisionError), variant(tmp_path / "a.txt", tmp_path / "staging"):
        raise ZeroDivisionError
    assert everything(tmp_path) == {"a.txt": b"old"}


def test_a_library_may_write_to_the_path_under_the_files_own_ending(tmp_path: Path) -> None:
    with files.replacing_path(tmp_path / "last.weights.h5") as path:
        assert path.name.endswith(".weights.h5")
        assert path.parent == tmp_path
        path.write_bytes(b"weights")
    assert everything(tmp_path) == {"last.weights.h5": b"weights"}


def test_undecodable_names_are_written_as_the_caller_says(tmp_path: Path) -> None:
    with files.replacing_text(tmp_path / "a.csv", errors="backslashreplace") as file:
        file.write("caf\udce9,ü\r\n")
    assert (tmp_path / "a.csv").read_bytes() == b"caf\\udce9,\xc3\xbc\r\n"


def test_a_new_file_obeys_the_umask_and_not_a_temporary_files_mode(tmp_path: Path) -> None:
    before = os.umask(0o027)
    try:
        files.write_durably(tmp_path / "a.txt", b"x")
    finally:
        os.umask(before)
    assert (tmp_path / "a.txt").stat().st_mode & 0o777 == 0o640


def test_a_file_that_is_as_it_should_be_is_left_alone(tmp_path: Path) -> None:
    files.write_durably(tmp_path / "a.txt", "same")
    before = (tmp_path / "a.txt").stat().st_ino
    files.write_durably(tmp_path / "a.txt", "same")
    assert (tmp_path / "a.txt").stat().st_ino == before


def test_a_place_that_takes_no_file_is_a_sink_error_about_the_file(tmp_path: Path) -> None:
    (tmp_path / "taken").write_text("a file")
    with pytest.raises(SinkError, match="cannot write") as caught:
        files.write_durably(tmp_path / "taken" / "a.txt", b"x")
    assert caught.value.path == str(tmp_path / "taken" / "a.txt")
