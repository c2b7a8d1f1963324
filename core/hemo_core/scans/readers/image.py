"""PNG, JPEG and TIFF → slices: one picture, a multi-page TIFF, or a folder of pictures.

Pillow reads the header without decoding anything, so an over-large picture is refused before it can fill the memory.
A picture is turned as its orientation tag (EXIF, TIFF 274) says, and resampled where its pixels are not square.

8-bit pictures are taken as they are. Deeper ones are Hounsfield units where that is plain to see: signed or
floating-point values that reach down to air, or values that are Hounsfield units once a usual offset is taken off. A
display window in more than 8 bits is stretched over its range, all pages together, with the code ``unknown_window``.
Anything else is refused: stretched over thousands of levels, a small bleed would be one grey level.
"""

from __future__ import annotations

import re
import struct
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

import numpy as np
import numpy.typing as npt

from hemo_core.errors import (
    BadGeometry,
    DecodeFailed,
    Implausible,
    NonFinite,
    NoPixels,
    TooLarge,
    Truncated,
    UnknownFormat,
)
from hemo_core.scans.phantom_marks import picture_is_phantom
from hemo_core.scans.quality import QualityNotes
from hemo_core.scans.readers.colour import is_colour
from hemo_core.scans.readers.safe_open import check_size
from hemo_core.scans.readers.sniff import PICTURES, SNIFF_BYTES, Format, sniff
from hemo_core.scans.readers.square import RESAMPLED_NOTE, is_square, squared
from hemo_core.scans.readers.unpack import read_plain
from hemo_core.scans.readers.values import SHIFTED_NOTE, hounsfield_offset, is_windowed, without_offset
from hemo_core.scans.scan import Geometry, OrderFrom, Pixels, Quality, Scan, ScanRef, Slice, Units

if TYPE_CHECKING:
    from PIL.Image import Image

Array = npt.NDArray[np.generic]

_AIR_HU = (-4096.0, -500.0)
_MAX_8_BIT = 255
_ORIENTATION = 274
_SIDES_SWAPPED = 5
_PHOTOMETRIC = 262
_DESCRIPTION = 270
_IMAGEJ_COUNT = re.compile(r"ImageJ=[^\n]*\n(?:[^\n]*\n)*?images=(\d{1,9})\b")
_WHITE_IS_ZERO = 0
_SUBFILE_TYPE = 254
_NO_PAGE = 0b101  # TIFF 6.0, NewSubfileType: a reduced version of another page, or its mask
_MAX_16_BIT = 65535
_LARGEST = 1e6
_PNG_END = b"IEND"
_COPY_AGAIN = "copy the file again from its source"
_WINDOW_NOTE = "A picture: its window is not known and its grey levels are not Hounsfield units."
_STRETCHED_NOTE = "A window stored with more than 8 bits: grey levels were stretched over the picture's own range."


@dataclass(frozen=True, slots=True, eq=False)
class _Page:
    """One decoded page: grey ``(rows, columns)`` in the stored type, and its (row, column) spacing in any unit."""

    path: str
    grey: Array
    spacing: tuple[float, float] | None


def read_image(ref: ScanRef, mount: Path, *, allow_implausible: bool) -> Scan:
    """Read a picture, a multi-page TIFF, or the pictures of a folder in the order of ``ref.files``.

    Args:
        allow_implausible: turn colour pictures to grey instead of refusing them.

    Raises:
        ScanError: subclasses, for the first file that cannot be read.
    """
    findings = QualityNotes()
    pages: list[_Page] = []
    for path in ref.files:
        stream = read_plain(mount, path)
        if picture_is_phantom(path, stream.read(SNIFF_BYTES)):
            findings.add(Quality.PHANTOM, "The picture says that this is a phantom, not a patient.")
        stream.seek(0)
        pages += _pages(stream, path, findings, allow_implausible=allow_implausible)
        check_size(1, 1, len(pages), path)
    pixels, units = _values([page.grey for page in pages], ref.path, findings, allow_implausible=allow_implausible)
    slices = tuple(Slice(_squared(grey, page, findings), page.path) for grey, page in zip(pixels, pages, strict=True))
    return _scan(ref, slices, findings, units)


def _scan(ref: ScanRef, slices: tuple[Slice, ...], findings: QualityNotes, units: Units) -> Scan:
    order: OrderFrom = "name" if len(ref.files) > 1 else "frame" if len(slices) > 1 else "single"
    if order == "name":
        findings.add(Quality.ORDER_FROM_NAMES, "The order of the slices was taken from the file names.")
    if len(slices) > 1:
        findings.add(Quality.UNKNOWN_SPACING, "Pictures do not say how far apart they are.")
    return Scan(ref, slices, units, Geometry(order), findings.codes, findings.notes)


