"""``hemo-batch doctor`` tells a working machine from a broken one."""

from __future__ import annotations

from hemo_cli.failure import Exit


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
