"""``hemo-batch export`` as a person and as a program see it."""

from __future__ import annotations

from pathlib import Path

import pytest
from tiny import run_of


@pytest.mark.slow
@pytest.mark.tensorflow
def test_progress_goes_to_one_stream_and_the_document_to_the_other(hemo, tiny_bundle: Path, tmp_path: Path):
    run = run_of(tiny_bundle, tmp_path / "run")
    ran = hemo("export", run, "--out", tmp_path / "bundles", "--version", "2.0.0", "--json")
    assert ran.code == 0, ran.err
    assert ran.json["version"] == "2.0.0"
    assert ran.json["gates"]["data"]["origin"] == "phantoms"
    assert ran.json["variants"]["fp32"]["benchmark"]["ms_per_slice"].keys() == {"1", "8", "32"}
    for gate in ("valid graphs", "operators", "contract", "numeric parity", "heat maps", "task parity"):
        assert any("passed" in line and f"fp32 {gate}" in line for line in ran.err.splitlines()), ran.err
    again = hemo("export", run, "--out", tmp_path / "bundles", "--version", "2.0.0", "--json")
    assert (again.code, again.json["error"]["code"]) == (1, "export_failed")


@pytest.mark.tensorflow
@pytest.mark.parametrize("wrong", [("--name", "../evil"), ("--version", "../1.0.0"), ("--version", "abc")])
def test_a_name_that_leads_elsewhere_is_refused_before_anything_is_removed(hemo, tiny_bundle, tmp_path, wrong):
    run = run_of(tiny_bundle, tmp_path / "run")
    kept = tmp_path / "evil-0.1.0.failed" / "precious"
    kept.parent.mkdir()
    kept.touch()

    ran = hemo("export", run, "--out", tmp_path / "bundles", *wrong, "--json")

    assert (ran.code, ran.json["error"]["code"]) == (2, "usage")
    assert kept.exists()


def test_the_table_has_a_row_for_each_precision(tiny_bundle: Path):
    from hemo_core.bundle import open_bundle
    from hemo_export.table import COLUMNS, rows

    found = rows(open_bundle(tiny_bundle).content)
    assert [row[0] for row in found] == ["fp32", "fp16", "int8"]
    assert {len(row) for row in found} == {len(COLUMNS)}
    for row in found:
        assert (row[1] == "yes") == (row[2] != "–")
