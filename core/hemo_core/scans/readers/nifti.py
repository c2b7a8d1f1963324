"""A NIfTI volume (.nii, .nii.gz) → axial slices in Hounsfield units, ordered from foot to head.

The volume is brought to the closest canonical axes (RAS+: x to the patient's left-to-right, y to the front, z to the
head) by flips and transpositions alone, nothing is resampled; each axial plane is then turned to look as a DICOM axial
does: rows run to the back, columns to the patient's left.
"""

from __future__ import annotations

import gzip
import io
import math
import struct
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from hemo_core.errors import BadGeometry, DecodeFailed, NonFinite, NoPixels, Truncated, UnknownFormat
from hemo_core.scans.phantom_marks import nifti_is_phantom
from hemo_core.scans.quality import QualityNotes
from hemo_core.scans.readers.dicom_hounsfield import AIR_HU, LOWEST_HU
from hemo_core.scans.readers.safe_open import check_size, read_below
from hemo_core.scans.readers.sniff import SNIFF_BYTES, Format, sniff
from hemo_core.scans.scan import Geometry, Quality, Scan, ScanRef, Slice

_GZIP = b"\x1f\x8b"
_HEADER_BYTES = 544
_NIFTI2_SIZE = 540
_AXES = 3
_TILT_DEG = 1.0
_OBLIQUE_DEG = 45.0
_COPY_AGAIN = "copy the file again from its source"


def read_nifti(ref: ScanRef, mount: Path) -> Scan:
    """Read a volume.

    Raises:
        UnknownFormat, Truncated, DecodeFailed, TooLarge, NoPixels, NonFinite: the file is not usable.
        BadGeometry: not one three-dimensional volume.
    """
    path = ref.files[0]
    data = _unpacked(read_below(mount, path), path)
    with _parsing(path):
        image = _image(data)
        shape = _volume_shape(image.shape, path)
        check_size(*shape, path)
        volume, affine = _canonical(image, shape, path)
    findings = QualityNotes()
    if nifti_is_phantom(image.header):
        findings.add(Quality.PHANTOM, "The header says that this is a phantom, not a patient.")
    geometry, positions = _place(affine, volume.shape[2], image, findings)
    planes = np.moveaxis(volume, 2, 0)[:, ::-1, ::-1].transpose(0, 2, 1)  # (z, rows to the back, columns to the left)
    slices = tuple(
        Slice(np.ascontiguousarray(plane), path, None, position)
        for plane, position in zip(planes, positions, strict=True)
    )
    return Scan(ref, slices, "hu", geometry, findings.codes, findings.notes)


@contextmanager
def _parsing(path: str) -> Iterator[None]:
    """Map what nibabel raises on damaged files to our errors."""
    from nibabel.filebasedimages import ImageFileError
    from nibabel.orientations import OrientationError
    from nibabel.spatialimages import HeaderDataError, ImageDataError

    try:
        yield
    except EOFError as error:
        raise Truncated("the volume ends early", path=path, hint=_COPY_AGAIN) from error
    except OrientationError as error:
        raise BadGeometry(f"the affine gives no orientation: {error}", path=path) from error
    except (ImageFileError, HeaderDataError, ImageDataError) as error:
        raise DecodeFailed(f"the NIfTI header is damaged: {error}", path=path, hint=_COPY_AGAIN) from error
    except (OSError, ValueError, TypeError, LookupError, ArithmeticError, RuntimeError, struct.error) as error:
        raise DecodeFailed(f"the NIfTI file is damaged: {error}", path=path, hint=_COPY_AGAIN) from error


def _unpacked(stream: io.BytesIO, path: str) -> io.BytesIO:
    """The plain NIfTI bytes, as many as the header announces and no more.

    A gzip bomb unpacks to whatever it likes; the header comes first, so only what it announces is unpacked.
    """
    head = stream.read(SNIFF_BYTES)
    stream.seek(0)
    if sniff(head) is not Format.NIFTI:
        if head[:2] == _GZIP:
            raise UnknownFormat("a gzip file that holds no NIfTI volume", path=path)
        raise UnknownFormat("not a single-file NIfTI volume, whatever its name says", path=path)
    source: io.BufferedIOBase = gzip.GzipFile(fileobj=stream) if head[:2] == _GZIP else stream
    try:
        header = source.read(_HEADER_BYTES)
        expected = _announced_bytes(header, path)
        data = header + source.read(max(0, expected - len(header)))
    except EOFError as error:
        raise Truncated("the volume ends early", path=path, hint=_COPY_AGAIN) from error
    except (OSError, zlib.error) as error:
        raise DecodeFailed(f"the gzip stream is damaged: {error}", path=path, hint=_COPY_AGAIN) from error
    if len(data) < expected:
        message = f"{len(data)} of {expected} bytes are there"
        raise Truncated(message, path=path, hint=_COPY_AGAIN)
    return io.BytesIO(data)


