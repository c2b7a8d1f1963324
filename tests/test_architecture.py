"""What holds for the whole tree: layers, the error tree, words, locks, and that the wheel is what is tested."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from importlib import import_module
from importlib.metadata import files
from pathlib import Path

import pytest

from hemo_core import errors

REPOSITORY = Path(__file__).resolve().parents[1]
PACKAGES = ("hemo_core", "hemo_trainer", "hemo_export", "hemo_worker", "hemo_cli")
FOLDERS = dict(zip(PACKAGES, ("core", "trainer", "export", "worker", "cli"), strict=True))
HEAVY = ("tensorflow", "keras", "onnxruntime", "celery", "matplotlib", "sklearn", "tf2onnx")
SAFE_TO_SKIP = re.compile(r"\b(is|looks|scan[s]? (is|are)) normal\b|\bsafe to skip\b|\brule[sd]? out\b", re.IGNORECASE)


def sources() -> list[Path]:
    return [path for folder in FOLDERS.values() for path in sorted((REPOSITORY / folder).rglob("*.py"))]


def tracked() -> list[Path]:
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=REPOSITORY, capture_output=True, text=True, check=False)
    if listed.returncode:
        pytest.skip("not a git checkout")
    return [REPOSITORY / name for name in listed.stdout.split("\0") if name and (REPOSITORY / name).is_file()]


def test_components_meet_only_in_the_core():
    path = os.pathsep.join(str(REPOSITORY / folder) for folder in FOLDERS.values())

    linted = subprocess.run(
        [str(Path(sys.executable).with_name("lint-imports")), "--no-cache"],
        cwd=REPOSITORY,
        env={**os.environ, "PYTHONPATH": path},
        capture_output=True,
        text=True,
        check=False,
    )

    assert linted.returncode == 0, linted.stdout + linted.stderr


@pytest.mark.parametrize("package", PACKAGES)
def test_importing_every_module_imports_nothing_heavy(package):
    program = (
        "import importlib, pkgutil, sys\n"
        f"package = importlib.import_module({package!r})\n"
        "for found in pkgutil.walk_packages(package.__path__, package.__name__ + '.'):\n"
        "    if not found.name.endswith(('__main__', '.keras_layers', '.keras_parts')):\n"
        "        importlib.import_module(found.name)\n"
        f"print([name for name in {HEAVY} if name in sys.modules])\n"
    )

    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)

    assert done.stdout.strip() == "[]", done.stdout + done.stderr


def test_the_error_tree_is_drawn_completely_and_codes_are_unique():
    drawn = dict(re.findall(r"([A-Z]\w+)\s+([a-z_0-9]+)", errors.__doc__ or ""))
    real = {error.__name__: error.code for error in errors.all_errors() if error.__module__ == errors.__name__}

    assert {name: drawn.get(name) for name in real} == real
    assert len(set(real.values())) == len(real)


def test_no_sentence_calls_a_scan_normal_or_safe_to_skip():
    spoken = [path for path in tracked() if path.suffix in {".py", ".html", ".md", ".js"} and "tests" not in path.parts]

    found = [
        f"{path.relative_to(REPOSITORY)}:{number}: {line.strip()}"
        for path in spoken
        for number, line in enumerate(path.read_text("utf-8").splitlines(), 1)
        if SAFE_TO_SKIP.search(line) and "never" not in line.lower() and "nothing" not in line.lower()
    ]

    assert found == []


def test_locks_have_hashes_and_name_no_index_and_no_machine():
    locks = sorted((REPOSITORY / "requirements").glob("*.txt"))
    assert {lock.stem for lock in locks} == {"base", "build", "demo", "dev", "gpu", "slim", "worker"}
    for lock in locks:
        text = lock.read_text("utf-8")
        assert not re.findall(r"://|^-|file:/|/home/| @ ", text, re.MULTILINE), lock.name
        pinned = re.findall(r"^[a-z0-9][\w.-]*==\S+(?: ; .+)? \\$", text, re.MULTILINE)
        assert len(pinned) == len(re.findall(r"^[a-z0-9][^\s#]*==", text, re.MULTILINE)), lock.name
        assert pinned, lock.name


def test_a_package_has_one_version_in_all_locks():
    versions: dict[str, set[str]] = {}
    for lock in (REPOSITORY / "requirements").glob("*.txt"):
        for name, version in re.findall(r"^([a-z0-9][\w.-]*)==(\S+)", lock.read_text("utf-8"), re.MULTILINE):
            versions.setdefault(name, set()).add(version)

    assert {name: found for name, found in versions.items() if len(found) > 1} == {}


def test_the_cpu_and_the_gpu_runtime_are_never_locked_together():
    for lock in (REPOSITORY / "requirements").glob("*.txt"):
        names = re.findall(r"^([\w.-]+)==", lock.read_text("utf-8"), re.MULTILINE)
        assert not {"onnxruntime", "onnxruntime-gpu"} <= set(names), lock.name


def test_files_stay_readable():
    longest = {path.relative_to(REPOSITORY): len(path.read_text("utf-8").splitlines()) for path in sources()}

    assert {path: lines for path, lines in longest.items() if lines > 500} == {}


@pytest.mark.skipif(not os.environ.get("HEMO_TEST_WHEEL"), reason="`make test` tests the installed wheel")
def test_the_installed_wheel_is_what_is_tested():
    for package in PACKAGES:
        place = Path(import_module(package).__file__ or "")
        assert "site-packages" in place.parts, place
        assert REPOSITORY / FOLDERS[package] not in place.parents


@pytest.mark.skipif(not os.environ.get("HEMO_TEST_WHEEL"), reason="`make test` tests the installed wheel")
def test_the_wheel_carries_bundle_licence_schema_and_types():
    names = {str(name) for name in files("hemo-batch") or ()}

    assert "hemo_core/released/LICENSE-WEIGHTS.md" in names
    assert {"hemo_core/schemas/report-1.json", "hemo_core/schemas/report-2.json"} <= names
    assert {f"{package}/py.typed" for package in PACKAGES} <= names
    assert not [name for name in names if name.startswith(("tests/", "core/", "docker/"))]
