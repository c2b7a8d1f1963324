"""Planted leaks are refused: one patient on two sides, one picture under two names, training data in an evaluation."""

import json
import shutil
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
from click.testing import CliRunner
from layouts import SLICES, head, labels, write_plain, write_table

from hemo_cli.commands.dataset import dataset
from hemo_core.bundle.contract import InputContract
from hemo_core.errors import PatientLeak
from hemo_core.phantoms import write_png
from hemo_core.records import dumps, encode
from hemo_trainer.config import SplitConfig, load_config
from hemo_trainer.data.check import check_data
from hemo_trainer.data.duplicates import find_twins, hash_pictures, patient_groups
from hemo_trainer.data.leaks import refuse_training_data, training_marks
from hemo_trainer.data.prepared import TrainingData, load_data
from hemo_trainer.data.split import k_folds, split_records
from hemo_trainer.datasets import DataSource
from hemo_trainer.datasets.record import SliceRecord

CONTRACT = InputContract(height=96, width=96)
PATIENTS = 12
SETTINGS = "[input]\nheight = 96\nwidth = 96\n[split]\nval = 0.3\ntest = 0.3\n"


def write_ward(folder: Path) -> None:
    for seed in range(PATIENTS):
        write_plain(folder, head(seed, "intraparenchymal" if seed % 2 else "none", rows=192), f"p{seed:02d}")


def config_for(folder: Path, layout: str, name: str) -> Path:
    path = folder / "run.toml"
    path.write_text(f'[[sources]]\nlayout = "{layout}"\npath = "{name}"\n{SETTINGS}', encoding="utf-8")
    return path


def load(config: Path) -> TrainingData:
    loaded = load_config(config)
    return load_data(loaded, loaded.input, config.parent / "cache")


@pytest.fixture(scope="module")
def ward(tmp_path_factory: pytest.TempPathFactory) -> TrainingData:
    folder = tmp_path_factory.mktemp("ward")
    write_ward(folder / "ward")
    return load(config_for(folder, "folder", "ward"))


def copied(record: SliceRecord, target: Path, scale: float = 1.0, turn: float = 0.0) -> Path:
    """The picture as somebody else would have saved it: as JPEG, perhaps larger, perhaps turned by some degrees."""
    grey = cv2.imread(str(record.path), cv2.IMREAD_GRAYSCALE)
    target.parent.mkdir(parents=True, exist_ok=True)
    side = round(scale * grey.shape[0])
    matrix = cv2.getRotationMatrix2D((grey.shape[1] / 2, grey.shape[0] / 2), turn, scale)
    matrix[:, 2] += (scale - 1) * grey.shape[0] / 2
    changed = cv2.warpAffine(grey, matrix, (side, side), flags=cv2.INTER_CUBIC)
    cv2.imwrite(str(target), changed, [cv2.IMWRITE_JPEG_QUALITY, 80])
    return target


def test_heads_of_different_people_are_not_taken_for_one(ward: TrainingData):
    hashes = hash_pictures(ward.pixels)
    assert hashes.telling.sum() > 0.6 * len(ward.records)
    assert patient_groups(ward.records, list(find_twins(hashes))) == {}


@pytest.mark.parametrize(("scale", "turn", "share"), [(1, 0, 0.9), (1.5, 0, 0.5), (1, 6, 0.3)])
def test_a_picture_is_known_again_after_saving(
    ward: TrainingData, tmp_path: Path, scale: float, turn: float, share: float
):
    rows = np.flatnonzero(hash_pictures(ward.pixels).telling)[::5]
    copies = [
        SliceRecord("new", "x", n, copied(ward.records[row], tmp_path / f"{n}.jpg", scale, turn), {})
        for n, row in enumerate(rows)
    ]

    from hemo_trainer.data.cache import cached_slices

    twins = list(find_twins(hash_pictures(cached_slices(copies, CONTRACT, tmp_path)), hash_pictures(ward.pixels)))
    found = {(twin.one, twin.other) for twin in twins}
    assert len({(n, int(row)) for n, row in enumerate(rows)} & found) >= share * len(rows)


def test_blank_pictures_are_not_taken_for_one():
    blank = hash_pictures(np.zeros((2, 96, 96, 1), np.uint8))
    assert not blank.telling.any()
    assert not list(find_twins(blank))


def test_patients_who_share_a_picture_share_a_side_and_a_fold(ward: TrainingData, tmp_path: Path):
    write_ward(tmp_path / "ward")
    first = next(record for record in ward.sides["train"] if hash_pictures([ward.pixels_of(record)]).telling[0])
    other = ward.sides["test"][0].patient
    shutil.copy(first.path, tmp_path / "ward" / "Normal" / other / "again.png")
    data = load(config_for(tmp_path, "folder", "ward"))
    assert set(data.groups) == {f"ward/{first.patient}", f"ward/{other}"}
    side_of = {record.patient: side for side, records in data.sides.items() for record in records}
    assert side_of[first.patient] == side_of[other]
    folds = k_folds(data.records, 3, groups=data.groups)
    assert any(set(data.groups) <= fold for fold in folds)


