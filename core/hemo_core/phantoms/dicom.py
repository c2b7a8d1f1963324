"""Phantom → DICOM: CT Image Storage (PS3.3 A.3), Enhanced CT (A.38), and the odd forms that hospitals send."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, TypeAlias

import numpy as np
import numpy.typing as npt
from pydicom.dataset import Dataset, FileDataset, FileMetaDataset
from pydicom.sequence import Sequence
from pydicom.uid import (
    UID,
    CTImageStorage,
    EnhancedCTImageStorage,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    JPEG2000Lossless,
    JPEGLSLossless,
    RLELossless,
)

from hemo_core.errors import MissingExtra
from hemo_core.phantoms.spec import Phantom, PhantomSpec
from hemo_core.scans.phantom_marks import PATIENT_PREFIX, WORD

Syntax: TypeAlias = Literal["explicit", "implicit", "rle", "jpeg-ls", "jpeg-2000"]

_SYNTAXES = {
    "explicit": ExplicitVRLittleEndian,
    "implicit": ImplicitVRLittleEndian,
    "rle": RLELossless,
    "jpeg-ls": JPEGLSLossless,
    "jpeg-2000": JPEG2000Lossless,
}
_PLAIN = ("explicit", "implicit")
_INTERCEPT = -1024
_UID_ROOT = "2.25."


@dataclass(frozen=True, slots=True)
class DicomOptions:
    """How the series is written.

    Attributes:
        syntax: transfer syntax; ``jpeg-ls`` and ``jpeg-2000`` need their encoder plug-in for pydicom.
        monochrome1: stored inverted (PS3.3 C.7.6.3.1.2).
        wrapped: unsigned 12 bits with an intercept of 0: what was below 0 HU wraps to the top, as some scanners do.
        multiframe: one Enhanced CT object with a frame for each slice.
        shuffled: file names and instance numbers that say nothing about the order.
        missing: indices of slices that are left out.
        series: number of the series in its study; changes the series' UID and its instances' UIDs.
        description: series description; the word phantom is added.
        kernel: convolution kernel (0018,1210).
        contrast: contrast agent (0018,0010), empty for none.
    """

    syntax: Syntax = "explicit"
    monochrome1: bool = False
    wrapped: bool = False
    multiframe: bool = False
    shuffled: bool = False
    missing: tuple[int, ...] = ()
    series: int = 2
    description: str = "HEAD 5mm axial"
    kernel: str = "H30s"
    contrast: str = ""


def write_dicom(phantom: Phantom, folder: Path, options: DicomOptions | None = None) -> list[Path]:
    """Write a series into ``folder`` (made if need be).

    Returns:
        The files, foot to head.

    Raises:
        MissingExtra: no encoder for the transfer syntax is installed.
    """
    options = options or DicomOptions()
    folder.mkdir(parents=True, exist_ok=True)
    kept = [index for index in range(len(phantom.hu)) if index not in options.missing]
    if options.multiframe:
        return [_write_multiframe(phantom, kept, folder, options)]
    order = np.arange(len(phantom.hu))
    if options.shuffled:
        order = np.random.default_rng(phantom.spec.seed).permutation(order)
    return [_write_slice(phantom, index, int(order[index]), folder, options) for index in kept]


def write_localizer(phantom: Phantom, folder: Path) -> Path:
    """Write a scout view: a lateral projection, with LOCALIZER as the third value of ImageType."""
    folder.mkdir(parents=True, exist_ok=True)
    spec, options = phantom.spec, DicomOptions(series=1, description="Topogram")
    uid = phantom_uid(spec, "localizer")
    dataset = _common(spec, options, CTImageStorage, uid)
    dataset.ImageType = ["ORIGINAL", "PRIMARY", "LOCALIZER"]
    projection = phantom.hu[::-1].astype(np.float32).mean(axis=2).repeat(4, axis=0)
    dataset.ImageOrientationPatient = [0, 1, 0, 0, 0, -1]
    dataset.ImagePositionPatient = [0, -spec.pixel_spacing_mm * spec.rows / 2, phantom.table_mm[-1]]
    dataset.PixelSpacing = [spec.spacing_mm / 4, spec.pixel_spacing_mm]
    dataset.InstanceNumber = 1
    _put_pixels(dataset, np.rint(projection).astype(np.int16), options)
    path = folder / "localizer.dcm"
    dataset.save_as(path, enforce_file_format=True)
    return path


def phantom_uid(spec: PhantomSpec, *parts: object) -> UID:
    """A UID derived from the recipe (PS3.5 B.2, the 2.25 root): equal recipes, equal UIDs."""
    digest = hashlib.sha256(repr((spec, *parts)).encode()).digest()
    return UID(_UID_ROOT + str(int.from_bytes(digest[:16], "big")))


def orientation(spec: PhantomSpec) -> list[float]:
    """Image orientation (PS3.3 C.7.6.2.1.1): rows to the patient's left, columns to the back, along the tilt."""
    tilt = np.deg2rad(spec.tilt_deg)
    return [1.0, 0.0, 0.0, 0.0, float(np.cos(tilt)), float(np.sin(tilt))]


