"""DICOM series become ordered Hounsfield slices; what is odd gets a code, what is broken a specific error."""

from __future__ import annotations

import csv
import gzip
import warnings
import zipfile
import zlib
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path

import numpy as np
import pydicom
import pydicom.data
import pytest
from pydicom.uid import DeflatedExplicitVRLittleEndian, ExplicitVRBigEndian
from slices import SPEC, head, read, slice_dataset, volume_of, write_series, write_slice

from hemo_core.errors import (
    BadGeometry,
    ChangedInput,
    CodecMissing,
    DecodeFailed,
    Implausible,
    NonFinite,
    NoPixels,
    ScanError,
    TooLarge,
    Truncated,
    UnknownFormat,
)
from hemo_core.phantoms import DicomOptions, Phantom, write_dicom, write_localizer
from hemo_core.scans.describe import decoded_pixels_sha256
from hemo_core.scans.discover import discover
from hemo_core.scans.readers import read_scan


@pytest.fixture(scope="module")
def phantom() -> Phantom:
    return head()


def floor(hu: np.ndarray) -> np.ndarray:
    """What the reader makes of values below air."""
    return np.where(hu < -1024, -1000, hu)


@pytest.mark.parametrize(
    "options",
    [
        DicomOptions(),
        DicomOptions(syntax="implicit"),
        DicomOptions(syntax="rle"),
        DicomOptions(syntax="jpeg-2000"),
        DicomOptions(monochrome1=True),
        DicomOptions(wrapped=True),
        DicomOptions(shuffled=True),
        DicomOptions(multiframe=True),
    ],
    ids=["explicit", "implicit", "rle", "jpeg-2000", "monochrome1", "wrapped", "shuffled", "multi-frame"],
)
def test_every_encoding_gives_the_same_hounsfield_units_from_foot_to_head(tmp_path, phantom, options):
    scan = read(tmp_path, *write_dicom(phantom, tmp_path, options))
    assert scan.units == "hu"
    assert volume_of(scan).dtype == np.float32
    np.testing.assert_array_equal(volume_of(scan), floor(phantom.hu))
    positions = [one.position_mm for one in scan.slices]
    assert positions == sorted(positions)
    assert scan.geometry.order_from == "position"
    assert scan.geometry.slice_spacing_mm == pytest.approx(SPEC.spacing_mm)
    assert ("monochrome1" in scan.quality) == options.monochrome1
    assert ("wrapped_12_bit" in scan.quality) == options.wrapped
    assert "phantom" in scan.quality
    assert set(scan.quality) == set(scan.notes)
    assert len({one.sop_instance_uid for one in scan.slices}) == len(scan.slices)


@pytest.mark.parametrize(
    "syntax", [ExplicitVRBigEndian, DeflatedExplicitVRLittleEndian], ids=["big-endian", "deflated"]
)
def test_rare_uncompressed_syntaxes_are_read(tmp_path, phantom, syntax):
    dataset = slice_dataset(phantom.hu[4])
    dataset.file_meta.TransferSyntaxUID = syntax
    if syntax == ExplicitVRBigEndian:
        dataset.PixelData = phantom.hu[4].astype(">i2").tobytes()
    pydicom.dcmwrite(
        tmp_path / "a",
        dataset,
        enforce_file_format=True,
        little_endian=syntax != ExplicitVRBigEndian,
        implicit_vr=False,
    )
    np.testing.assert_array_equal(volume_of(read(tmp_path, "a"))[0], floor(phantom.hu[4]))


