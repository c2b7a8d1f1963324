"""Small DICOM files and refs for the tests of readers and discovery."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from pydicom import Dataset
from pydicom.dataset import FileMetaDataset
from pydicom.uid import CTImageStorage, ExplicitVRLittleEndian, generate_uid

from hemo_core.phantoms import Phantom, PhantomSpec, make_phantom
from hemo_core.scans.readers import read_scan
from hemo_core.scans.scan import Scan, ScanRef, SourceKind

AXIAL = [1, 0, 0, 0, 1, 0]
SPEC = PhantomSpec(7, bleed="epidural", slices=8, rows=96, detail="fast")


def head(spec: PhantomSpec = SPEC) -> Phantom:
    """A phantom small enough to be made in a moment."""
    return make_phantom(spec)


def slice_dataset(hu: np.ndarray, z: float = 0.0, **tags: Any) -> Dataset:
    """One signed 16-bit CT slice at height ``z`` mm, of a series and study of its own unless ``tags`` say otherwise."""
    dataset = Dataset()
    dataset.file_meta = FileMetaDataset()
    dataset.SOPClassUID, dataset.SOPInstanceUID = CTImageStorage, generate_uid()
    dataset.StudyInstanceUID, dataset.SeriesInstanceUID = generate_uid(), generate_uid()
    dataset.Modality, dataset.ImageType = "CT", ["ORIGINAL", "PRIMARY", "AXIAL"]
    dataset.ImageOrientationPatient, dataset.ImagePositionPatient = AXIAL, [-100, -100, z]
    dataset.PixelSpacing, dataset.SliceThickness = [0.5, 0.5], 5
    dataset.SamplesPerPixel, dataset.PhotometricInterpretation = 1, "MONOCHROME2"
    dataset.Rows, dataset.Columns = hu.shape
    dataset.BitsAllocated, dataset.BitsStored, dataset.HighBit, dataset.PixelRepresentation = 16, 16, 15, 1
    dataset.RescaleSlope, dataset.RescaleIntercept = 1, 0
    dataset.PixelData = hu.astype("<i2").tobytes()
    for keyword, value in tags.items():
        if value is None:
            delattr(dataset, keyword)
        else:
            setattr(dataset, keyword, value)
    dataset.file_meta.MediaStorageSOPClassUID = dataset.get("SOPClassUID", CTImageStorage)
    dataset.file_meta.MediaStorageSOPInstanceUID = dataset.get("SOPInstanceUID", generate_uid())
    dataset.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    return dataset


def write_slice(path: Path, hu: np.ndarray, z: float = 0.0, **tags: Any) -> Path:
    """Write :func:`slice_dataset` to ``path``."""
    path.parent.mkdir(parents=True, exist_ok=True)
    slice_dataset(hu, z, **tags).save_as(path, enforce_file_format=True)
    return path


def write_series(folder: Path, volume: np.ndarray, step: float = 5.0, **tags: Any) -> list[Path]:
    """Write a series, one slice every ``step`` mm from the foot up."""
    shared = {"SeriesInstanceUID": generate_uid(), "StudyInstanceUID": generate_uid(), **tags}
    return [write_slice(folder / f"{i:03d}.dcm", plane, step * i, **shared) for i, plane in enumerate(volume)]


def ref(mount: Path, *files: Path | str, kind: SourceKind = "dicom") -> ScanRef:
    """A ref as a manifest would hold it."""
    names = tuple(str(Path(mount, one).relative_to(mount)) for one in files)
    return ScanRef("0" * 16, "scans", names[0], names, kind)


def read(mount: Path, *files: Path | str, kind: SourceKind = "dicom", allow_implausible: bool = False) -> Scan:
    """Read some files as one scan."""
    return read_scan(ref(mount, *files, kind=kind), mount, allow_implausible=allow_implausible)


def volume_of(scan: Scan) -> np.ndarray:
    """All slices, ``(slices, rows, columns)``."""
    return np.stack([one.pixels for one in scan.slices])
