"""``hemo-batch doctor`` tells a working machine from a broken one."""

from __future__ import annotations

from redis import Redis

from hemo_cli.failure import Exit
from hemo_core.jobs.private_broker import PrivateBroker


def test_a_working_machine_has_no_problem(hemo, tiny_bundle):
    ran = hemo("doctor", "--bundle", tiny_bundle, "--json")

    assert ran.code == Exit.DONE, ran.out
    states = {check["name"]: check for check in ran.json}
    assert states["device"]["detail"].endswith("ExecutionProvider")
    assert states["bundle"]["state"] == "ok"
    assert states["DICOM codecs"]["state"] == "ok"


def test_a_broken_bundle_and_an_absent_broker_are_named_with_what_to_do(hemo, tmp_path):
    ran = hemo("doctor", "--bundle", tmp_path, "--broker", "redis://127.0.0.1:1/0", "--json")

    assert ran.code == Exit.SCANS_FAILED
    problems = {check["name"]: check["hint"] for check in ran.json if check["state"] == "problem"}
    assert set(problems) == {"bundle", "broker"}
    assert all(problems.values())


def test_a_broker_whose_user_may_not_ask_for_its_version_answers_all_the_same(hemo, tiny_bundle, tmp_path):
    with PrivateBroker(tmp_path / "broker") as broker:
        socket = broker.url.partition("://")[2]
        with Redis(unix_socket_path=socket) as server:
            server.acl_setuser("clerk", enabled=True, passwords=["+secret"], keys=["*"], commands=["+@all", "-info"])

        ran = hemo("doctor", "--bundle", tiny_bundle, "--broker", f"redis+socket://clerk:secret@{socket}", "--json")

    check = next(check for check in ran.json if check["name"] == "broker")
    assert (check["state"], check["hint"]) == ("ok", "")
    assert check["detail"].startswith(f"redis+socket://clerk@{socket} answers")
    assert "secret" not in ran.out


def test_a_check_that_breaks_is_a_problem_and_the_others_go_on(hemo, tiny_bundle, monkeypatch):
    def broken(*_, **__):
        raise ImportError("libcudart.so.12: cannot open shared object file")

    monkeypatch.setattr("hemo_core.inference.session.Engine", broken)

    ran = hemo("doctor", "--bundle", tiny_bundle, "--json")

    states = {check["name"]: check for check in ran.json}
    assert ran.code == Exit.SCANS_FAILED
    assert "libcudart" in states["device"]["detail"]
    assert states["disk"]["state"] == "ok"