@pytest.mark.parametrize(("name", "syntax"), [("JPEGLSLossless", "80"), ("JPEGLosslessProcess14_1", "70")])
def test_jpeg_ls_and_jpeg_lossless_are_read(tmp_path, phantom, name, syntax):
    gdcm = pytest.importorskip("gdcm", reason="only GDCM can write these for a test")
    source = write_slice(tmp_path / "source.dcm", phantom.hu[4])
    reader = gdcm.ImageReader()
    reader.SetFileName(str(source))
    assert reader.Read()
    change = gdcm.ImageChangeTransferSyntax()
    change.SetTransferSyntax(gdcm.TransferSyntax(getattr(gdcm.TransferSyntax, name)))
    change.SetInput(reader.GetImage())
    assert change.Change()
    writer = gdcm.ImageWriter()
    writer.SetFileName(str(tmp_path / "out.dcm"))
    writer.SetFile(reader.GetFile())
    writer.SetImage(change.GetOutput())
    assert writer.Write()
    assert pydicom.dcmread(tmp_path / "out.dcm").file_meta.TransferSyntaxUID.endswith(syntax)
    np.testing.assert_array_equal(volume_of(read(tmp_path, "out.dcm"))[0], floor(phantom.hu[4]))


def test_bits_above_the_stored_ones_are_not_part_of_the_value(tmp_path, phantom):
    stored = np.clip(phantom.hu[4] + 1024, 0, 4095).astype(np.uint16)
    tags = {"BitsStored": 12, "HighBit": 11, "PixelRepresentation": 0, "RescaleIntercept": -1024}
    write_slice(tmp_path / "plain", stored, **tags)
    write_slice(tmp_path / "dirty", stored, PixelData=(stored | 0x8000).tobytes(), **tags)
    np.testing.assert_array_equal(volume_of(read(tmp_path, "dirty")), volume_of(read(tmp_path, "plain")))


def test_pixel_padding_becomes_air_but_is_not_believed_where_tissue_is(tmp_path, phantom):
    hu = phantom.hu[4].copy()
    hu[:8] = 3071
    write_slice(tmp_path / "outside", hu, PixelPaddingValue=3071)
    assert (volume_of(read(tmp_path, "outside"))[0][:8] == -1000).all()
    write_slice(tmp_path / "tissue", phantom.hu[4], PixelPaddingValue=30)
    np.testing.assert_array_equal(volume_of(read(tmp_path, "tissue"))[0], floor(phantom.hu[4]))


@pytest.mark.parametrize(
    ("orientation", "turn"),
    [
        ([-1, 0, 0, 0, 1, 0], lambda plane: plane[:, ::-1]),
        ([1, 0, 0, 0, -1, 0], lambda plane: plane[::-1]),
        ([-1, 0, 0, 0, -1, 0], lambda plane: plane[::-1, ::-1]),
        ([0, 1, 0, 1, 0, 0], lambda plane: plane.T),
        ([0, 1, 0, -1, 0, 0], lambda plane: plane[:, ::-1].T),
    ],
    ids=["seen-from-the-head", "upside-down", "prone", "transposed", "on-its-side"],
)
def test_slices_are_turned_nose_up_and_still_run_from_foot_to_head(tmp_path, phantom, orientation, turn):
    stored = np.stack([turn(plane) for plane in phantom.hu])
    scan = read(tmp_path, *write_series(tmp_path, stored, ImageOrientationPatient=orientation))
    np.testing.assert_array_equal(volume_of(scan), floor(phantom.hu))
    assert "reoriented" in scan.quality


def test_gantry_tilt_is_found_from_the_geometry_and_from_the_tag(tmp_path, phantom):
    tilted = head(replace(SPEC, tilt_deg=14.0))
    scan = read(tmp_path, *write_dicom(tilted, tmp_path / "tilted"))
    assert scan.geometry.tilt_deg == pytest.approx(14.0, abs=0.01)
    assert "gantry_tilt" in scan.quality
    assert scan.geometry.slice_spacing_mm == pytest.approx(SPEC.spacing_mm)
    write_slice(tmp_path / "tag", phantom.hu[4], GantryDetectorTilt="-12.5")
    assert read(tmp_path, "tag").geometry.tilt_deg == 12.5


