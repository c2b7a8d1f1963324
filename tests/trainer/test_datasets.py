"""Each adapter on phantoms in its layout: the same rows, and the same pixels as a picture of the same slice."""

import os
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from layouts import (
    SLICES,
    head,
    labels,
    write_cq500,
    write_physionet,
    write_plain,
    write_rsna,
    write_table,
)

from hemo_core.bundle.contract import InputContract
from hemo_core.errors import DatasetError, SettingsError
from hemo_core.phantoms import write_dicom, write_nifti, write_png
from hemo_trainer.config import SplitConfig, load_config
from hemo_trainer.data.cache import cached_slices, pixels_key, prepared_picture, readable_slices
from hemo_trainer.data.check import check_data, sources_of
from hemo_trainer.data.pictures import mask_of
from hemo_trainer.data.prepared import load_sources
from hemo_trainer.datasets import DataSource, read_dataset, read_source
from hemo_trainer.datasets.hemorrhage import HEMORRHAGE, SUBTYPES
from hemo_trainer.datasets.layouts import detect_source, named_sources
from hemo_trainer.datasets.record import SliceRecord, by_series, exam_label, fingerprint
from hemo_trainer.datasets.thin import average_thin

CONTRACT = InputContract(height=64, width=64)
BLEEDS, QUIET = head(1, "intraparenchymal"), head(2)


def read(layout: str, path: Path, cache: Path | None = None) -> list[SliceRecord]:
    assert detect_source(path) == DataSource(layout, str(path))
    return read_source(DataSource(layout, str(path)), cache)


def same_as_pictures(records: list[SliceRecord], phantom, folder: Path) -> bool:
    """Whether the cached pixels of a series are those of the phantom's slices saved as pictures."""
    pixels = cached_slices(records, CONTRACT, folder / "cache")
    pictures = [prepared_picture(path, CONTRACT).pixels[0] for path in write_png(phantom, folder / "pictures")]
    return np.array_equal(pixels, np.stack(pictures))


@pytest.mark.parametrize("upside_down", [False, True])
def test_physionet_volumes_give_a_row_a_slice_in_order_whichever_way_they_are_stored(tmp_path: Path, upside_down: bool):
    records = read("ct-ich", write_physionet(tmp_path / "ich", [BLEEDS, QUIET], upside_down=upside_down))
    first, second = by_series(records)
    assert [r.patient_key for r in (first[0], second[0])] == ["ct-ich/049", "ct-ich/050"]
    assert [r.label for r in first] == labels(BLEEDS)
    assert [r.frame for r in first] == [r.order for r in first] == list(range(SLICES))
    assert [[r.labels[name] for name in SUBTYPES] for r in first if r.label] == [[0, 0, 0, 1, 0]] * sum(labels(BLEEDS))
    assert same_as_pictures(list(first), BLEEDS, tmp_path)
    drawn = [mask_of(r) for r in first]
    assert [int(mask.sum()) for mask in drawn] == list(BLEEDS.blood_voxels)
    assert np.array_equal(drawn[3], BLEEDS.blood[3])


def test_rsna_rows_come_from_the_table_and_series_from_the_headers(tmp_path: Path):
    folder = write_rsna(tmp_path / "rsna", [("ID_p1", BLEEDS), ("ID_p2", QUIET), ("ID_p1", head(3, "subdural"))])
    records = read("rsna-2019", folder, tmp_path / "cache")
    series = by_series(records)
    assert [(one[0].patient, len(one), exam_label(one)) for one in series] == [
        ("ID_p1", SLICES, 1),
        ("ID_p1", SLICES, 1),
        ("ID_p2", SLICES, 0),
    ]
    mine = next(list(one) for one in series if one[0].path.stem.startswith("ID_00"))
    assert [r.label for r in mine] == labels(BLEEDS)
    assert [r.order for r in mine] == list(range(SLICES))
    assert same_as_pictures(mine, BLEEDS, tmp_path)
    assert read_source(DataSource("rsna-2019", str(folder)), tmp_path / "cache") == records, "the index is found again"


