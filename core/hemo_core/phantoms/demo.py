"""A small hospital: one folder with a bit of everything, and its truth; and many heads quickly."""

from __future__ import annotations

import csv
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal, TypeAlias

from hemo_core.phantoms.build import make_phantom
from hemo_core.phantoms.dicom import DicomOptions, write_dicom, write_localizer
from hemo_core.phantoms.nifti import write_nifti
from hemo_core.phantoms.picture import write_png
from hemo_core.phantoms.spec import Phantom, PhantomSpec

Expected: TypeAlias = Literal["hemorrhage", "no_finding", "rejected", "failed"]

TRUTH_FILE = "phantoms.csv"


@dataclass(frozen=True, slots=True)
class DemoScan:
    """One scan of the demo folder.

    Attributes:
        path: relative to the folder: the file, or the folder that holds the series.
        expected: the truth of a scored scan, or what must happen to one that cannot be scored.
        spec: recipe; None for the broken file.
        blood_slices: indices of slices that hold blood, foot to head.
    """

    path: str
    expected: Expected
    spec: PhantomSpec | None
    blood_slices: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class TruthComparison:
    """Demo scans against their truth.

    Attributes:
        scored: scans that were to be scored and were.
        agree: of those, scans whose label is the truth; whatever is not ``no_finding`` counts as positive.
        differ: scans whose label is not the truth, in words.
        unexpected: scans whose outcome is not the expected one, ``path: expected → got``.
    """

    scored: int
    agree: int
    differ: tuple[str, ...]
    unexpected: tuple[str, ...]


_SERIES: tuple[tuple[str, PhantomSpec, DicomOptions], ...] = (
    ("ward-a/01", PhantomSpec(101, bleed="epidural", bleed_size=0.7), DicomOptions(shuffled=True)),
    ("ward-a/02", PhantomSpec(102, bleed="subdural", bleed_size=0.7, tilt_deg=14), DicomOptions(syntax="rle")),
    ("ward-a/03", PhantomSpec(103), DicomOptions()),
    ("ward-a/04", PhantomSpec(104, bleed="intraparenchymal", bleed_size=0.7), DicomOptions(syntax="implicit")),
    (
        "ward-b/05/enhanced.dcm",
        PhantomSpec(105, bleed="intraventricular", bleed_size=0.7),
        DicomOptions(multiframe=True),
    ),
    ("ward-b/06", PhantomSpec(106, bleed="subarachnoid", bleed_size=0.8), DicomOptions(missing=(9,))),
    ("ward-b/07", PhantomSpec(107, mimic="pineal", tilt_deg=-10), DicomOptions(monochrome1=True)),
    ("ward-b/08", PhantomSpec(108, mimic="dense_falx", slices=30, spacing_mm=4.0), DicomOptions(shuffled=True)),
)
_VOLUME = ("research/phantom-109.nii.gz", PhantomSpec(109, bleed="epidural", bleed_size=0.9, slices=28, spacing_mm=4.5))
_PICTURES: tuple[PhantomSpec, ...] = (
    PhantomSpec(110, bleed="intraparenchymal", bleed_size=0.9, slices=1),
    PhantomSpec(111, bleed="subdural", bleed_size=0.9, slices=1),
    PhantomSpec(112, slices=1),
)


def write_demo(folder: Path, *, rows: int = 512) -> list[DemoScan]:
    """Write the demo folder: 14 scans in all, and ``phantoms.csv`` with the truth of each.

    Args:
        folder: made if need be.
        rows: rows and columns of the slices.

    Returns:
        The scans, in the order they were written.
    """
    folder.mkdir(parents=True, exist_ok=True)
    scans = [*_write_series(folder, rows), *_write_others(folder, rows), *_write_unscorable(folder, rows)]
    with (folder / TRUTH_FILE).open("w", newline="", encoding="utf-8") as stream:
        rows_out = csv.writer(stream)
        rows_out.writerow(("path", "expected", "bleed", "mimic", "seed", "blood_slices"))
        rows_out.writerows(_truth_row(scan) for scan in scans)
    return scans


def compare_with_truth(folder: Path, found: Mapping[str, tuple[str, str | None]]) -> TruthComparison:
    """Compare outcome and label of each path with the truth that :func:`write_demo` left in the folder."""
    scored, differ, unexpected = 0, [], []
    with (folder / TRUTH_FILE).open(encoding="utf-8", newline="") as stream:
        for truth in csv.DictReader(stream):
            path, expected = truth["path"], truth["expected"]
            wanted = expected if expected in ("rejected", "failed") else "scored"
            outcome, label = found.get(path, ("no row", None))
            if outcome != wanted:
                unexpected.append(f"{path}: expected {wanted}, got {outcome}")
            elif wanted == "scored":
                scored += 1
                if (label == "no_finding") != (expected == "no_finding"):
                    differ.append(f"{path}: truth {expected}, the model says {label}")
    return TruthComparison(scored, scored - len(differ), tuple(differ), tuple(unexpected))


def write_heads(folder: Path, count: int) -> None:
    """Write DICOM series of synthetic heads, every other one with blood, quickly."""
    for seed in range(count):
        spec = PhantomSpec(seed, bleed="none" if seed % 2 else "intraparenchymal", bleed_size=0.9, detail="fast")
        write_dicom(make_phantom(spec), folder / f"{seed:03d}")


def _write_series(folder: Path, rows: int) -> Iterator[DemoScan]:
    for path, spec, options in _SERIES:
        phantom = make_phantom(replace(spec, rows=rows))
        target = folder / path
        write_dicom(phantom, target.parent if options.multiframe else target, options)
        yield _scan(path, phantom, options.missing)


def _write_others(folder: Path, rows: int) -> Iterator[DemoScan]:
    path, spec = _VOLUME
    volume = make_phantom(replace(spec, rows=rows))
    write_nifti(volume, folder / path)
    yield _scan(path, volume)
    for spec in _PICTURES:
        phantom = make_phantom(replace(spec, rows=rows))
        picture = write_png(phantom, folder / "teaching")[0]
        yield _scan(picture.relative_to(folder).as_posix(), phantom)


def _write_unscorable(folder: Path, rows: int) -> Iterator[DemoScan]:
    phantom = make_phantom(PhantomSpec(103, rows=rows))
    scout = write_localizer(phantom, folder / "ward-a" / "03-scout")
    yield DemoScan(scout.relative_to(folder).as_posix(), "rejected", phantom.spec)
    broken = write_dicom(make_phantom(PhantomSpec(113, rows=rows, slices=1)), folder / "ward-b" / "broken")[0]
    broken.write_bytes(broken.read_bytes()[: rows * rows])
    yield DemoScan(broken.relative_to(folder).as_posix(), "failed", None)


def _scan(path: str, phantom: Phantom, missing: tuple[int, ...] = ()) -> DemoScan:
    kept = [count for index, count in enumerate(phantom.blood_voxels) if index not in missing]
    slices = tuple(index for index, count in enumerate(kept) if count)
    return DemoScan(path, "hemorrhage" if slices else "no_finding", phantom.spec, slices)


def _truth_row(scan: DemoScan) -> tuple[str, ...]:
    spec = scan.spec
    slices = " ".join(str(index) for index in scan.blood_slices)
    if spec is None:
        return scan.path, scan.expected, "", "", "", slices
    return scan.path, scan.expected, spec.bleed, spec.mimic, str(spec.seed), slices