def test_gaps_doubled_positions_copies_and_strangers_get_codes(tmp_path, phantom):
    files = write_dicom(phantom, tmp_path / "a", DicomOptions(missing=(3,)))
    scan = read(tmp_path, *files)
    assert "missing_slices" in scan.quality
    assert "about 1:" in scan.notes["missing_slices"]

    copy = tmp_path / "copy.dcm"
    copy.write_bytes(files[0].read_bytes())
    scan = read(tmp_path, *files, copy, write_localizer(phantom, tmp_path))
    assert len(scan.slices) == len(files)
    assert "extra_slices_dropped" in scan.quality

    doubled = write_series(tmp_path / "b", phantom.hu, ConvolutionKernel="H30s")
    first = pydicom.dcmread(doubled[0])
    bone = write_series(
        tmp_path / "bone", phantom.hu + 1, ConvolutionKernel="H70h", SeriesInstanceUID=first.SeriesInstanceUID
    )
    scan = read(tmp_path, *bone, *doubled)
    np.testing.assert_array_equal(volume_of(scan), floor(phantom.hu))
    assert {"duplicate_positions", "mixed_kernels"} <= set(scan.quality)


def test_spacing_that_changes_with_the_slice_thickness_is_variable_but_complete(tmp_path, phantom):
    files = [
        write_slice(tmp_path / f"{i}", phantom.hu[i], z, SliceThickness=thick)
        for i, (z, thick) in enumerate([(0, 4), (4, 4), (8, 4), (12, 4), (18, 8), (26, 8), (34, 8)])
    ]
    scan = read(tmp_path, *files)
    assert "variable_spacing" in scan.quality
    assert "missing_slices" not in scan.quality


def test_without_positions_the_instance_numbers_decide_and_without_those_nothing_does(tmp_path, phantom):
    tags = {"ImagePositionPatient": None}
    files = [write_slice(tmp_path / f"{9 - i}", phantom.hu[i], InstanceNumber=i, **tags) for i in range(4)]
    scan = read(tmp_path, *files)
    assert scan.geometry.order_from == "frame"
    assert "unknown_spacing" in scan.quality
    np.testing.assert_array_equal(volume_of(scan), floor(phantom.hu[:4]))
    blind = [write_slice(tmp_path / f"blind{i}", phantom.hu[i], **tags) for i in range(4)]
    with pytest.raises(BadGeometry, match="neither positions nor distinct instance numbers"):
        read(tmp_path, *blind)


def test_headers_that_break_the_rules_are_read_with_a_code(tmp_path, phantom):
    tags = {"SOPInstanceUID": "ID_0a1b", "SeriesInstanceUID": "ID_s", "StudyInstanceUID": None, "SOPClassUID": None}
    write_slice(tmp_path / "rsna", phantom.hu[4], LossyImageCompression="01", **tags)
    scan = read(tmp_path, "rsna")
    assert {"invalid_uid", "lossy_compressed"} <= set(scan.quality)
    assert scan.slices[0].sop_instance_uid == "ID_0a1b"


def test_a_burnt_in_window_and_blank_slices_are_noticed(tmp_path, phantom):
    clipped = np.clip(phantom.hu, -20, 100)
    assert "clipped_range" in read(tmp_path, *write_series(tmp_path / "clipped", clipped)).quality
    some = phantom.hu.copy()
    some[0] = 0
    scan = read(tmp_path, *write_series(tmp_path / "blank", some))
    assert scan.notes["zero_pixels"] == "1 of 8 slices hold nothing but one value."
    with pytest.raises(Implausible, match="blank"):
        read(tmp_path, *write_series(tmp_path / "all", np.zeros_like(phantom.hu)))