def test_an_rsna_table_that_contradicts_itself_is_refused(tmp_path: Path):
    folder = write_rsna(tmp_path, [("ID_p1", QUIET)])
    table = folder / "stage_2_train.csv"
    first = table.read_text().splitlines()[1].split(",")[0]
    table.write_text(table.read_text() + f"{first},1\n")
    with pytest.raises(DatasetError, match=f"labels {first} both 0 and 1"):
        read_source(DataSource("rsna-2019", str(folder)))


def test_cq500_exams_bleed_by_majority_and_count_as_exams_only(tmp_path: Path):
    folder = write_cq500(tmp_path / "cq", [(BLEEDS, (1, 0, 1)), (QUIET, (0, 0, 1))])
    records = read("cq500", folder)
    series = by_series(records)
    assert [(one[0].patient, len(one), exam_label(one)) for one in series] == [
        ("CQ500-CT-0", SLICES, 1),
        ("CQ500-CT-1", SLICES, 0),
    ]
    assert all(r.label is None and not r.labels for r in records)
    assert same_as_pictures(list(series[0]), BLEEDS, tmp_path)


def test_a_table_lists_pictures_dicom_files_and_volumes_together(tmp_path: Path):
    picture = write_png(BLEEDS, tmp_path / "pictures", [3])[0].relative_to(tmp_path)
    dicom = write_dicom(BLEEDS, tmp_path / "dicom")[3].relative_to(tmp_path)
    volume = write_nifti(BLEEDS, tmp_path / "volume.nii.gz").relative_to(tmp_path)
    table = write_table(
        tmp_path / "mine.csv",
        ("path", "patient", "study", "slice", "label", "frame", "subdural", "split", "boxes"),
        [
            [picture, "a", "", 0, 1, "", 1, "train", "1 2 3 4; 5 6 7 8"],
            [dicom, "a", "", 1, "", "", "", "train", ""],
            [volume, "b", "first", 0, 0, 3, "", "test", ""],
            [write_png(QUIET, tmp_path, [2])[0].name, "", "", "", 0, "", "", "", ""],
        ],
    )
    records = read("csv", table)
    assert [(r.patient_key, r.label, r.single, r.split) for r in records] == [
        ("mine/a", 1, False, "train"),
        ("mine/a", None, False, "train"),
        ("mine/b", 0, False, "test"),
        ("mine/phantom-002-002.png", 0, True, None),
    ]
    assert records[0].boxes == ((1, 2, 3, 4), (5, 6, 7, 8))
    assert [r.labels["subdural"] for r in records] == [1, None, 0, 0]
    pixels = cached_slices(records, CONTRACT, tmp_path / "cache")
    assert np.array_equal(pixels[0], pixels[1])
    assert np.array_equal(pixels[0], pixels[2])


@pytest.mark.parametrize(
    ("row", "words"),
    [
        (["a.png", "p", "", 0, 2], "label is '2', not 0 or 1"),
        (["a.png", "p", "", "x", 1], "slice is 'x', not a whole number"),
        (["", "p", "", 0, 1], "row 1 has no path"),
    ],
)
def test_a_malformed_row_is_named(tmp_path: Path, row: list, words: str):
    table = write_table(tmp_path / "mine.csv", ("path", "patient", "study", "slice", "label"), [row])
    with pytest.raises(DatasetError, match=words):
        read_source(DataSource("csv", str(table)))


def test_a_thin_series_is_averaged_as_a_worker_averages_it(tmp_path: Path):
    thin = head(4, "intraparenchymal", spacing_mm=1.25, slices=24)
    folder = write_physionet(tmp_path, [thin])
    contract = replace(CONTRACT, slice_spacing_mm=15.0)
    records = average_thin(read_source(DataSource("ct-ich", str(folder))), contract.slice_spacing_mm)
    assert len(records) == 6
    assert [len(r.averaged) for r in records] == [4] * 6
    assert [r.label for r in records] == [max(labels(thin)[at : at + 4]) for at in range(0, 24, 4)]

    from hemo_core.scans.preprocess import prepare
    from hemo_trainer.data.pictures import read_file

    worker = prepare(read_file(folder / "ct_scans" / "049.nii"), contract).pixels
    assert np.array_equal(cached_slices(records, contract, tmp_path / "cache"), worker)


