"""The documentation is true: every command of the README runs as written, in the README's order.

Only names that stand for something of the reader's are replaced: the queue, the mounts, ``<job>``, ``./scans``.
"""

from __future__ import annotations

import json
import re
import shlex
import signal
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path

import click
import cv2
import numpy as np
import pytest

from hemo_cli import main
from hemo_core.bundle.contract import Window
from hemo_core.jobs.private_broker import PrivateBroker
from hemo_core.phantoms import PhantomSpec, make_phantom, write_dicom, write_png
from hemo_core.scans.preprocess import apply_window
from hemo_trainer.config import TrainConfig
from hemo_worker.local import LocalWorker

REPOSITORY = Path(__file__).resolve().parents[1]
README = (REPOSITORY / "README.md").read_text("utf-8")
PAGES = sorted([*REPOSITORY.glob("*.md"), *REPOSITORY.glob("docs/**/*.md"), *REPOSITORY.glob("docker/*.md")])
SMALL = """[input]
height = 48
width = 48
[architecture]
cnn = "residual"
stem = 4
stages = [6, 8]
lstm = 4
gru = 3
dense = 4
"""
SHORT = "[batch]\nseries_slices = 8\nlengths = [2, 4]\nsingles = 4\n[fit]\nepochs = 1\nsteps = 3\nwarmup = 1\n"
SPLIT = "[split]\nval = 0.3\ntest = 0.3\n"


def commands(section: str = "") -> list[list[str]]:
    """The ``hemo-batch`` lines of the README's shell blocks, of one section or of all."""
    text = README.partition(f"\n## {section}\n")[2].partition("\n## ")[0] if section else README
    blocks = re.findall(r"^```sh\n(.*?)^```", text, re.DOTALL | re.MULTILINE)
    lines = [line for block in blocks for line in block.splitlines() if line.startswith("hemo-batch ")]
    return [shlex.split(line, comments=True)[1:] for line in lines]


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A reader's folder: ``scans``, ``picture.png``, ``data`` and ``my.toml``."""
    folder = tmp_path_factory.mktemp("reader")
    for seed, bleed in ((1, "epidural"), (2, "none")):
        phantom = make_phantom(PhantomSpec(seed, bleed=bleed, rows=128, slices=8, detail="fast"))
        write_dicom(phantom, folder / "scans" / str(seed))
    write_png(phantom, folder / "pictures", [4])[0].rename(folder / "picture.png")
    for seed in range(14):
        write_training_patient(folder / "data", seed)
    config = re.findall(r"^```toml\n(.*?)^```", README, re.DOTALL | re.MULTILINE)[0]
    (folder / "my.toml").write_text(config + SPLIT + SMALL + SHORT, encoding="utf-8")
    return folder


def write_training_patient(folder: Path, seed: int) -> None:
    bleed = "intraparenchymal" if seed % 2 else "none"
    phantom = make_phantom(PhantomSpec(seed, bleed=bleed, bleed_size=1.0, slices=6, rows=96, detail="fast"))
    for number, (plane, blood) in enumerate(zip(phantom.hu, phantom.blood_voxels, strict=True)):
        path = folder / ("Hemorrhage" if blood > 20 else "Normal") / f"phantom{seed}" / f"{number}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        cv2.imwrite(str(path), apply_window(plane.astype(np.float32), Window(40, 120)))


def run(arguments: list[str], folder: Path, bundle: Path | None = None) -> str:
    program = "from hemo_cli.main import main; main()"
    settings = [] if bundle is None or "--bundle" in arguments else ["--bundle", str(bundle)]
    takes_bundle = arguments[0] in {"submit", "bench"}
    done = subprocess.run(
        [sys.executable, "-c", program, *arguments, *(settings if takes_bundle else [])],
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )
    assert done.returncode == 0, f"hemo-batch {shlex.join(arguments)}\n{done.stdout}{done.stderr}"
    return done.stdout


@pytest.mark.slow
def test_the_commands_for_your_own_scans_run(bench: Path, tiny_bundle: Path):
    for arguments in commands("Your own scans"):
        jobs = sorted((bench / "reports").glob("*/job.json"))
        here = [word.replace("reports/<job>", str(jobs[0].parent)) if jobs else word for word in arguments]
        assert run(here, bench, tiny_bundle), arguments


