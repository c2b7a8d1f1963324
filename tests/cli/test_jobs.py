"""From a folder to results and back, with a real private Redis and a real worker."""

from __future__ import annotations

import json
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from redis import Redis
from tiny import fp32_only

from hemo_cli.failure import Exit
from hemo_core.jobs.private_broker import PrivateBroker
from hemo_core.phantoms import PhantomSpec, make_phantom, write_dicom, write_localizer

HEMO = (sys.executable, "-c", "from hemo_cli.main import main; main()")
INTERRUPTIBLE = (  # a test runner in the background has its children ignore Ctrl-C
    sys.executable,
    "-c",
    "import signal; signal.signal(signal.SIGINT, signal.default_int_handler);from hemo_cli.main import main; main()",
)
WAIT_S = 240


@pytest.fixture(scope="module")
def ward(tmp_path_factory) -> Path:
    """Six series: one bleeds, one is a localizer, one is cut off."""
    folder = tmp_path_factory.mktemp("ward")
    for number in range(3):
        spec = PhantomSpec(number, bleed="epidural" if number == 0 else "none", rows=128, slices=12, detail="fast")
        write_dicom(make_phantom(spec), folder / f"patient-{number}")
    phantom = make_phantom(PhantomSpec(3, rows=128, slices=1, detail="fast"))
    write_localizer(phantom, folder / "scout")
    broken = write_dicom(phantom, folder / "broken")[0]
    broken.write_bytes(broken.read_bytes()[:20000])
    return folder


@pytest.fixture(scope="module")
def finished(ward, tiny_bundle, tmp_path_factory) -> Path:
    """The folder of a job on the ward that ran undisturbed, as JSON mode leaves it."""
    out = tmp_path_factory.mktemp("out")
    where = ("--out", str(out), "--bundle", str(tiny_bundle), "--job", "done", "--explainer", "onnx")
    command = (*HEMO, "submit", str(ward), *where, "--json")
    done = subprocess.run(command, capture_output=True, text=True, timeout=WAIT_S, check=False)
    assert done.returncode == Exit.SCANS_FAILED, done.stdout + done.stderr
    return out / "done"


def reports(job_dir: Path) -> dict[str, bytes]:
    return {path.parent.name: path.read_bytes() for path in job_dir.glob("scans/*/report.json")}


def probabilities(job_dir: Path) -> dict[str, list[float]]:
    """Of each scan's slices; empty for a scan that was not scored."""
    bodies = {scan_id: json.loads(body) for scan_id, body in reports(job_dir).items()}
    return {scan_id: [item["probability"] for item in body["slices"]] for scan_id, body in bodies.items()}


def test_every_scan_has_a_row_and_failed_scans_have_codes(hemo, finished):
    ran = hemo("results", finished, "--json")

    assert ran.code == Exit.DONE
    assert ran.json["outcomes"] == {"scored": 3, "rejected": 1, "failed": 1}
    assert ran.json["codes"] == {"localizer": 1, "truncated": 1}
    scores = [row["probability"] for row in ran.json["scored"] if row["label"] == ran.json["scored"][0]["label"]]
    assert scores == sorted(scores, reverse=True)
    assert Path(ran.json["page"]).is_file()


def test_the_table_ends_with_totals_the_page_and_the_disclaimer(hemo, finished):
    shown = hemo("results", finished, "--rows", 1).out

    assert "5 scans: 3 scored, 1 failed, 1 rejected" in shown
    assert str(finished / "index.html") in shown
    assert "Research use only, not a medical device" in shown
    assert "normal" not in shown


def test_status_of_a_folder_needs_no_broker(hemo, finished):
    body = hemo("status", finished, "--json").json

    assert (body["total"], body["open"], body["failed"]) == (5, 0, 1)


def test_a_folder_that_holds_everything_needs_no_broker_whatever_the_settings_say(hemo, finished, monkeypatch):
    monkeypatch.setenv("HEMO_BROKER", "redis://127.0.0.1:1/0")

    status, watch = hemo("status", finished, "--json"), hemo("watch", finished, "--json")

    assert (status.code, watch.code) == (Exit.DONE, Exit.SCANS_FAILED)
    assert status.json == watch.json
    assert (status.json["state"], status.json["total"], status.json["open"]) == ("done", 5, 0)


def test_a_folder_whose_job_the_broker_does_not_know_says_what_is_on_disk(hemo, finished, tmp_path):
    shutil.copytree(finished, tmp_path / "part")
    next((tmp_path / "part").glob("scans/*/report.json")).unlink()
    with PrivateBroker(tmp_path / "broker") as broker:
        body = hemo("status", tmp_path / "part", "--broker", broker.url, "--json").json

    assert (body["state"], body["open"]) == ("not running", 1)