@pytest.mark.parametrize("options", [DicomOptions(), DicomOptions(syntax="jpeg-2000"), DicomOptions(multiframe=True)])
def test_a_file_cut_anywhere_is_truncated_and_never_scored_in_part(tmp_path, phantom, options):
    path = write_dicom(phantom, tmp_path / "whole", options)[0]
    whole = path.read_bytes()
    for cut in np.linspace(160, len(whole) - 9, 60).astype(int):  # the last 8 bytes may be an empty delimiter
        (tmp_path / "cut").write_bytes(whole[:cut])
        with pytest.raises((Truncated, NoPixels)) as caught:  # cut between two elements, no pixels are announced
            read(tmp_path, "cut")
        assert caught.value.path == "cut"


def test_damaged_bytes_never_raise_anything_but_scan_errors(tmp_path, phantom):
    whole = bytearray(write_dicom(phantom, tmp_path / "whole", DicomOptions(syntax="jpeg-2000"))[0].read_bytes())
    rng = np.random.default_rng(3)
    for _ in range(60):
        broken = whole.copy()
        for at in rng.integers(132, len(whole), 12):
            broken[at] = rng.integers(256)
        (tmp_path / "broken").write_bytes(broken)
        with suppress(ScanError):
            read(tmp_path, "broken", allow_implausible=True)


def test_what_is_no_image_says_so(tmp_path, phantom):
    (tmp_path / "text.dcm").write_text("this is no DICOM file\n" * 100)
    with pytest.raises(UnknownFormat, match="whatever its name says"):
        read(tmp_path, "text.dcm")
    write_slice(tmp_path / "report.dcm", phantom.hu[4], PixelData=None, Rows=None, Columns=None, Modality="SR")
    with pytest.raises(NoPixels, match="a SR object without pixel data"):
        read(tmp_path, "report.dcm")
    write_slice(tmp_path / "nan.dcm", phantom.hu[4], RescaleSlope="1e999")
    with pytest.raises(NonFinite):
        read(tmp_path, "nan.dcm")


def test_bombs_are_refused_before_anything_is_decoded(tmp_path, phantom):
    write_slice(tmp_path / "frames", phantom.hu[4], NumberOfFrames=2_000_000)
    with pytest.raises(TooLarge):
        read(tmp_path, "frames")
    write_slice(tmp_path / "sides", phantom.hu[4], Rows=60000, Columns=60000)
    with pytest.raises(TooLarge):
        read(tmp_path, "sides")
    path = write_dicom(phantom, tmp_path / "j2k", DicomOptions(syntax="jpeg-2000"))[0]
    data = path.read_bytes()
    at = data.index(b"\xff\x4f\xff\x51") + 8
    for side, error in ((60000, TooLarge), (97, DecodeFailed)):
        (tmp_path / "lying").write_bytes(data[:at] + side.to_bytes(4, "big") * 2 + data[at + 8 :])
        with pytest.raises(error):
            read(tmp_path, "lying")


def test_a_deflated_bomb_is_refused_while_it_unpacks(tmp_path, phantom, monkeypatch):
    monkeypatch.setattr("hemo_core.scans.readers.dicom_header._MAX_INFLATED", 16 << 20)
    dataset = slice_dataset(phantom.hu[4])
    dataset.file_meta.TransferSyntaxUID = DeflatedExplicitVRLittleEndian
    pydicom.dcmwrite(tmp_path / "small", dataset, enforce_file_format=True)
    data = (tmp_path / "small").read_bytes()
    start = 144 + int.from_bytes(data[140:144], "little")
    packer = zlib.compressobj(9, zlib.DEFLATED, -zlib.MAX_WBITS)
    with (tmp_path / "bomb").open("wb") as out:
        out.write(data[:start])
        for _ in range(20):
            out.write(packer.compress(bytes(1 << 20)))
        out.write(packer.flush())
    with pytest.raises(TooLarge, match="inflates"):
        read(tmp_path, "bomb")


