"""PNG, JPEG and TIFF → slices: one picture, a multi-page TIFF, or a folder of pictures.

Pillow reads the header without decoding anything, so an over-large picture is refused before it can fill the memory.
Orientation tags (EXIF) are ignored: a slice is taken as stored.

8-bit pictures are taken as they are. 16-bit pictures are Hounsfield units only where that is plain to see: signed or
floating-point values that reach down to air. All others are stretched over their own range, over all pages together,
to 8 bits, with the code ``unknown_window``.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

import numpy as np
import numpy.typing as npt

from hemo_core.errors import BadGeometry, DecodeFailed, Implausible, NonFinite, TooLarge, Truncated, UnknownFormat
from hemo_core.scans.phantom_marks import picture_is_phantom
from hemo_core.scans.quality import QualityNotes
from hemo_core.scans.readers.safe_open import check_size, read_below
from hemo_core.scans.readers.sniff import PICTURES, SNIFF_BYTES, Format, sniff
from hemo_core.scans.scan import Geometry, OrderFrom, Pixels, Quality, Scan, ScanRef, Slice

if TYPE_CHECKING:
    from PIL.Image import Image

Page = npt.NDArray[np.generic]

_COLOUR_SPREAD = 24
_COLOUR_SHARE = 0.01
_AIR_HU = (-4096.0, -500.0)
_MAX_8_BIT = 255
_PNG_END = b"IEND"
_COPY_AGAIN = "copy the file again from its source"
_WINDOW_NOTE = "A picture: its window is not known and its grey levels are not Hounsfield units."
_STRETCHED_NOTE = "Stored with more than 8 bits and no window: grey levels were stretched over the picture's own range."


def read_image(ref: ScanRef, mount: Path, *, allow_implausible: bool) -> Scan:
    """Read a picture, a multi-page TIFF, or the pictures of a folder in the order of ``ref.files``.

    Args:
        allow_implausible: turn colour pictures to grey instead of refusing them.

    Raises:
        ScanError: subclasses, for the first file that cannot be read.
    """
    findings = QualityNotes()
    slices: list[Slice] = []
    hounsfield: set[bool] = set()
    for path in ref.files:
        stream = read_below(mount, path)
        if picture_is_phantom(path, stream.read(SNIFF_BYTES)):
            findings.add(Quality.PHANTOM, "The picture says that this is a phantom, not a patient.")
        stream.seek(0)
        pages = _pages(stream, path, findings, allow_implausible=allow_implausible)
        pixels, is_hu = _values(pages, path, findings)
        hounsfield.add(is_hu)
        slices += [Slice(page, path) for page in pixels]
        check_size(1, 1, len(slices), path)
    if len(hounsfield) > 1:
        raise BadGeometry("the folder mixes pictures in Hounsfield units with others", path=ref.path)
    return _scan(ref, tuple(slices), findings, is_hu=hounsfield == {True})


def _scan(ref: ScanRef, slices: tuple[Slice, ...], findings: QualityNotes, *, is_hu: bool) -> Scan:
    order: OrderFrom = "name" if len(ref.files) > 1 else "frame" if len(slices) > 1 else "single"
    if order == "name":
        findings.add(Quality.ORDER_FROM_NAMES, "The order of the slices was taken from the file names.")
    if len(slices) > 1:
        findings.add(Quality.UNKNOWN_SPACING, "Pictures do not say how far apart they are.")
    units = "hu" if is_hu else "grey8"
    return Scan(ref, slices, units, Geometry(order), findings.codes, findings.notes)  # type: ignore[arg-type]


def _pages(stream: BinaryIO, path: str, findings: QualityNotes, *, allow_implausible: bool) -> list[Page]:
    """Decoded grey pages, ``(rows, columns)`` each, in the stored type."""
    from PIL import Image

    kind = sniff(stream.read(SNIFF_BYTES))
    if kind not in PICTURES:
        raise UnknownFormat("not a PNG, JPEG or TIFF picture, whatever its name says", path=path)
    stream.seek(0)
    with _decoding(path):
        picture = Image.open(stream, formats=[kind.name])
        count = int(getattr(picture, "n_frames", 1)) if kind is Format.TIFF else 1
        columns, rows = picture.size
        check_size(rows, columns, count, path)
        if kind is Format.PNG:
            _check_png_end(stream, path)
        pages = []
        for index in range(count):
            picture.seek(index)
            check_size(picture.size[1], picture.size[0], count, path)
            pages.append(_grey(picture, path, findings, allow_implausible=allow_implausible))
    return pages


@contextmanager
def _decoding(path: str) -> Iterator[None]:
    """Map what Pillow raises on damaged pictures to our errors."""
    from PIL import Image

    try:
        yield
    except Image.DecompressionBombError as error:
        raise TooLarge(str(error), path=path) from error
    except EOFError as error:
        raise Truncated("the picture ends early", path=path, hint=_COPY_AGAIN) from error
    except (
        OSError,
        ValueError,
        TypeError,
        LookupError,
        SyntaxError,
        AttributeError,
        RuntimeError,
        OverflowError,
    ) as error:
        raise _damaged(error, path) from error
    except (struct.error, zlib.error, MemoryError) as error:
        raise _damaged(error, path) from error


def _damaged(error: BaseException, path: str) -> Truncated | DecodeFailed:
    text = str(error)
    if any(word in text.lower() for word in ("truncated", "unexpected end", "not enough", "eof", "cannot identify")):
        return Truncated("the picture ends early", path=path, hint=_COPY_AGAIN)
    return DecodeFailed(f"the picture is damaged: {text}", path=path, hint=_COPY_AGAIN)


def _check_png_end(stream: BinaryIO, path: str) -> None:
    """A PNG without its IEND chunk was cut, even where all its rows happen to decode."""
    here = stream.tell()
    stream.seek(0)
    complete = _PNG_END in stream.read()
    stream.seek(here)
    if not complete:
        raise Truncated("the picture ends early", path=path, hint=_COPY_AGAIN)


def _grey(picture: Image, path: str, findings: QualityNotes, *, allow_implausible: bool) -> Page:
    """One page as a grey array; colour is refused, or turned to luminance on request."""
    if picture.mode in {"P", "PA", "LA", "La", "RGBA", "RGBa", "CMYK", "YCbCr", "LAB", "HSV", "RGBX"}:
        picture = _on_black(picture)
    if picture.mode == "1":
        picture = picture.convert("L")
    array = np.asarray(picture)
    if array.ndim == 2:  # noqa: PLR2004 - rows, columns
        return array
    spread = array.max(axis=-1).astype(np.int16) - array.min(axis=-1)
    if np.count_nonzero(spread > _COLOUR_SPREAD) > _COLOUR_SHARE * spread.size:
        if not allow_implausible:
            hint = "allow implausible pictures to score it all the same"
            raise Implausible("a colour picture is no head CT", path=path, hint=hint)
        findings.add(Quality.IMPLAUSIBLE, "A colour picture was turned to grey; it was scored on request.")
    return np.asarray(picture.convert("L"))


def _on_black(picture: Image) -> Image:
    """Any 8-bit mode → RGB, transparent parts black."""
    from PIL import Image

    if picture.mode in {"CMYK", "YCbCr", "LAB", "HSV", "RGBX"}:
        return picture.convert("RGB")
    picture = picture.convert("RGBA")
    return Image.alpha_composite(Image.new("RGBA", picture.size, (0, 0, 0, 255)), picture).convert("RGB")


def _values(pages: list[Page], path: str, findings: QualityNotes) -> tuple[list[Pixels], bool]:
    """Pages → Hounsfield units (True) or 8-bit grey (False)."""
    if all(page.dtype == np.uint8 for page in pages):
        findings.add(Quality.UNKNOWN_WINDOW, _WINDOW_NOTE)
        return [np.asarray(page, np.uint8) for page in pages], False
    wide = [np.asarray(page, np.float32) for page in pages]
    if not all(np.isfinite(page).all() for page in wide):
        raise NonFinite("the picture holds NaN or infinity", path=path)
    low, high = min(float(page.min()) for page in wide), max(float(page.max()) for page in wide)
    if _AIR_HU[0] <= low <= _AIR_HU[1] and high > 0:
        return list(wide), True
    findings.add(Quality.UNKNOWN_WINDOW, _STRETCHED_NOTE)
    return [_stretch(page, low, high) for page in wide], False


def _stretch(page: npt.NDArray[np.float32], low: float, high: float) -> npt.NDArray[np.uint8]:
    """To 8 bits over the range given; values that fit into 8 bits already keep their grey level."""
    if low >= 0 and 1 < high <= _MAX_8_BIT:
        return np.rint(page).astype(np.uint8)
    return np.asarray(np.rint((page - low) * (255.0 / max(high - low, 1e-6))), np.uint8)