def test_only_the_outputs_that_are_asked_for_are_written(hemo, ward, finished, tiny_bundle, tmp_path):
    where = ("--out", tmp_path, "--bundle", tiny_bundle, "--job", "lean", "--explainer", "onnx")

    ran = hemo("submit", ward, *where, "--outputs", "report", "--json")

    assert ran.code == Exit.SCANS_FAILED
    assert {path.name for path in (tmp_path / "lean").glob("scans/*/*")} == {"report.json"}
    assert {path.name for path in finished.glob("scans/*/*")} >= {"report.json", "index.html"}
    assert probabilities(tmp_path / "lean") == probabilities(finished)
    page = (tmp_path / "lean" / "index.html").read_text("utf-8")
    assert '"page":null' in page
    assert "scans/" in page


@pytest.mark.parametrize(
    ("given", "hint"),
    [
        (("--outputs", "repport"), "'repport' is no output; did you mean report?"),
        (("--outputs", "report,"), "'' is no output; known are page, pictures, report"),
        (("--outputs", "page", "--outputs", "pdf"), "'pdf' is no output"),
    ],
)
def test_an_unknown_output_is_a_usage_error_that_names_the_nearest(hemo, ward, given, hint):
    ran = hemo("submit", ward, *given, "--json")

    assert ran.code == Exit.USAGE
    assert hint in ran.json["error"]["message"]


@pytest.mark.parametrize("name", ["../evil", "/evil", ".hidden", "a b", ""])
def test_a_name_that_is_no_folders_name_is_a_usage_error(hemo, ward, tiny_bundle, name):
    ran = hemo("submit", ward, "--bundle", tiny_bundle, "--job", name, "--json")

    assert ran.code == Exit.USAGE
    assert "--job" in ran.json["error"]["message"]


def test_a_password_is_never_printed(hemo, ward, tiny_bundle, tmp_path):
    with PrivateBroker(tmp_path / "broker") as broker:
        socket = broker.url.partition("://")[2]
        with Redis(unix_socket_path=socket) as server:
            server.acl_setuser(
                "clerk", enabled=True, passwords=["+secret"], keys=["*"], channels=["*"], commands=["+@all"]
            )
        url = f"redis+socket://clerk:secret@{socket}"
        ran = [
            hemo("submit", ward, "--broker", url, "--bundle", tiny_bundle, "--job", "j", "--no-wait", "--json"),
            hemo("status", "--broker", url),
            hemo("status", "nothing", "--broker", url),
        ]

    assert [one.code for one in ran] == [Exit.DONE, Exit.DONE, Exit.USAGE], [one.err for one in ran]
    assert ran[0].json["broker"] == f"redis+socket://clerk@{socket}"
    for url in (
        "redis://:secret@127.0.0.1:1/0",
        "redis://127.0.0.1:1/0?password=secret",
        "clerk:secret@h",
        "redis://:secret@h:x",
        "redis://:top/secret@127.0.0.1:1/0",
        "redis://:top#secret@127.0.0.1:1/0",
        "redis://:secret@127.0.0.1:1?db=x",
        "redis://:secret@127.0.0.1:1?no_such_option=1",
    ):
        ran.append(hemo("status", "--broker", url))
        assert ran[-1].code == Exit.BROKER, url
    assert all("secret" not in one.out + one.err for one in ran)


def test_metrics_of_a_broker_that_refuses_a_command_say_that_it_is_of_no_use(hemo, ward, tiny_bundle, tmp_path):
    with PrivateBroker(tmp_path / "broker") as broker:
        socket = broker.url.partition("://")[2]
        hemo("submit", ward, "--broker", broker.url, "--bundle", tiny_bundle, "--job", "j", "--no-wait")
        with Redis(unix_socket_path=socket) as server:
            server.acl_setuser("clerk", enabled=True, nopass=True, keys=["*"], commands=["+@all", "-llen"])

        ran = hemo("metrics", "--broker", f"redis+socket://clerk:x@{socket}", "--json")

    assert (ran.code, ran.json) == (Exit.DONE, {"hemo_batch_broker_up": 0})


def test_a_finished_job_is_not_overwritten(hemo, finished, ward, tiny_bundle):
    ran = hemo("submit", ward, "--out", finished.parent, "--bundle", tiny_bundle, "--job", "done", "--json")

    assert ran.code == Exit.USAGE
    assert ran.json["error"]["code"] == "job_exists"


