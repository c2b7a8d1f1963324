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
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from hemo_core.errors import BadGeometry, DecodeFailed, NonFinite, NoPixels, Truncated, UnknownFormat
from hemo_core.scans.phantom_marks import nifti_is_phantom
from hemo_core.scans.quality import QualityNotes
from hemo_core.scans.readers.nifti_space import affine_mm, place
from hemo_core.scans.readers.safe_open import check_size, read_below
from hemo_core.scans.readers.sniff import SNIFF_BYTES, Format, sniff
from hemo_core.scans.readers.square import RESAMPLED_NOTE, is_square, squared
from hemo_core.scans.readers.unpack import GZIP
from hemo_core.scans.readers.values import LOWEST_SHIFTED, SHIFTED_NOTE, hounsfield_offset, without_offset
from hemo_core.scans.scan import Pixels, Quality, Scan, ScanRef, Slice

_HEADER_BYTES = 544
_NIFTI1_SIZE = 348
_NIFTI2_SIZE = 540
_EXTENDER_BYTES = 4
_AXES = 3
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
    volume = _hounsfield(volume, findings)
    geometry, positions = place(affine, volume.shape, image, findings)
    upright = np.moveaxis(volume, 2, 0)[:, ::-1, ::-1].transpose(0, 2, 1)  # (z, rows to the back, columns to the left)
    planes: list[Pixels] = [np.ascontiguousarray(plane) for plane in upright]
    spacing = geometry.pixel_spacing_mm
    if spacing is not None and not is_square(spacing):
        findings.add(Quality.RESAMPLED_PIXELS, RESAMPLED_NOTE)
        planes = [squared(plane, spacing, path) for plane in planes]
        geometry = replace(geometry, pixel_spacing_mm=(min(spacing), min(spacing)))
    slices = tuple(Slice(plane, path, None, position) for plane, position in zip(planes, positions, strict=True))
    return Scan(ref, slices, "hu", geometry, findings.codes, findings.notes)


def _hounsfield(volume: npt.NDArray[np.float32], findings: QualityNotes) -> npt.NDArray[np.float32]:
    """Values ``(x, y, z)`` with a usual offset taken off, where no value is below zero, and padding made air."""
    offset = hounsfield_offset(list(np.moveaxis(volume, 2, 0))) if float(volume.min()) >= LOWEST_SHIFTED else None
    if offset is not None:
        findings.add(Quality.SHIFTED_HOUNSFIELD, SHIFTED_NOTE.format(offset=offset))
    return without_offset(volume, offset or 0)


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
        if head[:2] == GZIP:
            raise UnknownFormat("a gzip file that holds no NIfTI volume", path=path)
        raise UnknownFormat("not a single-file NIfTI volume, whatever its name says", path=path)
    source: io.BufferedIOBase = gzip.GzipFile(fileobj=stream) if head[:2] == GZIP else stream
    try:
        header = _with_offset(source.read(_HEADER_BYTES))
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


def _with_offset(header: bytes) -> bytes:
    """The header with its vox_offset, where that is 0, set to what 0 means: the voxels follow the header at once."""
    sizes = {struct.unpack(f"{order}i", header[:4])[0]: order for order in "<>"}
    if _NIFTI2_SIZE in sizes:
        at, kind, first = slice(168, 176), f"{sizes[_NIFTI2_SIZE]}q", _HEADER_BYTES
    else:
        at, kind, first = slice(108, 112), f"{sizes.get(_NIFTI1_SIZE, '<')}f", _NIFTI1_SIZE + _EXTENDER_BYTES
    if any(header[at]):
        return header
    return header[: at.start] + struct.pack(kind, first) + header[at.stop :]


def _announced_bytes(header: bytes, path: str) -> int:
    """Size of the whole file by its header (nifti1.h: dim, bitpix, vox_offset; nifti2.h likewise)."""
    order = "<" if struct.unpack("<i", header[:4])[0] in {_NIFTI1_SIZE, _NIFTI2_SIZE} else ">"
    if struct.unpack(f"{order}i", header[:4])[0] == _NIFTI2_SIZE:
        bits = int(struct.unpack(f"{order}h", header[14:16])[0])
        dims = struct.unpack(f"{order}8q", header[16:80])
        offset = float(struct.unpack(f"{order}q", header[168:176])[0])
    else:
        bits = int(struct.unpack(f"{order}h", header[72:74])[0])
        dims = struct.unpack(f"{order}8h", header[40:56])
        offset = struct.unpack(f"{order}f", header[108:112])[0]
    _check_voxels(header, order, bits, path)
    if not 1 <= dims[0] <= 7 or min(dims[1 : dims[0] + 1]) < 1 or not 0 <= offset < 1 << 24 or not 0 < bits <= 256:  # noqa: PLR2004 - nifti1.h
        raise DecodeFailed("the NIfTI header is damaged: impossible dimensions", path=path, hint=_COPY_AGAIN)
    shape = _volume_shape(tuple(int(side) for side in dims[1 : dims[0] + 1]), path)
    check_size(*shape, path)
    return int(offset) + math.prod(shape) * bits // 8


def _check_voxels(header: bytes, order: str, bits: int, path: str) -> None:
    """Refuse a type that is no plain number, and a size of voxels that is not that of their type."""
    at = 12 if struct.unpack(f"{order}i", header[:4])[0] == _NIFTI2_SIZE else 70
    kind = int(struct.unpack(f"{order}h", header[at : at + 2])[0])
    if kind in _NO_NUMBERS:
        hint = "convert it to Hounsfield units, one number a voxel"
        raise UnknownFormat(f"a NIfTI volume of {_NO_NUMBERS[kind]} voxels is no CT", path=path, hint=hint)
    if kind in _BITS and bits != _BITS[kind]:
        message = f"the header says {bits} bits a voxel, its data type {kind} has {_BITS[kind]}"
        raise DecodeFailed(message, path=path, hint=_COPY_AGAIN)


_BITS = {2: 8, 4: 16, 8: 32, 16: 32, 64: 64, 256: 8, 512: 16, 768: 32, 1024: 64, 1280: 64}  # nifti1.h, datatype
_NO_NUMBERS = {1: "one-bit", 32: "complex", 128: "colour", 1792: "complex", 2048: "complex", 2304: "colour"}


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
        if shape[2] == 1:
            hint = "if these are the slices of one head, store them along the third axis with their spacing"
        raise BadGeometry(f"a volume of {len(shape)} dimensions {shape}, not one scan", path=path, hint=hint)
    if min(shape) < 1:
        raise NoPixels("the volume is empty", path=path)
    return shape[0], shape[1], shape[2]


def _canonical(
    image: Any, shape: tuple[int, int, int], path: str
) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.float64]]:
    """Values ``(x, y, z)`` in the closest RAS+ axes, and their affine in mm."""
    import nibabel

    data = np.asarray(image.dataobj, dtype=np.float32).reshape(shape)
    if not np.isfinite(data).all():
        raise NonFinite("the volume holds NaN or infinity", path=path, hint="replace them by air (-1000) and try again")
    affine = affine_mm(image)
    if not np.isfinite(affine).all() or abs(np.linalg.det(affine[:3, :3])) < 1e-9:  # noqa: PLR2004 - no volume element
        raise BadGeometry("the affine has no inverse", path=path)
    canonical = nibabel.as_closest_canonical(nibabel.Nifti1Image(data, affine))
    return np.asarray(canonical.dataobj, np.float32), np.asarray(canonical.affine, np.float64)