def _squared(grey: Pixels, page: _Page, findings: QualityNotes) -> Pixels:
    if page.spacing is None or is_square(page.spacing):
        return grey
    findings.add(Quality.RESAMPLED_PIXELS, RESAMPLED_NOTE)
    return squared(grey, page.spacing, page.path)


def _pages(stream: BinaryIO, path: str, findings: QualityNotes, *, allow_implausible: bool) -> list[_Page]:
    """The decoded pages of one file; of a TIFF those of its most common size, without previews and masks."""
    from PIL import Image

    kind = sniff(stream.read(SNIFF_BYTES))
    if kind not in PICTURES:
        raise UnknownFormat("not a PNG, JPEG or TIFF picture, whatever its name says", path=path)
    stream.seek(0)
    with _decoding(path):
        picture = Image.open(stream, formats=[kind.name])
        count = int(getattr(picture, "n_frames", 1))
        columns, rows = picture.size
        check_size(rows, columns, count, path)
        if kind is Format.PNG:
            _check_png(stream, path)
        if kind is Format.TIFF:
            _check_imagej(picture, count, path)
        elif count > 1:
            findings.add(Quality.EXTRA_SLICES_DROPPED, f"Only the first of {count} pictures in the file was read.")
            count = 1
        kept = _page_numbers(picture, count, findings, path) if count > 1 else [0]
        pages = []
        for index in kept:
            picture.seek(index)
            upright, turned = _upright(picture, findings)
            grey = _grey(upright, path, findings, allow_implausible=allow_implausible)
            pages.append(_Page(path, grey, _spacing(picture, turned=turned)))
    return pages


def _check_imagej(picture: Image, count: int, path: str) -> None:
    """Refuse a stack of ImageJ that lists only its first page, as those above 4 GB do: the rest has no header."""
    text = getattr(picture, "tag_v2", {}).get(_DESCRIPTION, "")
    said = _IMAGEJ_COUNT.match(text) if isinstance(text, str) else None
    if said is not None and int(said[1]) > count:
        hint = "save it again as BigTIFF or as NIfTI"
        raise BadGeometry(f"an ImageJ stack of {said[1]} images that lists {count}", path=path, hint=hint)


def _page_numbers(picture: Image, count: int, findings: QualityNotes, path: str) -> list[int]:
    """The pages that are slices: of the most common size, the larger of two; no reduced copies, no masks."""
    sizes: dict[int, tuple[int, int]] = {}
    for index in range(count):
        picture.seek(index)
        check_size(picture.size[1], picture.size[0], count, path)
        if not _tag(picture, _SUBFILE_TYPE, 0) & _NO_PAGE:
            sizes[index] = picture.size
    found = list(sizes.values())
    usual = max(found, key=lambda size: (found.count(size), size[0] * size[1]), default=None)
    kept = [index for index, size in sizes.items() if size == usual]
    if len(kept) < count:
        text = f"{count - len(kept)} of {count} pages are previews, masks or of another size and were left out."
        findings.add(Quality.EXTRA_SLICES_DROPPED, text)
    if not kept:
        raise NoPixels("none of its pages is a whole picture", path=path)
    return kept


def _tag(picture: Image, number: int, default: int) -> int:
    """An integer tag of a TIFF page; ``default`` where it is absent or malformed, and for other formats."""
    value = getattr(picture, "tag_v2", {}).get(number, default)
    return value if isinstance(value, int) else default


def _upright(picture: Image, findings: QualityNotes) -> tuple[Image, bool]:
    """The picture as a viewer shows it, turned and mirrored as its orientation tag says; whether its sides swapped."""
    from PIL import ImageOps

    orientation = picture.getexif().get(_ORIENTATION, 1)
    if not isinstance(orientation, int) or not 2 <= orientation <= 8:  # noqa: PLR2004 - EXIF 4.6.4: 1 is upright
        return picture, False
    findings.add(Quality.REORIENTED, "The picture was turned as its orientation tag says.")
    return ImageOps.exif_transpose(picture), orientation >= _SIDES_SWAPPED


def _spacing(picture: Image, *, turned: bool) -> tuple[float, float] | None:
    """(row, column) spacing from the resolution or the aspect that a picture states, in any unit; None without one."""
    stated = next((picture.info[key] for key in ("dpi", "aspect", "jfif_density") if key in picture.info), None)
    if not isinstance(stated, tuple) or len(stated) != 2 or not all(0 < float(value) < _LARGEST for value in stated):  # noqa: PLR2004
        return None
    across, down = (float(value) for value in stated)
    return (1 / across, 1 / down) if turned else (1 / down, 1 / across)


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


