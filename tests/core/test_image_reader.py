"""Pictures: what is grey is read, what is colour, cut, or far too large is refused with its own error."""

from __future__ import annotations

import struct
import zlib
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from slices import head, read, volume_of

from hemo_core.bundle.contract import Window
from hemo_core.errors import Implausible, NonFinite, ScanError, TooLarge, Truncated, UnknownFormat
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


def test_a_jpeg_is_read_and_its_rotation_tag_ignored(tmp_path, grey):
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.fromarray(grey).convert("RGB").save(tmp_path / "a.jpg", quality=95, exif=exif)
    read_back = volume_of(read(tmp_path, "a.jpg", kind="image"))[0].astype(int)
    assert np.abs(read_back - grey).mean() < 3


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