@pytest.fixture
def queue(tmp_path: Path) -> Iterator[str]:
    with PrivateBroker(tmp_path / "queue") as broker:
        yield broker.url


@pytest.mark.slow
def test_the_commands_for_more_machines_run(bench: Path, tiny_bundle: Path, queue: str, tmp_path: Path):
    (tmp_path / "reports").mkdir()
    worker: LocalWorker | None = None
    try:
        for arguments in commands("More machines"):
            here = [
                word.replace("redis://queue:6379/0", queue)
                .replace("/mnt/scans", str(bench / "scans"))
                .replace("/mnt/reports", str(tmp_path / "reports"))
                for word in arguments
            ]
            if here[0] == "worker":
                program = "import sys; from hemo_cli.main import main; main()"
                worker = LocalWorker([*here, "--bundle", str(tiny_bundle)], module=("-c", program))
                worker.wait_ready()
            else:
                run(here, bench, tiny_bundle)
        assert (tmp_path / "reports" / "nightly" / "index.html").is_file()
    finally:
        if worker is not None:
            worker.process.send_signal(signal.SIGTERM)
            assert worker.stop() == 0


@pytest.mark.slow
def test_the_commands_for_your_own_model_run(bench: Path):
    pytest.importorskip("tf2onnx", reason="needs the extras [train] and [export]")
    for arguments in [*commands("Your own model"), *commands("Passing a model on")]:
        assert run(arguments, bench), arguments
    assert (bench / "my-model.hemo").is_file()
    assert (bench / "evidence" / "evidence.html").is_file()


def test_every_command_of_the_readme_belongs_to_a_section_that_is_run():
    run_sections = [*commands("Your own scans"), *commands("More machines"), *commands("Your own model")]
    run_sections += commands("Passing a model on")

    assert sorted(commands()) == sorted(run_sections)


def test_every_command_is_documented():
    documented = {arguments[0] for arguments in commands()} | set(re.findall(r"`hemo-batch ([\w-]+)", README))
    documented |= {"demo"} if "make demo" in README else set()

    assert set(main.COMMANDS) - documented == set()


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_commands_and_flags_in_the_documentation_exist(page: Path):
    text = page.read_text("utf-8")
    blocks = "".join(re.findall(r"^```.*?\n(.*?)^```", text, re.DOTALL | re.MULTILINE))
    typed = re.findall(r"^(?:\$ )?(hemo-batch .*)$", blocks, re.MULTILINE)
    for line in [*typed, *re.findall(r"`(hemo-batch [^`\n]*)`", text)]:
        words = re.sub(r"\s+#.*", "", line).split()[1:]
        command: click.Command = main.cli
        while isinstance(command, click.Group) and words and not words[0].startswith("-"):
            found = command.get_command(click.Context(command), words.pop(0))
            assert found is not None, line
            command = found
        flags = {flag for option in command.params for flag in option.opts} | {"--help", "-h", "--version"}
        assert {word.partition("=")[0] for word in words if re.match(r"--\w", word)} <= flags, line


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_inside_the_repository_lead_somewhere(page: Path):
    targets = re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", page.read_text("utf-8"))

    assert [target for target in targets if not (page.parent / target).exists()] == []


def test_the_training_page_names_every_setting_with_its_default():
    page = (REPOSITORY / "docs" / "training.md").read_text("utf-8")
    sections = re.findall(r"^### `\[(\w+)\]`\n(.*?)(?=^### |\Z)", page, re.DOTALL | re.MULTILINE)
    read = TrainConfig(name="defaults", sources=())
    for name, text in sections:
        rows = dict(re.findall(r"^\| `(\w+)` \| `(.*?)` \|", text, re.MULTILINE))
        found = {key: tomllib.loads(f"value = {value}")["value"] for key, value in rows.items()}
        expected = json.loads(json.dumps(asdict(getattr(read, name))))
        expected.pop("imported", None)  # set by `export --from`, not by people
        assert found == expected, name
    assert {name for name, _ in sections} == {key for key, value in asdict(read).items() if isinstance(value, dict)}
