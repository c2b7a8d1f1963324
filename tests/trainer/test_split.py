import shutil
from pathlib import Path

import pytest
from PIL import Image

from hemo_core.errors import DatasetError, PatientLeak, SettingsError
from hemo_core.scans.discover import discover
from hemo_trainer.config import SplitConfig
from hemo_trainer.data.split import k_folds, refuse_leaks, split_hash, split_records
from hemo_trainer.datasets import DataSource
from hemo_trainer.datasets.hemorrhage import HEMORRHAGE
from hemo_trainer.datasets.layouts.folder import read_folder
from hemo_trainer.datasets.record import SliceRecord, by_series


def record(patient: str, order: int = 0, label: int = 0, split=None) -> SliceRecord:
    return SliceRecord("ward", patient, order, Path(f"{patient}-{order}.png"), {HEMORRHAGE: label}, split=split)


def test_all_slices_of_a_patient_land_on_one_side_and_more_data_moves_nobody():
    few = split_records([record(str(p), o) for p in range(100) for o in range(3)], SplitConfig())
    more = split_records([record(str(p), o) for p in range(200) for o in range(3)], SplitConfig())
    sides = {r.patient: side for side, records in few.items() for r in records}
    assert all(sides[r.patient] == side for side, records in few.items() for r in records)
    assert all(sides.get(r.patient, side) == side for side, records in more.items() for r in records)
    assert all(few.values())


def test_a_planted_leak_is_refused_by_name():
    with pytest.raises(PatientLeak, match="patient ward/7 is in train and in test"):
        split_records([record("7", 0, split="train"), record("7", 1, split="test")], SplitConfig())
    with pytest.raises(PatientLeak, match="ward/3"):
        refuse_leaks({"train": [record("3")], "val": [record("3", 1)], "test": []})


def test_the_split_hash_changes_when_a_patient_changes_sides():
    first = {"train": [record("1")], "val": [record("2")], "test": []}
    second = {"train": [record("2")], "val": [record("1")], "test": []}
    assert split_hash(first) == split_hash(first) != split_hash(second)


def ward(patients: int) -> list[SliceRecord]:
    """Every third patient bleeds, in one slice more than the one before."""
    return [record(str(p), o, label=int(p % 3 == 0 and o <= p // 3)) for p in range(patients) for o in range(12)]


def test_folds_hold_whole_patients_and_are_balanced_over_bleeds_and_their_size():
    records = ward(30)
    folds = k_folds(records, 5)
    assert sorted(patient for fold in folds for patient in fold) == sorted({r.patient_key for r in records})
    assert [len(fold) for fold in folds] == [6] * 5
    bleeding = {r.patient_key for r in records if r.label}
    assert [len(fold & bleeding) for fold in folds] == [2] * 5
    slices = [sum(r.label for r in records if r.patient_key in fold) for fold in folds]
    assert max(slices) - min(slices) <= 3


def test_folds_depend_on_the_salt_and_on_nothing_else():
    records = ward(30)
    assert k_folds(records, 5) == k_folds(records[::-1], 5) != k_folds(records, 5, salt="other")


def test_patients_of_one_group_stay_in_one_fold():
    records = ward(30)
    groups = {f"ward/{p}": "same pictures" for p in (0, 1, 2, 20)}
    folds = k_folds(records, 3, groups=groups)
    assert any(set(groups) <= fold for fold in folds)


def test_too_few_folds_or_patients_are_refused():
    with pytest.raises(SettingsError, match="2 folds are too few"):
        k_folds(ward(30), 2)
    with pytest.raises(DatasetError, match="4 patients cannot fill 5 folds"):
        k_folds(ward(4), 5)


def test_plain_folders_name_patients_by_sub_folder_over_both_classes(tmp_path: Path):
    for name in (
        "Hemorrhage/p1/2.png",
        "Hemorrhage/p1/10.png",
        "Normal/p1/1.png",
        "Normal/loose.jpg",
        "Normal/notes.txt",
    ):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    records = read_folder(DataSource("folder", str(tmp_path), "ward"))
    assert [(r.patient, r.path.name, r.label, r.single) for r in records] == [
        ("Normal/loose.jpg", "loose.jpg", 0, True),
        ("p1", "1.png", 0, False),
        ("p1", "2.png", 1, False),
        ("p1", "10.png", 1, False),
    ]


def test_training_orders_the_pictures_of_a_patient_as_scoring_does(tmp_path: Path):
    names = ["slice 10.png", "Slice 010.png", "slice 9.png", "slice \u0663.png", "slice \u00b2.png", "1\u00b2.png"]
    for number, name in enumerate(names):
        path = tmp_path / "ward" / ("Hemorrhage" if number % 2 else "Normal") / "p1" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.new("L", (64, 64), number).save(path)
        (tmp_path / "scans" / "p1").mkdir(parents=True, exist_ok=True)
        shutil.copyfile(path, tmp_path / "scans" / "p1" / name)
    (scored,) = discover(tmp_path / "scans", group_folders=True)
    (trained,) = by_series(read_folder(DataSource("folder", str(tmp_path / "ward"), "ward")))
    assert [record.path.name for record in trained] == [Path(name).name for name in scored.files]


def test_a_folder_without_classes_is_refused(tmp_path: Path):
    with pytest.raises(DatasetError, match="has no folder normal or hemorrhage"):
        read_folder(DataSource("folder", str(tmp_path), "ward"))


def test_the_public_pack_has_the_counts_its_readme_states(real_data: Path):
    from hemo_trainer.datasets.layouts.pack import read_series_pack, read_single_slices

    ich = read_series_pack(real_data / "ct-ich", "ct-ich", "ct-ich")
    assert (len(ich), sum(r.labels[HEMORRHAGE] for r in ich), len({r.patient for r in ich})) == (2501, 318, 82)
    phe = read_series_pack(real_data / "phe-sich", "phe-sich", "phe-sich")
    assert (len(phe), sum(r.labels[HEMORRHAGE] for r in phe), len({r.patient for r in phe})) == (2624, 552, 90)
    singles = read_single_slices(real_data / "rsna-slices", "rsna-slices")
    assert (len(singles), sum(r.labels[HEMORRHAGE] for r in singles), {r.split for r in singles}) == (
        3260,
        459,
        {"train"},
    )