@pytest.mark.slow
def test_ctrl_c_leaves_a_job_that_resume_finishes_with_the_same_reports(finished, ward, tiny_bundle, tmp_path):
    many = tmp_path / "many"
    for number in range(8):
        shutil.copytree(ward, many / str(number))  # duplicates: rows of their own
    command = (
        *INTERRUPTIBLE,
        "submit",
        str(many),
        "--out",
        str(tmp_path),
        "--bundle",
        str(tiny_bundle),
        "--job",
        "broken",
        "--explainer",
        "onnx",
    )
    job_dir = tmp_path / "broken"
    running = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
    deadline = time.monotonic() + WAIT_S
    while not reports(job_dir) and time.monotonic() < deadline:
        assert running.poll() is None, running.stderr.read()
        time.sleep(0.02)
    running.send_signal(signal.SIGINT)
    _, said = running.communicate(timeout=WAIT_S)

    assert running.returncode == Exit.INTERRUPTED, said
    assert f"hemo-batch resume {job_dir}" in said
    assert 0 < len(reports(job_dir)) < 40
    resumed = subprocess.run(
        (*HEMO, "resume", str(job_dir), "--json"), capture_output=True, text=True, timeout=WAIT_S, check=False
    )
    assert resumed.returncode == Exit.SCANS_FAILED, resumed.stdout + resumed.stderr
    assert len(reports(job_dir)) == 40
    interrupted, undisturbed = probabilities(job_dir), probabilities(finished)
    assert any(undisturbed.values())
    assert {scan_id: interrupted[scan_id] for scan_id in undisturbed} == undisturbed


def test_one_picture_prints_its_label_its_probability_and_its_overlay(hemo, tiny_bundle, tmp_path):
    from hemo_core.phantoms import write_png

    phantom = make_phantom(PhantomSpec(5, bleed="intraparenchymal", bleed_size=1.0, rows=256, detail="fast"))
    bloodiest = max(range(len(phantom.blood_voxels)), key=phantom.blood_voxels.__getitem__)
    picture = write_png(phantom, tmp_path / "in", [bloodiest])[0]

    ran = hemo("submit", picture, "--bundle", tiny_bundle, "--explainer", "onnx")

    assert ran.code == Exit.DONE, ran.err
    assert "probability 0." in ran.out
    if "hemorrhage suspected" in ran.out:
        assert "slice-001.png" in ran.out


def test_no_wait_without_a_broker_makes_no_sense(hemo, ward):
    ran = hemo("submit", ward, "--no-wait", "--json")

    assert ran.code == Exit.USAGE
    assert "broker" in ran.json["error"]["hint"]


def test_a_precision_that_the_bundle_lacks_is_refused_before_anything_is_written(hemo, ward, tiny_bundle, tmp_path):
    bundle = fp32_only(tiny_bundle, tmp_path / "fp32")
    ran = hemo("submit", ward, "--out", tmp_path / "out", "--bundle", bundle.path, "--precision", "int8", "--json")
    assert ran.code == Exit.BUNDLE
    assert ran.json["error"]["code"] == "precision_refused"
    assert not (tmp_path / "out").exists()


def test_an_unreachable_broker_has_its_own_exit_code(hemo, ward, tiny_bundle):
    ran = hemo("submit", ward, "--broker", "redis://127.0.0.1:1/0", "--bundle", tiny_bundle, "--json")

    assert ran.code == Exit.BROKER
    assert ran.json["error"]["code"] == "broker_unreachable"


def test_a_path_that_is_not_there_is_a_usage_error(hemo, tmp_path, tiny_bundle):
    ran = hemo("submit", tmp_path / "nowhere", "--bundle", tiny_bundle, "--json")

    assert ran.code == Exit.USAGE
    assert ran.json["error"]["code"] == "no_input"


def test_a_root_that_is_not_there_is_a_usage_error(hemo, ward, tiny_bundle, tmp_path):
    ran = hemo("submit", ward, "--bundle", tiny_bundle, "--root", f"a={tmp_path / 'nowhere'}", "--json")

    assert (ran.code, ran.json["error"]["code"]) == (Exit.USAGE, "root_not_mounted")


def test_cuda_without_a_gpu_is_an_error_never_the_cpu(hemo, ward, tiny_bundle):
    import onnxruntime

    if "CUDAExecutionProvider" in onnxruntime.get_available_providers():
        pytest.skip("this machine may have a GPU")

    ran = hemo("submit", ward, "--device", "cuda", "--bundle", tiny_bundle, "--json")

    assert ran.code == Exit.DEVICE
    assert ran.json["error"]["code"] == "device_unavailable"
