"""A folder as it comes from a file share: good scans between everything that can be wrong with a file."""

from __future__ import annotations

import csv
import io
import json
import os
import shutil
import struct
import subprocess
import sys
import zlib
from pathlib import Path

import nibabel
import numpy as np
import pydicom
import pytest
from PIL import Image

from hemo_cli.failure import Exit
from hemo_core.phantoms import (
    DicomOptions,
    Phantom,
    PhantomSpec,
    make_phantom,
    write_dicom,
    write_localizer,
    write_nifti,
    write_png,
)

pytestmark = pytest.mark.slow

GOOD = {
    "a copy",
    'quoted "it\'s" <b>&amp;',
    "Schädel 頭部",
    "latin-\\xe9",
    "new\\nline",
    "gap",
    "original",
    "volume.nii.gz",
    "pages.tif",
    "16 bit.png",
    "'=1+1.png",  # a spreadsheet must not take it for a formula
}
BAD = {
    "bad/bomb.png": "too_large",
    "bad/cut.dcm": "truncated",
    "bad/dangling.dcm": "file_unreadable",
    "bad/empty.dcm": "empty_file",
    "bad/folder.dcm": "file_unreadable",
    "bad/four.nii.gz": "bad_geometry",
    "bad/loop": "file_unreadable",
    "bad/nan.nii.gz": "non_finite",
    "bad/no pixels.dcm": "no_pixels",
    "bad/noise.dcm": "implausible",
    "bad/photo.jpg": "implausible",
    "bad/pipe.dcm": "file_unreadable",
    "bad/text.dcm": "unknown_format",
}
IGNORED = {"notes.txt", "pipe", "nothing sent", "earlier job"}


@pytest.fixture(scope="module")
def mixed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("in")
    spare = tmp_path_factory.mktemp("spare")
    write_good(root, spare)
    (root / "bad").mkdir()
    write_bad(root / "bad", spare)
    (root / "notes.txt").write_text("no scan")
    os.mkfifo(root / "pipe")
    (root / "nothing sent").mkdir()
    (root / "earlier job").mkdir()
    for name in ("job.json", "manifest.jsonl", "summary.csv"):
        (root / "earlier job" / name).write_text("{}")
    return root


def phantom(seed: int) -> Phantom:
    return make_phantom(PhantomSpec(seed, slices=6, spacing_mm=18, rows=96, detail="fast"))


def write_good(root: Path, spare: Path) -> None:
    write_dicom(phantom(1), root / "original", DicomOptions(shuffled=True))
    shutil.copytree(root / "original", root / "a copy")
    for seed, name in enumerate((b'quoted "it\'s" <b>&amp;', "Schädel 頭部".encode(), b"latin-\xe9", b"new\nline"), 2):
        write_dicom(phantom(seed), spare / str(seed))
        shutil.copytree(os.fsencode(spare / str(seed)), os.fsencode(root) + b"/" + name)
    write_dicom(phantom(6), root / "gap", DicomOptions(missing=(2,)))
    write_localizer(phantom(7), root / "scout")
    write_nifti(phantom(8), root / "volume.nii.gz")
    pages = [Image.open(path) for path in write_png(phantom(9), spare)]
    pages[0].save(root / "pages.tif", save_all=True, append_images=pages[1:])
    Image.fromarray(np.asarray(pages[3]).astype(np.uint16) * 250).save(root / "16 bit.png")
    pages[2].save(root / "=1+1.png")


def write_bad(bad: Path, spare: Path) -> None:
    whole = write_dicom(phantom(10), spare / "whole")[3].read_bytes()
    (bad / "empty.dcm").touch()
    (bad / "text.dcm").write_text("no scan at all\n" * 30)
    (bad / "cut.dcm").write_bytes(whole[: len(whole) // 2])
    (bad / "dangling.dcm").symlink_to("nowhere")
    (bad / "loop").symlink_to(bad)
    (bad / "folder.dcm").mkdir()
    os.mkfifo(bad / "pipe.dcm")
    (bad / "bomb.png").write_bytes(png_bomb())
    rows, columns = np.mgrid[:100, :100]
    Image.fromarray(np.dstack([rows * 2, columns * 2, 250 - rows * 2]).astype(np.uint8)).save(bad / "photo.jpg")
    volume = np.full((96, 96, 6), 40, np.float32)
    nibabel.save(nibabel.Nifti1Image(np.stack([volume] * 3, axis=-1), np.eye(4)), bad / "four.nii.gz")
    volume[3, 3, 3] = np.nan
    nibabel.save(nibabel.Nifti1Image(volume, np.eye(4)), bad / "nan.nii.gz")
    dataset = pydicom.dcmread(io.BytesIO(whole))
    noise = np.random.default_rng(0).integers(0, 2000, (96, 96)).astype("<i2")
    dataset.PixelData = noise.tobytes()
    dataset.StudyInstanceUID = dataset.SeriesInstanceUID = dataset.SOPInstanceUID = "2.25.1"
    dataset.save_as(bad / "noise.dcm")
    del dataset.PixelData
    dataset.StudyInstanceUID = dataset.SeriesInstanceUID = dataset.SOPInstanceUID = "2.25.2"
    dataset.save_as(bad / "no pixels.dcm")


def png_bomb() -> bytes:
    """Ten kilobytes that announce 2.5 gigapixels."""
    header = struct.pack(">IIBBBBB", 50_000, 50_000, 8, 0, 0, 0, 0)
    chunks = ((b"IHDR", header), (b"IDAT", zlib.compress(bytes(10_000_000))), (b"IEND", b""))
    packed = (
        struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body)) for kind, body in chunks
    )
    return b"\x89PNG\r\n\x1a\n" + b"".join(packed)


def test_good_scans_are_scored_and_every_other_file_has_its_code(mixed: Path, tiny_bundle: Path, tmp_path: Path):
    code = "import sys; from hemo_cli.main import main; sys.exit(main())"
    told = ("submit", str(mixed), "--job", "mixed", "--out", str(tmp_path), "--bundle", str(tiny_bundle), "--json")

    call = [sys.executable, "-c", code, *told]
    ran = subprocess.run(call, capture_output=True, text=True, timeout=240, check=False)

    assert ran.returncode == Exit.SCANS_FAILED, ran.stderr
    assert json.loads(ran.stdout)["outcomes"] == {"scored": len(GOOD), "failed": len(BAD), "rejected": 1}
    with (tmp_path / "mixed" / "summary.csv").open(newline="", encoding="utf-8") as stream:
        rows = {row["path"]: row for row in csv.DictReader(stream)}
    assert {path for path, row in rows.items() if row["outcome"] == "scored"} == GOOD
    assert {path: row["code"] for path, row in rows.items() if row["outcome"] == "failed"} == BAD
    assert rows["scout/localizer.dcm"]["code"] == "localizer"
    assert rows["original"]["duplicate_of"] == rows["a copy"]["scan_id"]
    assert "missing_slices" in rows["gap"]["quality"]
    assert all((tmp_path / "mixed" / row["report"]).is_file() for row in rows.values())
    with (tmp_path / "mixed" / "ignored.csv").open(newline="", encoding="utf-8") as stream:
        assert {row["path"] for row in csv.DictReader(stream)} == IGNORED
