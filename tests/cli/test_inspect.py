"""``hemo-batch inspect`` says what a job would do."""

from __future__ import annotations

import csv

import pytest

from hemo_cli.failure import Exit
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


def test_the_pixel_hashes_do_not_depend_on_names_and_packing_of_files(hemo, study, tmp_path):
    again = make_phantom(PhantomSpec(1, rows=128, slices=10, tilt_deg=12, detail="fast"))
    write_dicom(again, tmp_path / "other", DicomOptions(syntax="rle"))

    first = hemo("inspect", study / "head", "--hash", "--json").json["scans"][0]["files"]
    second = hemo("inspect", tmp_path / "other", "--hash", "--json").json["scans"][0]["files"]

    hashes = {file["pixels_sha256"] for file in first}
    assert hashes == {file["pixels_sha256"] for file in second}
    assert len(hashes) == 10
    assert all(digest in hemo("inspect", study / "head", "--hash").out for digest in hashes)


def test_the_pixel_hash_of_each_real_file_is_the_published_one(hemo, real_data):
    with (real_data / "codecs" / "files.csv").open(newline="") as stream:
        published = {row["file"]: row["sha256_of_decoded_int16"] for row in csv.DictReader(stream)}

    scans = hemo("inspect", real_data / "codecs", "--hash", "--json").json["scans"]

    files = {file["path"]: file for scan in scans for file in scan["files"]}
    assert {path: file["pixels_sha256"] for path, file in files.items()} == published
    assert [path for path, file in files.items() if "block_artefacts" in file["quality"]] == ["693_UNCI.dcm"]
    assert all(file["error"] is None for file in files.values())


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