def position(phantom: Phantom, index: int) -> list[float]:
    """Give ImagePositionPatient: centre of the first pixel of a slice, mm, LPS."""
    spec = phantom.spec
    half = spec.pixel_spacing_mm * (spec.rows - 1) / 2
    _, _, _, _, cosine, sine = orientation(spec)
    return [-half, -half * cosine, phantom.table_mm[index] - half * sine]


def _write_slice(phantom: Phantom, index: int, number: int, folder: Path, options: DicomOptions) -> Path:
    uid = phantom_uid(phantom.spec, options, index)
    dataset = _common(phantom.spec, options, CTImageStorage, uid)
    dataset.ImageType = ["ORIGINAL", "PRIMARY", "AXIAL"]
    dataset.InstanceNumber = number + 1
    dataset.ImagePositionPatient = [f"{value:.6g}" for value in position(phantom, index)]
    dataset.ImageOrientationPatient = [f"{value:.8g}" for value in orientation(phantom.spec)]
    dataset.SliceLocation = f"{phantom.table_mm[index]:.6g}"
    dataset.SliceThickness = f"{phantom.spec.spacing_mm:.6g}"
    dataset.PixelSpacing = [f"{phantom.spec.pixel_spacing_mm:.8g}"] * 2
    _put_pixels(dataset, phantom.hu[index], options)
    path = folder / f"IM{number:04d}.dcm"
    dataset.save_as(path, enforce_file_format=True)
    return path


def _write_multiframe(phantom: Phantom, kept: list[int], folder: Path, options: DicomOptions) -> Path:
    """Enhanced CT: geometry in the functional groups (PS3.3 C.7.6.16)."""
    uid = phantom_uid(phantom.spec, options, "multiframe")
    dataset = _common(phantom.spec, options, EnhancedCTImageStorage, uid)
    dataset.ImageType = ["ORIGINAL", "PRIMARY", "VOLUME", "NONE"]
    dataset.InstanceNumber = 1
    dataset.NumberOfFrames = len(kept)
    shared = Dataset()
    shared.PixelMeasuresSequence = Sequence([Dataset()])
    shared.PixelMeasuresSequence[0].PixelSpacing = [f"{phantom.spec.pixel_spacing_mm:.8g}"] * 2
    shared.PixelMeasuresSequence[0].SliceThickness = f"{phantom.spec.spacing_mm:.6g}"
    shared.PlaneOrientationSequence = Sequence([Dataset()])
    shared.PlaneOrientationSequence[0].ImageOrientationPatient = [f"{v:.8g}" for v in orientation(phantom.spec)]
    _put_pixels(dataset, phantom.hu[kept], options)
    shared.PixelValueTransformationSequence = Sequence([Dataset()])
    shared.PixelValueTransformationSequence[0].RescaleSlope = dataset.RescaleSlope
    shared.PixelValueTransformationSequence[0].RescaleIntercept = dataset.RescaleIntercept
    shared.PixelValueTransformationSequence[0].RescaleType = "HU"
    del dataset.RescaleSlope, dataset.RescaleIntercept, dataset.RescaleType
    dataset.SharedFunctionalGroupsSequence = Sequence([shared])
    dataset.PerFrameFunctionalGroupsSequence = Sequence([_frame(phantom, i, n) for n, i in enumerate(kept, 1)])
    path = folder / "enhanced.dcm"
    dataset.save_as(path, enforce_file_format=True)
    return path