def test_reading_in_threads_gives_what_reading_alone_gives(tmp_path, phantom):
    for name, options in (
        ("a", DicomOptions()),
        ("b", DicomOptions(syntax="jpeg-2000")),
        ("c", DicomOptions(syntax="rle")),
    ):
        write_dicom(phantom, tmp_path / name / name, replace(options, series=ord(name)))
    found = discover(tmp_path, all_series=True)
    refs = list(found) * 4
    alone = [volume_of(read_scan(one, found.mount)) for one in refs]
    with ThreadPoolExecutor(6) as pool:
        together = list(pool.map(lambda one: volume_of(read_scan(one, found.mount)), refs))
    assert len(refs) == 12
    for one, other in zip(alone, together, strict=True):
        np.testing.assert_array_equal(one, other)


def test_public_files_decode_to_the_published_hashes(real_data: Path):
    folder = real_data / "codecs"
    with (folder / "files.csv").open() as table:
        for row in csv.DictReader(table):
            assert decoded_pixels_sha256(folder, row["file"]) == row["sha256_of_decoded_int16"], row["file"]


def test_only_the_ruined_public_file_has_block_artefacts(real_data: Path):
    folders = [real_data / "codecs", *sorted((real_data / "dicom").glob("*/"))]
    ruined = {
        path.name
        for folder in folders
        for path in sorted(folder.glob("*.dcm"))
        if "block_artefacts" in read(folder, path.name).quality
    }
    assert ruined == {"693_UNCI.dcm"}
    assert "lossy_compressed" in read(real_data / "codecs", "693_UNCI.dcm").quality


def test_public_series_are_ordered_and_coded(real_data: Path):
    found = discover(real_data / "dicom")
    scans = {one.path: read_scan(one, found.mount) for one in found}
    exam, tilted = scans["rsna_ID_fff502d5"], scans["ge_hispeed"]
    positions = [one.position_mm for one in exam.slices]
    assert len(positions) == 36
    assert positions == sorted(positions)
    assert "invalid_uid" in exam.quality
    assert {"gantry_tilt", "variable_spacing"} <= set(tilted.quality)
    assert "missing_slices" not in tilted.quality
    assert tilted.geometry.tilt_deg == pytest.approx(18.5, abs=0.01)
    assert sum(path.startswith("rsna_single/") for path in scans) == 10


def test_what_was_stored_for_inverted_display_is_turned_back_only_where_it_is_grey(tmp_path, phantom):
    """Hounsfield units are what they are, however they are shown (PS3.3 C.7.6.3.1.2)."""
    series = write_dicom(phantom, tmp_path, DicomOptions(monochrome1=True))
    scan = read(tmp_path, *series)
    assert scan.units == "hu"
    assert "turned back" not in scan.notes["monochrome1"]
    for path in series:
        dataset = pydicom.dcmread(path)
        dataset.Modality = "OT"
        dataset.save_as(path)
    grey = read(tmp_path, *series)
    assert grey.units == "grey8"
    assert grey.notes["monochrome1"] == "Stored for inverted display (MONOCHROME1); it was turned back."


def test_pixels_that_are_not_square_are_made_square_before_anything_is_turned(tmp_path, phantom):
    hu = phantom.hu[4]
    plain = volume_of(read(tmp_path, write_slice(tmp_path / "plain", hu)))[0]
    for name, plane, spacing in (("rows", hu[::2], [1.0, 0.5]), ("columns", hu[:, ::2], [0.5, 1.0])):
        scan = read(tmp_path, write_slice(tmp_path / name, plane, PixelSpacing=spacing))
        assert scan.slices[0].pixels.shape == plain.shape
        assert scan.geometry.pixel_spacing_mm == (0.5, 0.5)
        assert "resampled_pixels" in scan.quality
        assert np.median(np.abs(volume_of(scan)[0] - plain)) < 20
    turned = write_slice(
        tmp_path / "turned", hu[::2].T, PixelSpacing=[0.5, 1.0], ImageOrientationPatient=[0, 1, 0, 1, 0, 0]
    )
    assert read(tmp_path, turned).slices[0].pixels.shape == plain.shape
    ratio = write_slice(tmp_path / "ratio", hu[::2], PixelSpacing=None, PixelAspectRatio=[2, 1])
    assert read(tmp_path, ratio).slices[0].pixels.shape == plain.shape
    with pytest.raises(BadGeometry, match="not those of an axial slice"):
        read(tmp_path, write_slice(tmp_path / "wrong", hu, PixelSpacing=[0.5, 5.0]))