def _check_png(stream: BinaryIO, path: str) -> None:
    """Refuse a PNG without its IEND chunk, cut even where all its rows decode, and one that Pillow reads by half.

    Pillow keeps the upper 8 bits of a 16-bit PNG with colour or alpha.
    """
    here = stream.tell()
    stream.seek(0)
    data = stream.read()
    stream.seek(here)
    if _PNG_END not in data:
        raise Truncated("the picture ends early", path=path, hint=_COPY_AGAIN)
    depth, colour_type = data[24], data[25]
    if depth == 16 and colour_type:  # noqa: PLR2004 - PNG 11.2.1, bits a sample
        hint = "save it as 16-bit grey without colour and alpha, or in 8 bits"
        raise UnknownFormat("a PNG of 16 bits with colour or alpha; only grey ones are read", path=path, hint=hint)


def _grey(picture: Image, path: str, findings: QualityNotes, *, allow_implausible: bool) -> Array:
    """One page as a grey array; colour is refused, or turned to luminance on request."""
    if picture.mode in {"P", "PA", "LA", "La", "RGBA", "RGBa", "CMYK", "YCbCr", "LAB", "HSV", "RGBX"}:
        picture = _on_black(picture)
    if picture.mode == "1":
        picture = picture.convert("L")
    array = np.asarray(picture)
    if array.ndim == 2:  # noqa: PLR2004 - rows, columns
        inverted = array.dtype == np.uint16 and _tag(picture, _PHOTOMETRIC, 1) == _WHITE_IS_ZERO
        return _MAX_16_BIT - array if inverted else array  # Pillow turns those of 8 bits itself
    if is_colour(array):
        if not allow_implausible:
            hint = "--allow-implausible scores it all the same"
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


def _values(
    pages: list[Array], path: str, findings: QualityNotes, *, allow_implausible: bool
) -> tuple[list[Pixels], Units]:
    """Pages → Hounsfield units or 8-bit grey."""
    narrow = [page.dtype == np.uint8 for page in pages]
    if all(narrow):
        findings.add(Quality.UNKNOWN_WINDOW, _WINDOW_NOTE)
        return [np.asarray(page, np.uint8) for page in pages], "grey8"
    if any(narrow):
        raise BadGeometry("pictures of 8 bits are mixed with deeper ones", path=path)
    wide = [np.asarray(page, np.float32) for page in pages]
    if not all(np.isfinite(page).all() for page in wide):
        raise NonFinite("the picture holds NaN or infinity", path=path)
    low, high = min(float(page.min()) for page in wide), max(float(page.max()) for page in wide)
    if _AIR_HU[0] <= low <= _AIR_HU[1] and high > 0:
        return list(wide), "hu"
    offset = hounsfield_offset(wide)
    if offset is not None:
        findings.add(Quality.SHIFTED_HOUNSFIELD, SHIFTED_NOTE.format(offset=offset))
        return [without_offset(page, offset) for page in wide], "hu"
    if high > _MAX_8_BIT and not is_windowed(wide):
        _refuse_unknown(path, findings, allow_implausible=allow_implausible)
    findings.add(Quality.UNKNOWN_WINDOW, _STRETCHED_NOTE)
    return [_stretch(page, low, high) for page in wide], "grey8"


def _refuse_unknown(path: str, findings: QualityNotes, *, allow_implausible: bool) -> None:
    """Refuse deep values that are neither Hounsfield units nor a window, unless told otherwise."""
    if not allow_implausible:
        raise Implausible(
            "more than 8 bits, neither Hounsfield units nor a display window: stretched, a small bleed could vanish",
            path=path,
            hint="save it in a brain window (level 40, width 120), or as DICOM; or allow implausible pictures",
        )
    findings.add(Quality.IMPLAUSIBLE, "Values that are neither Hounsfield units nor a window; scored on request.")


def _stretch(page: npt.NDArray[np.float32], low: float, high: float) -> npt.NDArray[np.uint8]:
    """To 8 bits over the range given; values that fit into 8 bits already keep their grey level."""
    if low >= 0 and 1 < high <= _MAX_8_BIT:
        return np.rint(page).astype(np.uint8)
    return np.asarray(np.rint((page - low) * (255.0 / max(high - low, 1e-6))), np.uint8)
