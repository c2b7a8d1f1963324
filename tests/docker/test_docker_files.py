"""What can be known about the container files without a container engine."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
import yaml
from needs import absent

from hemo_cli.main import cli, run
from hemo_core.errors import BrokerError, BundleMissing

REPOSITORY = Path(__file__).resolve().parents[2]
DOCKER = REPOSITORY / "docker"
WORKERS = {"worker": "cpu", "worker-slim": "slim", "worker-gpu": "gpu"}


@pytest.fixture(scope="module")
def compose():
    return yaml.safe_load((DOCKER / "compose.yaml").read_text())


@pytest.fixture(scope="module")
def dockerfile():
    """Instructions with their continuation lines joined, comments dropped."""
    lines = [line for line in (DOCKER / "Dockerfile").read_text().splitlines() if not line.lstrip().startswith("#")]
    return re.sub(r"\\\n\s*", " ", "\n".join(lines)).splitlines()


@pytest.fixture(scope="module")
def prometheus():
    return yaml.safe_load((DOCKER / "prometheus" / "prometheus.yml").read_text())


def test_every_copied_path_is_in_the_repository_and_let_through_to_the_build(dockerfile):
    allowed = [line[1:] for line in (DOCKER / "Dockerfile.dockerignore").read_text().splitlines() if line[:1] == "!"]
    sources = [
        source
        for line in dockerfile
        if line.startswith("COPY") and "--from" not in line
        for source in line.split()[1:-1]
    ]
    assert sources
    for source in sources:
        assert (REPOSITORY / source).exists(), source
        assert any(Path(source).match(rule.rstrip("/")) for rule in allowed), source


def test_every_stage_that_is_copied_from_or_built_exists(dockerfile, compose):
    stages = {line.split(" AS ")[1] for line in dockerfile if line.startswith("FROM")}
    copied = {match for line in dockerfile for match in re.findall(r"--from=(\S+)", line)}
    built = {service["build"]["target"] for service in compose["services"].values() if "build" in service}
    assert copied | built <= stages
    assert built == set(WORKERS.values())


def test_images_run_as_a_plain_user_from_pinned_parts(dockerfile, compose):
    (base,) = (line for line in dockerfile if line.startswith("ARG PYTHON_IMAGE="))
    assert re.fullmatch(r"ARG PYTHON_IMAGE=python:\d+\.\d+\.\d+-slim-\w+@sha256:[0-9a-f]{64}", base)
    assert "USER 10001:10001" in dockerfile
    installs = [line for line in dockerfile if "pip" in line and " install " in line and "apt-get" not in line]
    assert len(installs) == 7
    assert all("--require-hashes" in line or "--no-index" in line for line in installs)
    foreign = [
        service["image"] for service in compose["services"].values() if not service["image"].startswith("hemo-batch:")
    ]
    assert all(re.search(r":v?\d+\.\d+\.\d+", image) for image in foreign)


@pytest.mark.parametrize("lock", ["worker.txt", "slim.txt", "gpu.txt", "build.txt"])
def test_the_locks_that_images_install_carry_hashes(lock, dockerfile):
    text = (REPOSITORY / "requirements" / lock).read_text()
    assert f"requirements/{lock}" in "\n".join(dockerfile)
    pins = re.findall(r"^([a-z0-9._-]+)==", text, re.MULTILINE)
    assert pins
    assert text.count("==") <= text.count("--hash=sha256:")
    assert not ({"onnxruntime", "onnxruntime-gpu"} <= set(pins))


@pytest.mark.parametrize(("lock", "extra"), [("worker.txt", "worker"), ("slim.txt", "slim"), ("gpu.txt", "gpu")])
def test_the_locks_pin_whatever_the_project_asks_for(lock, extra):
    project = tomllib.loads((REPOSITORY / "pyproject.toml").read_text())["project"]
    asked = {
        re.match(r"[\w-]+", text)[0] for text in (*project["dependencies"], *project["optional-dependencies"][extra])
    }
    pins = re.findall(r"^([a-z0-9._-]+)==", (REPOSITORY / "requirements" / lock).read_text(), re.MULTILINE)
    assert asked <= set(pins)


def test_the_slim_image_holds_no_tensorflow_and_asks_for_none(dockerfile, compose):
    pins = re.findall(r"^([a-z0-9._-]+)==", (REPOSITORY / "requirements" / "slim.txt").read_text(), re.MULTILINE)

    assert not ({"tensorflow", "keras"} & set(pins))
    assert "--explainer=onnx" in compose["services"]["worker-slim"]["command"]
    assert any("HEMO_EXPLAINER=onnx" in line for line in dockerfile)


@pytest.mark.parametrize("service", [*WORKERS, "submit"])
def test_every_command_is_one_that_the_command_line_knows(service, compose):
    name, *arguments = compose["services"][service]["command"]
    command = cli.get_command(None, name)
    assert command is not None, name
    flags = {flag for parameter in command.params for flag in parameter.opts}
    for argument in arguments:
        if argument.startswith("--"):
            assert argument.partition("=")[0] in flags, argument


@pytest.mark.parametrize("service", ["worker", "worker-slim"])
def test_a_worker_command_line_parses_as_far_as_the_broker(service, compose, monkeypatch, tmp_path, capsys):
    """Everything is real but the mounts and the broker, which do not exist here: the worker gets as far as them."""
    monkeypatch.chdir(tmp_path)
    arguments = [
        argument.replace("redis:6379", "127.0.0.1:1")
        .replace("=/scans", f"={tmp_path}")
        .replace("=/out", f"={tmp_path}")
        for argument in compose["services"][service]["command"]
    ]
    assert run(arguments) in (BrokerError.exit_code, BundleMissing.exit_code)
    assert re.search(r"127\.0\.0\.1:1|no model bundle", capsys.readouterr().err)


@pytest.mark.parametrize("service", WORKERS)
def test_a_worker_can_write_nothing_but_reports(service, compose):
    worker = compose["services"][service]
    mounts = {mount["target"]: mount.get("read_only", False) for mount in worker["volumes"]}
    assert mounts == {"/scans": True, "/out": False}
    assert worker["read_only"] is True
    assert worker["cap_drop"] == ["ALL"]
    assert f"--device={'cuda' if service == 'worker-gpu' else 'cpu'}" in worker["command"]
    roots = {argument.removeprefix("--root=") for argument in worker["command"] if argument.startswith("--root=")}
    assert roots == {"scans=/scans", "out=/out"}


def test_the_broker_keeps_its_queue_and_is_reachable_from_inside_only(compose):
    redis = compose["services"]["redis"]
    assert "ports" not in redis
    assert compose["networks"]["backend"]["internal"] is True
    assert redis["networks"] == ["backend"]
    assert redis["command"][redis["command"].index("--appendonly") + 1] == "yes"
    assert {volume.split(":")[1] for volume in redis["volumes"]} == {"/data"}
    assert "test" in redis["healthcheck"]
    ports = [port for service in compose["services"].values() for port in service.get("ports", [])]
    assert all(port.startswith("127.0.0.1:") for port in ports)


def test_prometheus_scrapes_the_port_on_which_every_worker_serves(prometheus, compose, dockerfile):
    (job,) = prometheus["scrape_configs"]
    (found,) = job["dns_sd_configs"]
    assert set(found["names"]) == set(WORKERS)
    for service in found["names"]:
        worker = compose["services"][service]
        assert f"--metrics-port={found['port']}" in worker["command"]
        assert worker["expose"] == [str(found["port"])]
        assert set(worker["networks"]) & set(compose["services"]["prometheus"]["networks"])
    assert f"EXPOSE {found['port']}" in dockerfile


def test_every_metric_asked_for_is_one_that_workers_serve():
    source = (REPOSITORY / "worker" / "hemo_worker" / "metrics.py").read_text()
    asked = set()
    for path in (DOCKER / "prometheus" / "rules.yml", DOCKER / "grafana" / "dashboards" / "hemo-batch.json"):
        asked |= set(re.findall(r"hemo_batch_(\w+)", path.read_text()))
    assert len(asked) > 10
    for name in asked:
        family = re.sub(r"_(total|bucket|sum|count)$", "", name)
        assert f'"{family}"' in source, name


def test_the_dashboard_uses_the_data_source_that_is_provisioned():
    (source,) = yaml.safe_load((DOCKER / "grafana/provisioning/datasources/prometheus.yml").read_text())["datasources"]
    dashboard = json.loads((DOCKER / "grafana/dashboards/hemo-batch.json").read_text())
    assert {panel["datasource"]["uid"] for panel in dashboard["panels"]} == {source["uid"]}
    assert source["url"] == "http://prometheus:9090"


@pytest.mark.parametrize(
    ("tool", "arguments"),
    [
        ("hadolint", ["docker/Dockerfile"]),
        ("promtool", ["check", "config", "docker/prometheus/prometheus.yml"]),
        ("promtool", ["check", "rules", "docker/prometheus/rules.yml"]),
    ],
)
def test_the_linters_find_nothing(tool, arguments):
    here = Path(sys.executable).parent  # the lock installs hadolint
    found = shutil.which(tool, path=here) or shutil.which(tool) or absent(tool)
    result = subprocess.run([found, *arguments], cwd=REPOSITORY, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stdout + result.stderr
