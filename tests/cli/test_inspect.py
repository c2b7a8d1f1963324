"""``hemo-batch inspect`` says what a job would do."""

from __future__ import annotations

import pytest

from hemo_cli.exits import Exit
from hemo_core.phantoms import DicomOptions, PhantomSpec, make_phantom, write_dicom, write_localizer


@pytest.fixture
def study(tmp_path):
    phantom = make_phantom(PhantomSpec(1, rows=128, slices=10, tilt_deg=12, detail="fast"))
    write_dicom(phantom, tmp_path / "in" / "head", DicomOptions(shuffled=True))
    write_localizer(phantom, tmp_path / "in" / "scout")
    (tmp_path / "in" / "notes.txt").write_text("nothing")
    return tmp_path / "in"


def test_each_file_ends_in_one_place_with_a_reason(hemo, study):
    ran = hemo("inspect", study, "--json")

    assert ran.code == Exit.DONE
    by_path = {row["path"]: row for row in ran.json["scans"]}
    head = by_path["head"]
    assert (head["would"], head["slices"], head["order_from"]) == ("score", 10, "position")
    assert head["tilt_deg"] == pytest.approx(12, abs=0.1)
    assert "gantry_tilt" in head["quality"]
    assert by_path["scout/localizer.dcm"]["code"] == "localizer"
    assert [row["path"] for row in ran.json["ignored"]] == ["notes.txt"]


def test_the_pixel_hash_does_not_depend_on_names_and_order_of_files(hemo, study, tmp_path):
    again = make_phantom(PhantomSpec(1, rows=128, slices=10, tilt_deg=12, detail="fast"))
    write_dicom(again, tmp_path / "other", DicomOptions())

    first = hemo("inspect", study / "head", "--hash", "--json").json["scans"][0]["pixel_hash"]
    second = hemo("inspect", tmp_path / "other", "--hash", "--json").json["scans"][0]["pixel_hash"]

    assert first == second
    assert len(first) == 64


def test_an_overridden_rejection_is_scored(hemo, study):
    rows = hemo("inspect", study, "--override", "localizer", "--all-series", "--json").json["scans"]

    assert all(row["code"] != "localizer" for row in rows)


def test_an_unknown_override_names_the_known_ones(hemo, study):
    ran = hemo("inspect", study, "--override", "scouts", "--json")

    assert ran.code == Exit.USAGE
    assert "localizer" in ran.json["error"]["hint"]


def test_a_scan_that_would_fail_sets_the_exit_code(hemo, tmp_path):
    (tmp_path / "empty.dcm").touch()

    ran = hemo("inspect", tmp_path / "empty.dcm")

    assert ran.code == Exit.SCANS_FAILED
    assert "empty_file" in ran.out