def test_more_pixels_than_the_header_counts_are_refused_but_padding_is_not(tmp_path, phantom):
    pixels = phantom.hu.astype("<i2").tobytes()
    half = write_slice(tmp_path / "half", phantom.hu[0], NumberOfFrames=len(phantom.hu) // 2, PixelData=pixels)
    with pytest.raises(BadGeometry, match="4 frames of 96 x 96, but there are pixels for 8"):
        read(tmp_path, half)
    rows = write_slice(tmp_path / "rows", phantom.hu[4], Rows=48)
    with pytest.raises(BadGeometry, match="pixels for 2"):
        read(tmp_path, rows)
    one = phantom.hu[4].astype("<i2").tobytes()
    padded = write_slice(tmp_path / "padded", phantom.hu[4], PixelData=one + bytes(len(one)))
    np.testing.assert_array_equal(volume_of(read(tmp_path, padded))[0], floor(phantom.hu[4]))


def test_compressed_frames_that_the_header_does_not_count_are_refused(tmp_path, phantom):
    options = DicomOptions(multiframe=True, syntax="rle")
    file = write_dicom(phantom, tmp_path, options)[0]
    dataset = pydicom.dcmread(file)
    dataset.NumberOfFrames = 4
    dataset.PerFrameFunctionalGroupsSequence = dataset.PerFrameFunctionalGroupsSequence[:4]
    dataset.save_as(file)
    with pytest.raises(BadGeometry, match="4 frames"):
        read(tmp_path, file)


@pytest.mark.parametrize("change", [-2, 1])
def test_an_enhanced_object_describes_each_of_its_frames(tmp_path, phantom, change):
    file = write_dicom(phantom, tmp_path, DicomOptions(multiframe=True))[0]
    dataset = pydicom.dcmread(file)
    groups = list(dataset.PerFrameFunctionalGroupsSequence)
    dataset.PerFrameFunctionalGroupsSequence = groups[:change] if change < 0 else [*groups, groups[0]]
    dataset.save_as(file)
    with pytest.raises(BadGeometry, match=f"8 frames and describes {8 + change}"):
        read(tmp_path, file)


def test_missing_or_wrong_rescale_is_named_as_the_cause(tmp_path, phantom):
    hu = np.maximum(phantom.hu[4], -1024)
    cases = {
        "offset": ({"PixelData": (hu + 1024).astype("<i2").tobytes()}, "Hounsfield units plus 1024"),
        "unsigned": ({"PixelRepresentation": 0}, "signed ones that the header calls unsigned"),
        "window": (
            {"PixelData": np.clip((hu + 20.0) * 2.125, 0, 255).astype("<i2").tobytes()},
            "grey levels of a display window",
        ),
    }
    for name, (tags, cause) in cases.items():
        with pytest.raises(Implausible, match=cause):
            read(tmp_path, write_slice(tmp_path / name, hu, **tags))


def test_a_slope_of_zero_is_named_as_the_cause(tmp_path, phantom):
    with pytest.raises(DecodeFailed, match="slope is 0"):
        read(tmp_path, write_slice(tmp_path / "a", phantom.hu[4], RescaleSlope=0))


def test_a_bare_big_endian_object_is_read_in_its_byte_order(tmp_path, phantom):
    dataset = slice_dataset(phantom.hu[4])
    dataset.PixelData = phantom.hu[4].astype(">i2").tobytes()
    del dataset.file_meta
    pydicom.dcmwrite(tmp_path / "bare", dataset, implicit_vr=False, little_endian=False, enforce_file_format=False)
    np.testing.assert_array_equal(volume_of(read(tmp_path, "bare"))[0], floor(phantom.hu[4]))


def test_positions_that_cannot_be_read_are_coded_where_the_slice_location_orders(tmp_path, phantom):
    files = []
    for index, plane in enumerate(phantom.hu):
        dataset = slice_dataset(plane, SliceLocation=5.0 * index, InstanceNumber=20 - index, SeriesInstanceUID="1.2.3")
        del dataset.ImagePositionPatient
        dataset.add_new("ImagePositionPatient", "LO", ["-10,5", "-10,5", f"{5.0 * index}".replace(".", ",")])
        dataset.save_as(tmp_path / f"{index}", enforce_file_format=True)
        files.append(tmp_path / f"{index}")
    scan = read(tmp_path, *files)
    assert "positions_not_credible" in scan.quality
    np.testing.assert_array_equal(volume_of(scan), floor(phantom.hu))


def test_a_slice_without_orientation_is_coded(tmp_path, phantom):
    assert (
        "unknown_orientation"
        in read(tmp_path, write_slice(tmp_path / "a", phantom.hu[4], ImageOrientationPatient=None)).quality
    )
    assert "unknown_orientation" not in read(tmp_path, write_slice(tmp_path / "b", phantom.hu[4])).quality


def test_twelve_bit_jpeg_names_the_codec_that_is_missing(tmp_path):
    path = pydicom.data.get_testdata_file("JPGExtended.dcm", download=False)
    (tmp_path / "a.dcm").write_bytes(Path(path).read_bytes())
    with pytest.raises(CodecMissing, match="12 bits") as caught:
        read(tmp_path, "a.dcm")
    assert "pylibjpeg-libjpeg" in (caught.value.hint or "")


def test_a_series_in_gzip_is_the_series(tmp_path, phantom):
    plain, packed = tmp_path / "plain", tmp_path / "packed"
    packed.mkdir()
    for file in write_series(plain, phantom.hu):
        (packed / f"{file.name}.gz").write_bytes(gzip.compress(file.read_bytes()))
    one, other = (next(iter(discover(folder))) for folder in (plain, packed))
    assert one.scan_id == other.scan_id
    np.testing.assert_array_equal(volume_of(read_scan(one, plain)), volume_of(read_scan(other, packed)))
    twice = [ref for ref in discover(tmp_path) if ref.duplicate_of]
    assert [ref.duplicate_of for ref in twice] == [one.scan_id]


def test_every_archive_gets_a_row_and_compressed_text_does_not(tmp_path):
    (tmp_path / "a").write_bytes(b"PK\x03\x04" + bytes(100))
    (tmp_path / "a.tar").write_bytes(bytes(257) + b"ustar\x0000" + bytes(300))
    (tmp_path / "a.tgz").write_bytes(gzip.compress((tmp_path / "a.tar").read_bytes()))
    (tmp_path / "a.zst").write_bytes(b"\x28\xb5\x2f\xfd" + bytes(100))
    (tmp_path / "table.csv.gz").write_bytes(gzip.compress(b"a,b\n" * 99))
    (tmp_path / "slides.pptx").write_bytes(b"PK\x03\x04" + bytes(100))
    found = discover(tmp_path)
    rows = {ref.path: ref.failure for ref in found}
    assert sorted(rows) == ["a", "a.tar", "a.tgz", "a.zst"]
    assert {failure.code for failure in rows.values() if failure} == {"unknown_format"}
    assert sorted(path for path, _ in found.ignored) == ["slides.pptx", "table.csv.gz"]


def test_a_zip_file_is_a_folder_for_whoever_submits_it_or_what_it_lies_in(tmp_path, phantom):
    plain, inbox = tmp_path / "plain", tmp_path / "inbox"
    inbox.mkdir()
    with zipfile.ZipFile(inbox / "patient.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        for file in write_series(plain, phantom.hu):
            archive.write(file, f"study/ct/{file.stem}")
        archive.writestr("__MACOSX/study/._000", b"x")
        archive.writestr("empty.dcm", b"")
        archive.writestr("inner.zip", b"PK\x03\x04" + bytes(99))
    (one,) = discover(plain)
    for place in (inbox, inbox / "patient.zip"):
        found = discover(place)
        rows = {ref.path: ref for ref in found}
        assert rows["patient.zip/study/ct"].scan_id == one.scan_id
        scan = read_scan(rows["patient.zip/study/ct"], found.mount)
        np.testing.assert_array_equal(volume_of(scan), volume_of(read_scan(one, plain)))
        failed = {path: ref.failure.code for path, ref in rows.items() if ref.failure}
        assert failed == {"patient.zip/empty.dcm": "empty_file", "patient.zip/inner.zip": "unknown_format"}
        assert list(found.ignored) == [("patient.zip/__MACOSX/study/._000", "hidden")]
    assert sorted(path.name for path in inbox.iterdir()) == ["patient.zip"]


def test_a_scan_whose_zip_file_was_swapped_has_changed(tmp_path, phantom):
    for name, volume in (("a.zip", phantom.hu), ("b.zip", phantom.hu + 1)):
        with zipfile.ZipFile(tmp_path / name, "w") as archive:
            for file in write_series(tmp_path / name[0], volume):
                archive.write(file, file.name)
    one = next(ref for ref in discover(tmp_path / "a.zip"))
    (tmp_path / "b.zip").replace(tmp_path / "a.zip")
    with pytest.raises(ChangedInput):
        read_scan(one, tmp_path)


@pytest.mark.parametrize("kind", ["damaged", "empty", "outside", "absolute", "twice", "encrypted", "bomb"])
def test_a_zip_file_that_is_not_safe_gets_one_failed_row(tmp_path, kind):
    file = tmp_path / "a.zip"
    names = {"outside": ["../../up.dcm"], "absolute": ["/etc/up.dcm"], "twice": ["a", "a"], "empty": []}.get(
        kind, ["a"]
    )
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive, suppress_warnings():
        for name in names:
            archive.writestr(name, bytes(2 << 20) if kind == "bomb" else b"DICM" * 50)
    raw = bytearray(file.read_bytes())
    at = raw.rfind(b"PK\x01\x02")
    if kind == "damaged":
        raw[-22:] = bytes(22)
    if kind == "encrypted":
        raw[at + 8] |= 1
    if kind == "bomb":
        raw[at + 24 : at + 28] = (0xF0000000).to_bytes(4, "little")
    file.write_bytes(raw)
    (row,) = discover(tmp_path)
    assert (row.path, row.failure and row.failure.code) == ("a.zip", "unknown_format")
    assert [path.name for path in tmp_path.iterdir()] == ["a.zip"]


def test_damaged_zip_files_never_raise_anything_but_scan_errors(tmp_path, phantom):
    source = write_slice(tmp_path / "source", phantom.hu[4])
    file = tmp_path / "box" / "a.zip"
    file.parent.mkdir()
    for method in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA):
        with zipfile.ZipFile(file, "w", method) as archive:
            archive.write(source, "a.dcm")
        whole = bytearray(file.read_bytes())
        rng = np.random.default_rng(7)
        for trial in range(30):
            broken = whole.copy()
            start = len(whole) - 120 if trial % 2 else 0
            for at in rng.integers(start, len(whole), 4):
                broken[at] = rng.integers(256)
            file.write_bytes(broken)
            rows = list(discover(file.parent))
            assert len(rows) <= 1
            for row in rows:
                with suppress(ScanError):
                    read_scan(row, file.parent)


@contextmanager
def suppress_warnings():
    """The ``zipfile`` module warns of names that come twice."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield
