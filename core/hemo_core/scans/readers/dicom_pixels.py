"""Stored pixel values of a DICOM file: decoded, not yet Hounsfield units."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, BinaryIO

import numpy as np
import numpy.typing as npt

from hemo_core.errors import BadGeometry, CodecMissing, DecodeFailed, NoPixels, Truncated
from hemo_core.scans.readers.codestream import codestream_size, jpeg_precision
from hemo_core.scans.readers.dicom_header import COPY_AGAIN, PARSE_ERRORS, Header, ends_early
from hemo_core.scans.readers.safe_open import check_size

if TYPE_CHECKING:
    from pydicom.dataset import Dataset

Stored = npt.NDArray[np.integer[Any]]

_IMPLICIT_LITTLE = "1.2.840.10008.1.2"
_BIG_ENDIAN = "1.2.840.10008.1.2.2"
_JPEG_EXTENDED = "1.2.840.10008.1.2.4.51"
_TWELVE_BITS = 12


def check_pixels(dataset: Dataset, header: Header, stream: BinaryIO) -> None:
    """Refuse a file before anything is decoded.

    Args:
        dataset: as parsed, with its pixel data.
        header: its header.
        stream: the file.

    Raises:
        NoPixels, Truncated, TooLarge, BadGeometry: what is wrong.
    """
    check_size(header.rows, header.columns, header.frames, header.path)
    if not (header.has_pixels and header.rows and header.columns):
        if ends_early(stream, header.path):
            raise Truncated("the file ends before its pixels", path=header.path, hint=COPY_AGAIN)
        kind = header.modality or "DICOM"
        raise NoPixels(f"a {kind} object without pixel data", path=header.path)
    expected = _native_bytes(dataset, header)
    present = len(dataset.PixelData or b"")
    if not present:
        raise NoPixels("the pixel data is empty", path=header.path)
    if expected is not None and present < expected:
        message = f"{present} of {expected} bytes of pixel data are there"
        raise Truncated(message, path=header.path, hint=COPY_AGAIN)
    announced = header.frames
    held = _compressed_frames(dataset) if expected is None else present * announced // expected
    if held > announced and (expected is None or any(dataset.PixelData[expected:])):
        message = (
            f"the header says {announced} frames of {header.rows} x {header.columns}, but there are pixels for {held}"
        )
        raise BadGeometry(message, path=header.path, hint=COPY_AGAIN)


def _compressed_frames(dataset: Dataset) -> int:
    """How many frames the Basic Offset Table lists (PS3.5 A.4); 0 where it is empty or damaged."""
    from pydicom.encaps import parse_basic_offsets

    try:
        return len(parse_basic_offsets(dataset.PixelData))
    except (EOFError, *PARSE_ERRORS):
        return 0


def stored_frame(dataset: Dataset, header: Header, frame: int) -> Stored:
    """Decode one frame.

    Returns:
        Stored values, ``(rows, columns)`` or ``(rows, columns, 3)`` for a colour object, in the data set's sign.

    Raises:
        CodecMissing: no decoder for the transfer syntax.
        Truncated, DecodeFailed: the pixel data is damaged.
    """
    from pydicom.pixels.decoders.base import get_decoder

    syntax = header.transfer_syntax or (_IMPLICIT_LITTLE if dataset.original_encoding[1] is not False else _BIG_ENDIAN)
    try:
        decoder = get_decoder(syntax)
    except NotImplementedError as error:
        raise CodecMissing(f"transfer syntax {syntax} is not one of images", path=header.path) from error
    if not decoder.is_available:
        hint = "; ".join(decoder.missing_dependencies)
        raise CodecMissing(f"no decoder for {decoder.UID.name} ({syntax})", path=header.path, hint=hint)
    if decoder.is_encapsulated:
        _check_codestream(dataset, header, frame)
    plugin = next((name for name in _PREFERRED if name in decoder.available_plugins), "")
    try:
        pixels, _ = decoder.as_array(dataset, index=frame, raw=_is_grey(header), decoding_plugin=plugin)
    except EOFError as error:
        raise Truncated("the pixel data ends early", path=header.path, hint=COPY_AGAIN) from error
    except PARSE_ERRORS as error:
        if syntax == _JPEG_EXTENDED and _is_deep_jpeg(dataset, header, frame):
            hint = "install pylibjpeg-libjpeg beside hemo-batch, or decompress the file first (dcmdjpeg of DCMTK)"
            raise CodecMissing("no decoder for JPEG Extended of 12 bits", path=header.path, hint=hint) from error
        raise DecodeFailed(
            f"frame {frame + 1} cannot be decoded: {error}", path=header.path, hint=COPY_AGAIN
        ) from error
    return np.asarray(pixels)


def _is_deep_jpeg(dataset: Dataset, header: Header, frame: int) -> bool:
    from pydicom.encaps import get_frame

    encoded = get_frame(dataset.PixelData, frame, number_of_frames=header.frames)
    return jpeg_precision(encoded) == _TWELVE_BITS


_PREFERRED = ("pydicom", "pylibjpeg", "gdcm")  # the decoders we ship and test; another one only where these have none


def _is_grey(header: Header) -> bool:
    return header.photometric in {"", "MONOCHROME1", "MONOCHROME2"}


def _native_bytes(dataset: Dataset, header: Header) -> int | None:
    """Bytes an uncompressed object must have; None for a compressed one."""
    from pydicom.uid import UID

    syntax = UID(header.transfer_syntax or _IMPLICIT_LITTLE)
    if syntax.is_transfer_syntax and syntax.is_encapsulated:
        return None
    samples, bits = int(dataset.get("SamplesPerPixel", 1) or 1), int(dataset.get("BitsAllocated", 16) or 16)
    return header.rows * header.columns * header.frames * samples * bits // 8


def _check_codestream(dataset: Dataset, header: Header, frame: int) -> None:
    """Compare the compressed frame's own size with the header's; whole frames only.

    Raises:
        Truncated, DecodeFailed: the fragments cannot be put together.
        TooLarge, DecodeFailed: the frame announces another size than the header.
    """
    from pydicom.encaps import get_frame

    try:
        encoded = get_frame(dataset.PixelData, frame, number_of_frames=header.frames)
    except (EOFError, *PARSE_ERRORS) as error:
        raise Truncated(f"frame {frame + 1} is not complete: {error}", path=header.path, hint=COPY_AGAIN) from error
    size = codestream_size(encoded)
    if size is None or size == (header.rows, header.columns):
        return
    check_size(*size, 1, header.path)
    message = f"the compressed frame is {size[0]} x {size[1]}, the header says {header.rows} x {header.columns}"
    raise DecodeFailed(message, path=header.path)