def test_everything_that_is_missing_or_damaged_is_named_at_once(tmp_path: Path):
    folder = write_physionet(tmp_path / "ich", [BLEEDS, QUIET, head(3)])
    (folder / "ct_scans" / "049.nii").unlink()
    damaged = folder / "ct_scans" / "051.nii"
    damaged.write_bytes(damaged.read_bytes()[:200])
    with pytest.raises(DatasetError, match=r"2 files cannot be used: .*049\.nii.*not there; .*051\.nii.*damaged"):
        read_source(DataSource("ct-ich", str(folder)))
    kept = read_source(DataSource("ct-ich", str(folder), skip_unreadable=True))
    assert {r.patient for r in kept} == {"050"}
    codes = sorted(problem.code for problem in read_dataset(DataSource("ct-ich", str(folder))).problems)
    assert codes == ["decode_failed", "file_missing"]


def test_pictures_that_cannot_be_decoded_stop_training_unless_they_may_be_skipped(tmp_path: Path):
    write_plain(tmp_path / "ward", QUIET, "p1")
    for number in (1, 4):
        broken = next((tmp_path / "ward" / "Normal" / "p1").glob(f"*{number:03d}.png"))
        broken.write_bytes(broken.read_bytes()[:300])
    records = read_source(DataSource("folder", str(tmp_path / "ward")))
    with pytest.raises(DatasetError, match=r"2 files cannot be used: .*001\.png.*; .*004\.png"):
        readable_slices(records, CONTRACT, tmp_path / "cache", frozenset())
    for _ in ("decoded", "remembered"):
        kept, pixels, skipped = readable_slices(records, CONTRACT, tmp_path / "cache", frozenset({"ward"}))
        assert len(kept) == len(pixels) == SLICES - 2
        assert [problem.code for problem in skipped] == ["truncated", "truncated"]


def test_the_fingerprint_of_plain_pictures_is_that_of_earlier_versions(tmp_path: Path):
    path = tmp_path / "1.png"
    path.write_bytes(b"123")
    found = fingerprint([SliceRecord("ward", "p", 2, path, {HEMORRHAGE: 1})])
    assert found == "c5b34671706c03ef4094bf23cd3e9cc6d38eebac6195411f90ef0dc35c343f5d"
    assert fingerprint([SliceRecord("ward", "p", 2, path, {HEMORRHAGE: 1}, frame=0)]) != found


def test_pixels_are_kept_by_the_bytes_of_the_files_whatever_is_labelled(tmp_path: Path):
    write_plain(tmp_path / "ward", QUIET, "p1")
    records = read_source(DataSource("folder", str(tmp_path / "ward")))
    cache = tmp_path / "cache"
    before = pixels_key(records, CONTRACT, cache)
    relabelled = [replace(record, labels={"mass_effect": 1}, patient="other") for record in records]
    assert pixels_key(relabelled, CONTRACT, cache) == before
    path, times = records[2].path, records[2].path.stat()
    changed = bytearray(path.read_bytes())
    changed[-20] ^= 1
    path.write_bytes(changed)
    os.utime(path, ns=(times.st_atime_ns, times.st_mtime_ns))
    assert path.stat().st_size == times.st_size
    assert pixels_key(records, CONTRACT, cache) != before


def test_pixels_that_another_version_prepared_are_not_reused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    write_plain(tmp_path / "ward", QUIET, "p1")
    records = read_source(DataSource("folder", str(tmp_path / "ward")))
    before = pixels_key(records, CONTRACT, tmp_path / "cache")
    monkeypatch.setattr("hemo_trainer.data.cache.VERSION", -1)
    assert pixels_key(records, CONTRACT, tmp_path / "cache") != before