def _frame(phantom: Phantom, index: int, number: int) -> Dataset:
    """Functional groups of one frame."""
    frame = Dataset()
    frame.PlanePositionSequence = Sequence([Dataset()])
    frame.PlanePositionSequence[0].ImagePositionPatient = [f"{value:.6g}" for value in position(phantom, index)]
    frame.FrameContentSequence = Sequence([Dataset()])
    frame.FrameContentSequence[0].StackID = "1"
    frame.FrameContentSequence[0].InStackPositionNumber = number
    frame.FrameContentSequence[0].DimensionIndexValues = [1, number]
    return frame


def _common(spec: PhantomSpec, options: DicomOptions, sop_class: UID, uid: UID) -> FileDataset:
    """Everything but geometry and pixels."""
    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID = sop_class
    meta.MediaStorageSOPInstanceUID = uid
    meta.TransferSyntaxUID = _SYNTAXES["implicit" if options.syntax == "implicit" else "explicit"]
    dataset = FileDataset("", {}, file_meta=meta, preamble=b"\0" * 128)
    dataset.SpecificCharacterSet = "ISO_IR 100"
    dataset.SOPClassUID, dataset.SOPInstanceUID = sop_class, uid
    dataset.StudyInstanceUID = phantom_uid(spec, "study")
    dataset.SeriesInstanceUID = phantom_uid(spec, "series", options)
    dataset.FrameOfReferenceUID = phantom_uid(spec, "frame")
    dataset.PositionReferenceIndicator = ""
    dataset.PatientName = f"{PATIENT_PREFIX}^{spec.seed:03d}"
    dataset.PatientID = f"{PATIENT_PREFIX}-{spec.seed:03d}"
    dataset.PatientBirthDate, dataset.PatientSex = "", ""
    dataset.StudyDate, dataset.StudyTime = "20200101", "120000"
    dataset.AccessionNumber, dataset.ReferringPhysicianName, dataset.StudyID = "", "", "1"
    dataset.Modality, dataset.Manufacturer = "CT", "hemo-batch phantom"
    dataset.StudyDescription = f"HEAD {WORD}"
    dataset.SeriesDescription = f"{options.description} {WORD}".strip()
    dataset.ImageComments = WORD
    dataset.SeriesNumber = options.series
    dataset.BodyPartExamined = "HEAD"
    dataset.PatientPosition = "HFS"
    dataset.BurnedInAnnotation = "NO"
    dataset.QualityControlImage = "YES"
    dataset.KVP = 120
    dataset.ConvolutionKernel = options.kernel
    dataset.GantryDetectorTilt = f"{spec.tilt_deg:.6g}"
    if options.contrast:
        dataset.ContrastBolusAgent = options.contrast
    dataset.WindowCenter, dataset.WindowWidth = 40, 120
    return dataset


def _put_pixels(dataset: FileDataset, hu: npt.NDArray[np.int16], options: DicomOptions) -> None:
    """Stored values, rescale (PS3.3 C.11.1) and, at last, compression."""
    intercept = 0 if options.wrapped else _INTERCEPT
    stored = hu.astype(np.int32) - intercept
    stored = np.clip(stored, -_HALF, _HALF - 1) % _FULL if options.wrapped else np.clip(stored, 0, _FULL - 1)
    if options.monochrome1:
        stored = _FULL - 1 - stored
    dataset.SamplesPerPixel = 1
    dataset.PhotometricInterpretation = "MONOCHROME1" if options.monochrome1 else "MONOCHROME2"
    dataset.Rows, dataset.Columns = hu.shape[-2:]
    dataset.BitsAllocated, dataset.BitsStored, dataset.HighBit = 16, 12, 11
    dataset.PixelRepresentation = 0
    dataset.RescaleSlope = -1 if options.monochrome1 else 1
    dataset.RescaleIntercept = intercept + _FULL - 1 if options.monochrome1 else intercept
    dataset.RescaleType = "HU"
    dataset.PixelData = stored.astype("<u2").tobytes()
    dataset["PixelData"].VR = "OW"
    if options.syntax not in _PLAIN:
        _compress(dataset, options.syntax)


_FULL, _HALF = 4096, 2048


def _compress(dataset: FileDataset, syntax: Syntax) -> None:
    """Encapsulate the pixels; the instance keeps its UID, since nothing is lost."""
    try:
        dataset.compress(_SYNTAXES[syntax], generate_instance_uid=False)
    except (RuntimeError, ImportError) as error:
        raise MissingExtra(
            f"no encoder for {syntax} is installed: {error}", hint="pip install pylibjpeg-openjpeg pyjpegls"
        ) from error
