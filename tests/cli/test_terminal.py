"""Whatever the shell, the pipe or the terminal is, a command ends as it should: each in a process of its own."""

from __future__ import annotations

import csv
import os
import subprocess
import sys
from pathlib import Path

import pytest
from hollow import write_hollow

from hemo_cli.failure import Exit
from hemo_core.jobs.results import COLUMNS
from hemo_core.phantoms import PhantomSpec, make_phantom, write_png

HEMO = (sys.executable, "-m", "hemo_cli")
ASCII = {"LC_ALL": "C", "PYTHONIOENCODING": "ascii", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}
WAIT_S = 240


def environment(**more: str) -> dict[str, str]:
    """That of the tests, without settings."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("HEMO_")}
    return {**kept, "PYTHONPATH": os.pathsep.join(filter(None, sys.path)), **more}


def ran(folder: Path, *arguments: object, **more: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*HEMO, *map(str, arguments)],
        cwd=folder,
        env=environment(**more),
        capture_output=True,
        text=True,
        timeout=WAIT_S,
        check=False,
    )


@pytest.mark.parametrize(
    ("words", "offered"),
    [("hemo-batch su", "submit"), ("hemo-batch bundle si", "sign"), ("hemo-batch submit --dev", "--device")],
)
def test_tab_completes(tmp_path, words, offered):
    (tmp_path / "hemo.toml").write_text("no such = toml", encoding="utf-8")
    count = str(len(words.split()) - 1)

    done = ran(tmp_path, _HEMO_BATCH_COMPLETE="bash_complete", COMP_WORDS=words, COMP_CWORD=count)

    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.splitlines() == [f"plain,{offered}"]


def test_the_script_that_switches_completion_on_is_printed(tmp_path):
    done = ran(tmp_path, _HEMO_BATCH_COMPLETE="bash_source")

    assert (done.returncode, done.stderr) == (0, "")
    assert "complete -o nosort -F _hemo_batch_completion hemo-batch" in done.stdout


@pytest.fixture
def job_dir(tmp_path: Path) -> Path:
    """The summary of a job whose tables fill more than a pipe's buffer."""
    folder = tmp_path / "job"
    folder.mkdir()
    with (folder / "summary.csv").open("w", encoding="utf-8", newline="") as stream:
        table = csv.DictWriter(stream, COLUMNS, restval="")
        table.writeheader()
        for number in range(3000):
            facts = {"scan_id": f"{number:016x}", "outcome": "failed", "code": "truncated", "message": "cut off"}
            table.writerow({"path": f"{number:04}/Schädel-CT", **facts})
    return folder


@pytest.mark.parametrize("form", [(), ("--json",)], ids=["table", "json"])
def test_a_reader_who_has_seen_enough_ends_it_quietly(job_dir, form):
    running = subprocess.Popen(
        [*HEMO, "results", str(job_dir), "--rows", "3000", *form],
        env=environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    running.stdout.readline()
    running.stdout.close()
    said = running.stderr.read()
    running.stderr.close()

    assert (running.wait(WAIT_S), said) == (Exit.DONE, b"")


def test_a_terminal_that_knows_ascii_only_sees_every_character_spelt_out(job_dir):
    shown = ran(job_dir, "results", job_dir, **ASCII)
    as_json = ran(job_dir, "results", job_dir, "--json", **ASCII)

    assert (shown.returncode, as_json.returncode) == (Exit.DONE, Exit.DONE), shown.stderr
    assert "Sch\\xe4del-CT" in shown.stdout
    assert '"0000/Sch\\u00e4del-CT"' in as_json.stdout


def test_doctor_and_inspect_speak_to_an_ascii_terminal(tmp_path):
    bundle = write_hollow(tmp_path / "hollow").path
    write_png(make_phantom(PhantomSpec(1, slices=1, rows=64, detail="fast")), tmp_path / "Schädel")

    doctor = ran(tmp_path, "doctor", "--bundle", bundle, **ASCII)
    inspect = ran(tmp_path, "inspect", tmp_path / "Schädel", **ASCII)

    assert doctor.returncode in (Exit.DONE, Exit.SCANS_FAILED), doctor.stderr
    assert "bug" not in doctor.stderr
    assert inspect.returncode == Exit.DONE, inspect.stderr


def test_submit_speaks_to_an_ascii_terminal(tmp_path, tiny_bundle):
    write_png(make_phantom(PhantomSpec(1, slices=1, rows=64, detail="fast")), tmp_path / "Schädel")

    done = ran(tmp_path, "submit", "Schädel", "--bundle", tiny_bundle, "--allow-implausible", **ASCII)

    assert done.returncode == Exit.DONE, done.stderr
    assert "Research use only" in done.stdout
