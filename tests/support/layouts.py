"""Phantoms written as the public data sets are laid out."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import pydicom

from hemo_core.phantoms import Phantom, PhantomSpec, make_phantom, write_dicom, write_nifti, write_png

SLICES = 6
SUBTYPES = ("epidural", "subdural", "subarachnoid", "intraparenchymal", "intraventricular")


@cache
def head(seed: int, bleed: str = "none", spacing_mm: float = 5.0, slices: int = SLICES, rows: int = 96) -> Phantom:
    """A small phantom; asked for twice, made once."""
    spec = PhantomSpec(
        seed, bleed=bleed, bleed_size=1.0, slices=slices, spacing_mm=spacing_mm, rows=rows, detail="fast"
    )
    return make_phantom(spec)


def labels(phantom: Phantom) -> list[int]:
    """1 for each slice that shows blood."""
    return [int(voxels > 20) for voxels in phantom.blood_voxels]


def write_table(path: Path, columns: Sequence[str], rows: Iterable[Sequence[Any]]) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", newline="", encoding="utf-8") as lines:
        writer = csv.writer(lines)
        writer.writerow(columns)
        writer.writerows(rows)
    return path


def write_plain(folder: Path, phantom: Phantom, patient: str) -> None:
    """``Hemorrhage/patient`` and ``Normal/patient``."""
    for index, label in enumerate(labels(phantom)):
        write_png(phantom, folder / ("Hemorrhage" if label else "Normal") / patient, [index])


def write_physionet(folder: Path, phantoms: Sequence[Phantom], *, upside_down: bool = False) -> Path:
    """``ct_scans/049.nii`` …, ``masks`` and the table; ``upside_down`` stores the slices from head to foot."""
    rows = []
    for number, phantom in enumerate(phantoms, 49):
        found = labels(phantom)
        for kind, volume in (("ct_scans", phantom.hu), ("masks", phantom.blood.astype("i2"))):
            write_nifti(
                Phantom(phantom.spec, volume, phantom.blood, phantom.table_mm), folder / kind / f"{number:03d}.nii"
            )
            if upside_down:
                _turn_over(folder / kind / f"{number:03d}.nii")
        stored = found[::-1] if upside_down else found
        rows += [[number, place, 0, label, 0, 0, 0, 1 - label, 0] for place, label in enumerate(stored, 1)]
    names = ("Intraventricular", "Intraparenchymal", "Subarachnoid", "Epidural", "Subdural")
    columns = ("PatientNumber", "SliceNumber", *names, "No_Hemorrhage", "Fracture_Yes_No")
    write_table(folder / "hemorrhage_diagnosis_raw_ct.csv", columns, rows)
    return folder


def _turn_over(path: Path) -> None:
    """The same volume with its third axis stored the other way round."""
    import nibabel
    import numpy as np

    image = nibabel.load(path)
    data = np.asarray(image.dataobj)[:, :, ::-1]
    affine = image.affine.copy()
    affine[:3, 3] += affine[:3, 2] * (data.shape[2] - 1)
    affine[:3, 2] *= -1
    nibabel.save(nibabel.Nifti1Image(np.ascontiguousarray(data), affine), path)


def write_rsna(folder: Path, studies: Sequence[tuple[str, Phantom]]) -> Path:
    """``stage_2_train/ID_….dcm`` and the table, one study for each (patient, phantom)."""
    rows = []
    for number, (patient, phantom) in enumerate(studies):
        files = write_dicom(phantom, folder / "new")
        for index, (path, label) in enumerate(zip(files, labels(phantom), strict=True)):
            image = f"ID_{number:02d}{(7 * index) % 10}{index:02d}"  # names say nothing about the order
            dataset = pydicom.dcmread(path)
            dataset.PatientID = patient
            target = folder / "stage_2_train" / f"{image}.dcm"
            target.parent.mkdir(exist_ok=True)
            dataset.save_as(target)
            path.unlink()
            kinds = {**dict.fromkeys(SUBTYPES, 0), phantom.spec.bleed: label, "any": label}
            rows += [[f"{image}_{kind}", value] for kind, value in kinds.items() if kind != "none"]
    (folder / "new").rmdir()
    write_table(folder / "stage_2_train.csv", ("ID", "Label"), [*rows, rows[0]])  # the published table repeats some
    return folder


def write_cq500(folder: Path, exams: Sequence[tuple[Phantom, tuple[int, int, int]]]) -> Path:
    """``CQ500CT0 CQ500CT0/Unknown Study/…`` and ``reads.csv``, with the three readers' votes."""
    for number, (phantom, _) in enumerate(exams):
        write_dicom(phantom, folder / f"CQ500CT{number} CQ500CT{number}" / "Unknown Study" / "CT PLAIN")
    columns = ("name", "Category", *(f"R{reader}:{name}" for reader in (1, 2, 3) for name in ("ICH", "IPH")))
    rows = [[f"CQ500-CT-{n}", "B1", v[0], v[0], v[1], v[1], v[2], v[2]] for n, (_, v) in enumerate(exams)]
    write_table(folder / "reads.csv", columns, rows)
    return folder
