"""Pictures: what is grey is read, what is colour, cut, or far too large is refused with its own error."""

from __future__ import annotations

import gzip
import struct
import zlib
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from slices import head, read, volume_of

from hemo_core.bundle.contract import Window
from hemo_core.errors import BadGeometry, Implausible, NonFinite, ScanError, TooLarge, Truncated, UnknownFormat
from hemo_core.phantoms import Phantom, PhantomSpec, write_png
from hemo_core.scans.preprocess import apply_window


@pytest.fixture(scope="module")
def phantom() -> Phantom:
    return head(PhantomSpec(7, slices=6, rows=192, detail="fast"))


@pytest.fixture(scope="module")
def grey(phantom: Phantom) -> np.ndarray:
    return np.asarray(apply_window(phantom.hu[3].astype(np.float32), Window(40, 120)))


@pytest.mark.parametrize("name", ["a.png", "a.tif", "misnamed.dcm"])
def test_a_grey_picture_is_read_as_it_is(tmp_path, grey, name):
    Image.fromarray(grey).save(tmp_path / name, format="TIFF" if name == "a.tif" else "PNG")
    scan = read(tmp_path, name, kind="image")
    np.testing.assert_array_equal(volume_of(scan)[0], grey)
    assert scan.units == "grey8"
    assert scan.slices[0].pixels.dtype == np.uint8
    assert "unknown_window" in scan.quality


@pytest.mark.parametrize("mode", ["RGB", "RGBA", "LA", "P"])
def test_equal_channels_and_full_opacity_are_the_same_picture(tmp_path, grey, mode):
    Image.fromarray(grey).convert(mode).save(tmp_path / "a.png")
    np.testing.assert_array_equal(volume_of(read(tmp_path, "a.png", kind="image"))[0], grey)


