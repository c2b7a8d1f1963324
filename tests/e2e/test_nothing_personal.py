"""A name typed into any text of a header is in nothing that a job writes: report, table, page, row, log, metric."""

from __future__ import annotations

import os
import struct
import subprocess
import sys
from pathlib import Path

import pytest
from pydicom import Dataset
from pydicom.datadict import DicomDictionary, keyword_for_tag
from pydicom.filebase import DicomBytesIO
from pydicom.filewriter import write_data_element, write_file_meta_info
from slices import head, slice_dataset

pytestmark = pytest.mark.slow

NAME = "ZZTOP"
TEXTS = {"AE", "AS", "CS", "DA", "DS", "DT", "IS", "LO", "LT", "PN", "SH", "ST", "TM", "UC", "UI", "UR", "UT"}
NEEDED = {
    "SOPClassUID",
    "ImageOrientationPatient",
    "ImagePositionPatient",
    "PixelSpacing",
    "SliceThickness",
    "PhotometricInterpretation",
    "RescaleSlope",
    "RescaleIntercept",
    "RescaleType",
    "NumberOfFrames",
    "SpecificCharacterSet",
    "InstanceNumber",
    "ImageType",
    "Modality",
    "BodyPartExamined",
    "ConvolutionKernel",
    "ContrastBolusAgent",
    "ContrastBolusVolume",
    "SOPInstanceUID",
    "StudyInstanceUID",
    "SeriesInstanceUID",
}


def encoded(tag: int, vr: str, text: str) -> bytes:
    """One element in explicit VR little endian (PS3.5 7.1.2), whatever its VR forbids."""
    value = text.encode() + b" " * (len(text) % 2)
    long = vr in {"UC", "UR", "UT"}
    length = b"\0\0" + struct.pack("<I", len(value)) if long else struct.pack("<H", len(value))
    return struct.pack("<HH", tag >> 16, tag & 0xFFFF) + vr.encode() + length + value


def with_names(dataset: Dataset, spare: set[str]) -> bytes:
    """A file whose every text element holds the name, but for those to be spared."""
    elements: dict[int, bytes] = {}
    dataset["PixelData"].VR = "OW"
    for element in dataset:
        buffer = DicomBytesIO()
        buffer.is_little_endian, buffer.is_implicit_VR = True, False
        write_data_element(buffer, element)
        elements[int(element.tag)] = buffer.getvalue()
    for tag, (vr, *_) in DicomDictionary.items():
        if vr in TEXTS and keyword_for_tag(tag) not in spare and tag >> 16 not in {0x0000, 0x0002, 0x0004, 0xFFFE}:
            elements[tag] = encoded(tag, vr, f"{NAME}^SECRET")
    meta = DicomBytesIO()
    meta.is_little_endian, meta.is_implicit_VR = True, False
    write_file_meta_info(meta, dataset.file_meta, enforce_standard=True)
    return bytes(128) + b"DICM" + meta.getvalue() + b"".join(elements[tag] for tag in sorted(elements))


def write(folder: Path, spare: set[str], **tags: str) -> None:
    folder.mkdir(parents=True)
    uids = {"StudyInstanceUID": f"{NAME}.{folder.name}", "SeriesInstanceUID": f"{NAME}.{folder.name}.1"}
    for number, plane in enumerate(head().hu):
        dataset = slice_dataset(plane, 5.0 * number, InstanceNumber=number + 1, **uids, **tags)
        (folder / f"{number}.dcm").write_bytes(with_names(dataset, spare))


def test_a_name_in_every_text_of_a_header_is_in_nothing_that_is_written(tmp_path, tiny_bundle):
    scans = tmp_path / "scans"
    write(scans / "accepted", NEEDED)
    write(scans / "no-uid", NEEDED - {"SOPInstanceUID"})
    write(scans / "contrast", NEEDED - {"ContrastBolusAgent"})
    write(scans / "bone", NEEDED, ConvolutionKernel="H70h")
    write(scans / "modality", NEEDED - {"Modality"})
    write(scans / "kernel", NEEDED - {"ConvolutionKernel", "BodyPartExamined", "ImageType"})
    write(scans / "slope", NEEDED - {"RescaleSlope"})
    write(scans / "photometric", NEEDED - {"PhotometricInterpretation"})
    write(scans / "place", NEEDED - {"ImageOrientationPatient", "PixelSpacing", "SliceThickness"})
    write(scans / "charset", NEEDED - {"SpecificCharacterSet"})
    broken = scans / "contrast" / "0.dcm"
    (scans / "cut").mkdir()
    (scans / "cut" / "a.dcm").write_bytes(broken.read_bytes()[: broken.stat().st_size // 2])
    environ = {**os.environ, "HEMO_BUNDLE": str(tiny_bundle)}
    command = [sys.executable, "-m", "hemo_cli"]

    inspected = subprocess.run(
        [*command, "inspect", "scans", "--why", "--json"], cwd=tmp_path, env=environ, capture_output=True, check=False
    )
    submitted = subprocess.run(
        [*command, "submit", "scans", "--job", "night", "--explainer", "onnx", "--allow-implausible"],
        cwd=tmp_path,
        env=environ,
        capture_output=True,
        check=False,
    )

    assert submitted.returncode in {0, 1}, submitted.stderr.decode()
    assert (tmp_path / "reports" / "night" / "summary.csv").is_file()
    told = {"inspect": inspected.stdout + inspected.stderr, "submit": submitted.stdout + submitted.stderr}
    files = [path for path in (tmp_path / "reports").rglob("*") if path.is_file()]
    told |= {str(path.relative_to(tmp_path)): path.read_bytes() for path in files}
    assert [where for where, content in told.items() if NAME.lower() in content.lower().decode("latin-1")] == []
    outcomes = (tmp_path / "reports" / "night" / "summary.csv").read_text()
    assert outcomes.count(",scored,") >= 2
    assert outcomes.count(",rejected,") >= 3
    assert outcomes.count(",failed,") >= 2