def test_two_sources_of_one_layout_stand_side_by_side(tmp_path: Path):
    for ward, phantom in (("north/ich", BLEEDS), ("south/ich", QUIET)):
        write_physionet(tmp_path / ward, [phantom])
    config = tmp_path / "two.toml"
    config.write_text("".join(f'[[sources]]\nlayout = "ct-ich"\npath = "{ward}/ich"\n' for ward in ("north", "south")))
    names = [source.name for source in load_config(config).sources]
    assert names == ["ct-ich", "ct-ich-ich"]
    data = load_sources(load_config(config).sources, SplitConfig(), CONTRACT, tmp_path / "cache")
    assert {record.patient_key for record in data.records} == {"ct-ich/049", "ct-ich-ich/049"}


def test_a_source_keeps_the_name_it_is_given_and_no_two_have_one():
    one, other = DataSource("folder", "/a/ward", "mine"), DataSource("folder", "/b/ward")
    assert [source.name for source in named_sources([one, other])] == ["mine", "ward"]
    assert [source.name for source in named_sources([other, replace(one, name="")])] == ["ward", "folder-ward"]
    with pytest.raises(SettingsError, match="two sources are named 'mine'"):
        named_sources([one, replace(other, name="mine")])
    with pytest.raises(SettingsError, match="/b/ward: is a source twice"):
        named_sources([other, replace(other, name="again")])


def test_one_module_is_all_that_a_new_layout_needs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    from hemo_trainer.datasets import layouts as package

    (tmp_path / "modules").mkdir()
    (tmp_path / "modules" / "dummy_layout.py").write_text(
        "from pathlib import Path\n"
        "from hemo_trainer.datasets.layout import Layout\n"
        "from hemo_trainer.datasets.reading import Reading\n"
        "from hemo_trainer.datasets.record import SliceRecord\n"
        "def read(source, findings, cache):\n"
        "    path = Path(source.path) / 'only.png'\n"
        "    return Reading((SliceRecord(source.name, 'p', 0, path, {findings[0]: 1}),))\n"
        "LAYOUTS = (Layout('dummy', read, lambda folder: (folder / 'only.png').is_file()),)\n"
    )
    monkeypatch.setattr(package, "__path__", [*package.__path__, str(tmp_path / "modules")])
    package.layouts.cache_clear()
    try:
        write_png(QUIET, tmp_path / "ward", [2])[0].rename(tmp_path / "ward" / "only.png")
        config = tmp_path / "mine.toml"
        config.write_text('sources = [{layout = "dummy", path = "ward"}]\nfindings = ["mass_effect"]\n')
        (source,) = load_config(config).sources
        assert detect_source(tmp_path / "ward") == replace(source, name="")
        (record,) = read_source(source, findings=("mass_effect",))
        assert (record.patient_key, record.label) == ("dummy/p", 1)
    finally:
        package.layouts.cache_clear()


def test_class_folders_of_another_finding_are_those_of_the_configuration(tmp_path: Path):
    write_png(QUIET, tmp_path / "ward" / "Mass effect" / "p1", [2])
    write_png(QUIET, tmp_path / "ward" / "Clear" / "p1", [3])
    config = tmp_path / "mass.toml"
    source = 'sources = [{layout = "folder", path = "ward", negative = ["Clear"]}]\n'
    config.write_text(f'findings = ["mass_effect"]\n{source}')
    (found,) = check_data(*sources_of(config)).sources
    assert (found.positive, found.negative, found.patients) == (1, 1, 1)
    config.write_text(source)
    (found,) = check_data(*sources_of(config)).sources
    assert (found.positive, found.negative) == (0, 1), "by default a finding has the folder of its own name"


def test_unknown_places_are_refused(tmp_path: Path):
    with pytest.raises(DatasetError, match="in no known layout"):
        detect_source(tmp_path)
    with pytest.raises(DatasetError, match="neither a folder nor a CSV table"):
        detect_source(tmp_path / "absent")