def _announced_bytes(header: bytes, path: str) -> int:
    """Size of the whole file by its header (nifti1.h: dim, bitpix, vox_offset; nifti2.h likewise)."""
    order = "<" if struct.unpack("<i", header[:4])[0] in {348, _NIFTI2_SIZE} else ">"
    if struct.unpack(f"{order}i", header[:4])[0] == _NIFTI2_SIZE:
        bits = int(struct.unpack(f"{order}h", header[14:16])[0])
        dims = struct.unpack(f"{order}8q", header[16:80])
        offset = float(struct.unpack(f"{order}q", header[168:176])[0])
    else:
        bits = int(struct.unpack(f"{order}h", header[72:74])[0])
        dims = struct.unpack(f"{order}8h", header[40:56])
        offset = struct.unpack(f"{order}f", header[108:112])[0]
    if not 1 <= dims[0] <= 7 or min(dims[1 : dims[0] + 1]) < 1 or not 0 <= offset < 1 << 24 or not 0 < bits <= 256:  # noqa: PLR2004 - nifti1.h
        raise DecodeFailed("the NIfTI header is damaged: impossible dimensions", path=path, hint=_COPY_AGAIN)
    shape = _volume_shape(tuple(int(side) for side in dims[1 : dims[0] + 1]), path)
    check_size(*shape, path)
    return int(offset) + math.prod(shape) * bits // 8


def _image(data: io.BytesIO) -> Any:
    """Nibabel image over bytes in memory; its data is not touched yet."""
    import nibabel

    size = struct.unpack("<i", data.getvalue()[:4])[0]
    order_swapped = struct.unpack(">i", data.getvalue()[:4])[0]
    kind = nibabel.Nifti2Image if _NIFTI2_SIZE in {size, order_swapped} else nibabel.Nifti1Image
    return kind.from_bytes(data.getvalue())


def _volume_shape(shape: tuple[int, ...], path: str) -> tuple[int, int, int]:
    """The three axes; trailing axes of length one are no fourth dimension."""
    while len(shape) > _AXES and shape[-1] == 1:
        shape = shape[:-1]
    shape += (1,) * (_AXES - len(shape))
    if len(shape) != _AXES:
        hint = "split it, for instance with nibabel.four_to_three, and submit the volume without contrast"
        raise BadGeometry(f"a volume of {len(shape)} dimensions {shape}, not one scan", path=path, hint=hint)
    if min(shape) < 1:
        raise NoPixels("the volume is empty", path=path)
    return shape[0], shape[1], shape[2]


def _canonical(
    image: Any, shape: tuple[int, int, int], path: str
) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.float64]]:
    """Hounsfield units ``(x, y, z)`` in the closest RAS+ axes, and their affine."""
    import nibabel

    data = np.asarray(image.dataobj, dtype=np.float32).reshape(shape)
    if not np.isfinite(data).all():
        raise NonFinite("the volume holds NaN or infinity", path=path, hint="replace them by air (-1000) and try again")
    affine = np.asarray(image.affine, np.float64)
    if not np.isfinite(affine).all() or abs(np.linalg.det(affine[:3, :3])) < 1e-9:  # noqa: PLR2004 - no volume element
        raise BadGeometry("the affine has no inverse", path=path)
    canonical = nibabel.as_closest_canonical(nibabel.Nifti1Image(data, affine))
    units = np.array(canonical.dataobj, np.float32)
    units[units < LOWEST_HU] = AIR_HU
    return units, np.asarray(canonical.affine, np.float64)


def _place(
    affine: npt.NDArray[np.float64], count: int, image: Any, findings: QualityNotes
) -> tuple[Geometry, list[float | None]]:
    """Geometry of canonical axes, and the position of each plane along the normal, growing to the head."""
    zooms = np.linalg.norm(affine[:3, :3], axis=0)
    normal = np.cross(affine[:3, 0], affine[:3, 1])
    normal = normal / np.linalg.norm(normal)
    normal = normal if normal[2] >= 0 else -normal
    spacing = abs(float(normal @ affine[:3, 2]))
    tilt = math.degrees(math.acos(min(1.0, abs(float(normal[2])))))
    if tilt >= _TILT_DEG:
        findings.add(Quality.GANTRY_TILT, f"The slices are tilted by {tilt:.1f} degrees; they were scored as stored.")
    if tilt > _OBLIQUE_DEG:
        findings.add(Quality.NOT_AXIAL, "The slices are not axial; the model was trained on axial slices.")
    if not int(image.header["sform_code"]) and not int(image.header["qform_code"]):
        text = "The header has no orientation (sform and qform codes are 0); the stored axes were taken to be RAS."
        findings.add(Quality.UNKNOWN_SPACING, text)
    start = float(normal @ affine[:3, 3])
    positions: list[float | None] = [start + index * spacing for index in range(count)]
    return (
        Geometry(
            "affine" if count > 1 else "single",
            (float(zooms[1]), float(zooms[0])),
            spacing if count > 1 else None,
            round(tilt, 3),
        ),
        positions,
    )