def test_a_published_split_with_one_picture_on_two_sides_is_refused(ward: TrainingData, tmp_path: Path):
    rows = [
        [str(record.path), record.patient, "", record.order, record.label, side]
        for side, records in ward.sides.items()
        for record in records
    ]
    known = next(record for record in ward.sides["train"] if hash_pictures([ward.pixels_of(record)]).telling[0])
    planted = copied(known, tmp_path / "planted.jpg")
    rows.append([str(planted), "somebody-else", "", 0, known.label, "test"])
    write_table(tmp_path / "mine.csv", ("path", "patient", "study", "slice", "label", "split"), rows)
    config = config_for(tmp_path, "csv", "mine.csv")
    words = (
        rf"same picture is on two sides: mine/{known.patient} \(train\) .* = mine/somebody-else \(test\) planted.jpg"
    )
    with pytest.raises(PatientLeak, match=words):
        load(config)
    found = CliRunner().invoke(dataset, ["check", str(config), "--json"], standalone_mode=False)
    report = json.loads(found.output)
    assert found.return_value == 1
    assert not report["ok"]
    assert "somebody-else" in report["leaks"][0]
    assert report["groups"] == [sorted([f"mine/{known.patient}", "mine/somebody-else"])]


def test_a_model_is_not_scored_on_what_it_was_trained_on(ward: TrainingData, tmp_path: Path):
    trained = [ward.records[row] for row in ward.rows("train")]
    marks = training_marks(trained, ward.pixels_of)
    bundle = json.loads(dumps({"training": {"data": {"trained_on": marks}}}))
    checked = refuse_training_data(bundle, ward.sides["test"], ward.pixels_of)
    assert checked.recorded
    assert checked.patients == len({record.patient for record in trained})
    assert min(checked.pictures, checked.compared) > 0

    with pytest.raises(PatientLeak, match=rf"trained on 1 of these patients: {trained[0].patient_key}"):
        refuse_training_data(bundle, [*ward.sides["test"], trained[0]], ward.pixels_of)

    renamed = [
        SliceRecord("outside", "new", number, copied(record, tmp_path / f"{number}.jpg"), record.labels)
        for number, record in enumerate(record for record in trained if record.patient == trained[0].patient)
    ]

    from hemo_trainer.data.cache import cached_slices

    pixels = cached_slices(renamed, CONTRACT, tmp_path)
    with pytest.raises(PatientLeak, match=r"of these pictures under another name: outside/new \d\.jpg"):
        refuse_training_data(bundle, renamed, lambda record: pixels[record.order])


def test_marks_of_another_hash_still_tell_patients(ward: TrainingData):
    trained = [ward.records[row] for row in ward.rows("train")]
    marks = training_marks(trained, ward.pixels_of)
    marks = encode(replace(marks, pictures=replace(marks.pictures, hash="earlier")))
    bundle = {"training": {"data": {"trained_on": marks}}}
    assert refuse_training_data(bundle, ward.sides["test"], ward.pixels_of).pictures == 0
    with pytest.raises(PatientLeak, match="trained on 1 of these patients"):
        refuse_training_data(bundle, trained[:1], ward.pixels_of)


def test_a_model_that_does_not_say_what_it_was_trained_on_is_reported_as_such(ward: TrainingData):
    assert not refuse_training_data({"training": {}}, ward.sides["test"], ward.pixels_of).recorded


def test_the_check_of_a_folder_counts_reads_and_compares(tmp_path: Path):
    for seed in range(3):
        write_plain(tmp_path / "ward", head(seed, "subdural" if seed else "none"), f"p{seed}")
    target = tmp_path / "ward" / "Normal" / "p0"
    broken, _, _, original, *_ = sorted(target.glob("*.png"))
    broken.write_bytes(broken.read_bytes()[:300])
    shutil.copy(original, target / "again.png")
    sources = (DataSource("folder", str(tmp_path / "ward")),)
    report = check_data(sources, SplitConfig(), CONTRACT)
    (counts,) = report.sources
    assert (counts.patients, counts.bleeding_patients, counts.slices) == (3, 2, 3 * SLICES)
    assert counts.positive == sum(labels(head(1, "subdural")) + labels(head(2, "subdural")))
    assert [(Path(problem.path).name, problem.code) for problem in report.problems] == [(broken.name, "truncated")]
    assert any("again.png" in pair and original.name in pair for pair in report.repeated_pictures)
    assert (report.shared_pictures, report.leaks, report.ok) == ((), (), False)
    shown = CliRunner().invoke(dataset, ["check", str(tmp_path / "ward")], standalone_mode=False)
    assert shown.return_value == 1
    assert "not usable as it is" in shown.output


def test_two_sources_of_one_folder_name_are_told_apart(tmp_path: Path):
    for place in ("a", "b"):
        write_png(head(0), tmp_path / place / "ward" / "Normal" / "p", [2])
    sources = tuple(DataSource("folder", str(tmp_path / place / "ward")) for place in ("a", "b"))
    report = check_data(sources, SplitConfig(), CONTRACT)
    assert [one.source for one in report.sources] == ["folder-ward", "ward"]
    assert report.groups == (("folder-ward/p", "ward/p"),)


def test_every_patient_on_two_sides_is_named():
    records = [
        SliceRecord("ward", patient, order, Path(f"{patient}{order}"), {}, split=side)
        for patient in ("3", "7")
        for order, side in enumerate(("train", "test"))
    ]
    with pytest.raises(PatientLeak, match="ward/3 is in train and in test; patient ward/7 is in train and in test"):
        split_records(records, SplitConfig())


def test_the_public_pack_shares_no_picture_between_patients(real_data: Path, tmp_path: Path):
    config = tmp_path / "pack.toml"
    names = ("ct-ich", "phe-sich")
    sources = "".join(f'[[sources]]\nlayout = "{name}"\npath = "{real_data / name}"\n' for name in names)
    config.write_text(sources + "[input]\nheight = 96\nwidth = 96\n", encoding="utf-8")
    assert load(config).groups == {}