@pytest.mark.parametrize("suffix", ["jpg", "png", "tif"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_a_picture_is_turned_as_its_orientation_tag_says(tmp_path, grey, orientation, suffix):
    stored = _STORED[orientation](grey)
    exif = Image.Exif()
    exif[0x0112] = orientation
    Image.fromarray(np.ascontiguousarray(stored)).save(tmp_path / f"a.{suffix}", quality=95, exif=exif)
    scan = read(tmp_path, f"a.{suffix}", kind="image")
    assert np.abs(volume_of(scan)[0].astype(int) - grey).mean() < 3
    assert ("reoriented" in scan.quality) == (orientation > 1)


_STORED = {  # EXIF 2.32, 4.6.4: what row 0 and column 0 of the stored picture show
    1: lambda grey: grey,
    2: np.fliplr,
    3: lambda grey: np.rot90(grey, 2),
    4: np.flipud,
    5: np.transpose,
    6: lambda grey: np.rot90(grey, 1),
    7: lambda grey: np.rot90(grey, 2).T,
    8: lambda grey: np.rot90(grey, 3),
}


@pytest.mark.parametrize("offset", [1000, 1024, 8192, 32768])
@pytest.mark.parametrize("suffix", ["png", "tif"])
def test_shifted_hounsfield_units_are_read_as_hounsfield_units(tmp_path, phantom, offset, suffix):
    hu = np.clip(phantom.hu[3].astype(np.int32), -1000, 3071)
    Image.fromarray((hu + offset).astype(np.uint16)).save(tmp_path / f"a.{suffix}")
    scan = read(tmp_path, f"a.{suffix}", kind="image")
    assert scan.units == "hu"
    np.testing.assert_array_equal(volume_of(scan)[0], hu)
    assert str(offset) in scan.notes["shifted_hounsfield"]


def test_deep_values_that_are_neither_hounsfield_units_nor_a_window_are_refused(tmp_path, phantom):
    raw = (phantom.hu[3].astype(np.int32) + 5000).astype(np.uint16)
    raw[60:64, 60:64] = 9000  # metal that saturates is no window either
    Image.fromarray(raw).save(tmp_path / "raw.png")
    with pytest.raises(Implausible, match="neither Hounsfield units nor a display window"):
        read(tmp_path, "raw.png", kind="image")
    scan = read(tmp_path, "raw.png", kind="image", allow_implausible=True)
    assert {"implausible", "unknown_window"} <= set(scan.quality)


def test_an_offset_that_tissue_does_not_tell_is_not_guessed(tmp_path, phantom):
    hu = np.clip(phantom.hu[3].astype(np.int32), -1000, 3071)
    middle = int(np.median(hu[(hu > -20) & (hu < 100)]))
    between = np.where(hu > -200, hu + 45 - middle, hu)  # brain of 45 HU with 1000, of 21 HU with 1024
    Image.fromarray((between + 1000).astype(np.uint16)).save(tmp_path / "a.png")
    with pytest.raises(Implausible, match="neither Hounsfield units"):
        read(tmp_path, "a.png", kind="image")


def test_a_window_in_twelve_bits_is_stretched(tmp_path, phantom, grey):
    deep = np.clip((phantom.hu[3].astype(np.float32) + 20) * (4095 / 120), 0, 4095)
    Image.fromarray(deep.astype(np.uint16)).save(tmp_path / "a.png")
    scan = read(tmp_path, "a.png", kind="image")
    assert scan.units == "grey8"
    assert np.abs(volume_of(scan)[0].astype(int) - grey).max() <= 1


def test_pictures_of_a_folder_are_stretched_alike(tmp_path, phantom):
    """A slice above the skull would be stretched over its noise, if it were judged alone."""
    deep = np.clip((phantom.hu.astype(np.float32) + 20) * (4095 / 120), 0, 4095).astype(np.uint16)
    deep[5] //= 4
    for number, plane in enumerate(deep):
        Image.fromarray(plane).save(tmp_path / f"{number}.png")
    scan = read(tmp_path, *(f"{number}.png" for number in range(6)), kind="image")
    assert volume_of(scan)[5].max() == 64


def test_sixteen_bits_with_alpha_are_refused_because_half_would_be_dropped(tmp_path, grey):
    Image.fromarray(grey).convert("LA").save(tmp_path / "a.png")
    data = bytearray((tmp_path / "a.png").read_bytes())
    data[24] = 16
    data[29:33] = struct.pack(">I", zlib.crc32(bytes(data[12:29])))
    (tmp_path / "a.png").write_bytes(data)
    with pytest.raises(UnknownFormat, match="16 bits with colour or alpha"):
        read(tmp_path, "a.png", kind="image")


@pytest.mark.parametrize("tagged", [True, False])
def test_a_preview_page_is_no_slice(tmp_path, phantom, tagged):
    pages = [Image.fromarray(plane.astype(np.float32)) for plane in phantom.hu]
    if tagged:  # NewSubfileType 1, of the size of the slices
        pages[-1].encoderinfo = {"tiffinfo": {254: 1}}
    else:
        pages[-1] = pages[-1].resize((64, 64))
    pages[0].save(tmp_path / "a.tif", save_all=True, append_images=pages[1:])
    scan = read(tmp_path, "a.tif", kind="image")
    np.testing.assert_array_equal(volume_of(scan), phantom.hu[:-1])
    assert "extra_slices_dropped" in scan.quality


def test_a_stack_of_imagej_that_lists_one_page_of_many_is_refused(tmp_path, grey):
    for count, name in ((24, "cut.tif"), (1, "whole.tif")):
        Image.fromarray(grey).save(tmp_path / name, tiffinfo={270: f"ImageJ=1.54f\nimages={count}\nslices={count}\n"})
    with pytest.raises(BadGeometry, match="24 images that lists 1"):
        read(tmp_path, "cut.tif", kind="image")
    assert len(read(tmp_path, "whole.tif", kind="image").slices) == 1


def test_a_png_of_several_frames_says_that_one_was_read(tmp_path, grey):
    Image.fromarray(grey).save(tmp_path / "a.png", save_all=True, append_images=[Image.fromarray(255 - grey)])
    scan = read(tmp_path, "a.png", kind="image")
    np.testing.assert_array_equal(volume_of(scan)[0], grey)
    assert "extra_slices_dropped" in scan.quality


def test_white_is_zero_in_sixteen_bits_is_turned_back(tmp_path, grey):
    deep = grey.astype(np.uint16) * 257
    Image.fromarray(65535 - deep).save(tmp_path / "a.tif", tiffinfo={262: 0})
    np.testing.assert_array_equal(volume_of(read(tmp_path, "a.tif", kind="image"))[0], grey)


def test_inverted_grey_levels_are_named_as_the_cause(tmp_path, grey):
    Image.fromarray(255 - grey).save(tmp_path / "a.png")
    with pytest.raises(Implausible, match="inverted"):
        read(tmp_path, "a.png", kind="image")


@pytest.mark.parametrize("suffix", ["png", "jpg", "tif"])
def test_a_picture_of_unequal_resolution_is_made_square(tmp_path, grey, suffix):
    Image.fromarray(grey[::2]).save(tmp_path / f"a.{suffix}", dpi=(200, 100), quality=95)
    scan = read(tmp_path, f"a.{suffix}", kind="image")
    assert volume_of(scan)[0].shape == grey.shape
    assert np.abs(volume_of(scan)[0].astype(int) - grey).mean() < 8
    assert "resampled_pixels" in scan.quality


def test_a_picture_inside_gzip_is_read_and_a_bomb_is_not(tmp_path, grey, monkeypatch):
    Image.fromarray(grey).save(tmp_path / "a.png")
    packed = gzip.compress((tmp_path / "a.png").read_bytes())
    (tmp_path / "a.png.gz").write_bytes(packed)
    np.testing.assert_array_equal(volume_of(read(tmp_path, "a.png.gz", kind="image"))[0], grey)
    (tmp_path / "cut.gz").write_bytes(packed[:-100])
    with pytest.raises(Truncated):
        read(tmp_path, "cut.gz", kind="image")
    monkeypatch.setattr("hemo_core.scans.readers.unpack.MAX_UNPACKED", 1 << 20)
    (tmp_path / "bomb.gz").write_bytes(gzip.compress(bytes(3 << 20)))
    with pytest.raises(TooLarge):
        read(tmp_path, "bomb.gz", kind="image")


def test_sixteen_bits_are_stretched_and_said_to_be(tmp_path, grey):
    Image.fromarray(grey.astype(np.uint16) * 100 + 500).save(tmp_path / "a.png")
    scan = read(tmp_path, "a.png", kind="image")
    np.testing.assert_array_equal(volume_of(scan)[0], grey)
    assert "more than 8 bits" in scan.notes["unknown_window"]


def test_signed_values_that_reach_air_are_hounsfield_units(tmp_path, phantom):
    pages = [Image.fromarray(plane.astype(np.float32)) for plane in phantom.hu]
    pages[0].save(tmp_path / "a.tif", save_all=True, append_images=pages[1:])
    scan = read(tmp_path, "a.tif", kind="image")
    assert scan.units == "hu"
    assert scan.geometry.order_from == "frame"
    np.testing.assert_array_equal(volume_of(scan), phantom.hu)


def test_a_folder_of_pictures_is_read_in_the_order_given(tmp_path, phantom):
    files = write_png(phantom, tmp_path)
    scan = read(tmp_path, *files, kind="image")
    assert scan.geometry.order_from == "name"
    assert {"order_from_names", "unknown_spacing", "phantom"} <= set(scan.quality)
    assert [one.source for one in scan.slices] == [path.name for path in files]


def test_a_colour_photograph_is_refused_unless_asked_for(tmp_path):
    rng = np.random.default_rng(1)
    photo = Image.fromarray(rng.integers(0, 256, (10, 10, 3), dtype=np.uint8)).resize(
        (100, 100), Image.Resampling.BICUBIC
    )
    photo.save(tmp_path / "photo.jpg")
    with pytest.raises(Implausible, match="colour"):
        read(tmp_path, "photo.jpg", kind="image")
    scan = read(tmp_path, "photo.jpg", kind="image", allow_implausible=True)
    assert "implausible" in scan.quality
    assert scan.slices[0].pixels.shape == (100, 100)


@pytest.mark.parametrize("suffix", ["png", "jpg", "tif"])
def test_a_picture_cut_anywhere_is_truncated(tmp_path, grey, suffix):
    Image.fromarray(grey).save(tmp_path / f"whole.{suffix}")
    whole = (tmp_path / f"whole.{suffix}").read_bytes()
    for share in (0.02, 0.2, 0.5, 0.8, 0.98):
        (tmp_path / "cut").write_bytes(whole[: int(len(whole) * share)])
        with pytest.raises(Truncated):
            read(tmp_path, "cut", kind="image")


def test_a_png_bomb_is_refused_from_its_header(tmp_path):
    def chunk(kind: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

    side = 50_000
    packer = zlib.compressobj(9)
    row = bytes(1 + side)
    rows = b"".join(packer.compress(row) for _ in range(side // 10)) + packer.flush()
    header = struct.pack(">IIBBBBB", side, side, 8, 0, 0, 0, 0)
    bomb = b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", rows) + chunk(b"IEND", b"")
    (tmp_path / "bomb.png").write_bytes(bomb)
    with pytest.raises(TooLarge):
        read(tmp_path, "bomb.png", kind="image")


def test_not_a_number_and_not_a_picture_are_told_apart(tmp_path, phantom):
    plane = phantom.hu[0].astype(np.float32)
    plane[0, 0] = np.nan
    Image.fromarray(plane).save(tmp_path / "nan.tif")
    with pytest.raises(NonFinite):
        read(tmp_path, "nan.tif", kind="image")
    (tmp_path / "text.png").write_text("no picture")
    with pytest.raises(UnknownFormat):
        read(tmp_path, "text.png", kind="image")


def test_damaged_bytes_never_raise_anything_but_scan_errors(tmp_path: Path, grey: np.ndarray):
    rng = np.random.default_rng(2)
    for suffix in ("png", "jpg", "tif"):
        Image.fromarray(grey).save(tmp_path / f"whole.{suffix}")
        whole = bytearray((tmp_path / f"whole.{suffix}").read_bytes())
        for _ in range(40):
            broken = whole.copy()
            for at in rng.integers(8, len(whole), 8):
                broken[at] = rng.integers(256)
            (tmp_path / "broken").write_bytes(broken)
            with suppress(ScanError):
                read(tmp_path, "broken", kind="image", allow_implausible=True)
