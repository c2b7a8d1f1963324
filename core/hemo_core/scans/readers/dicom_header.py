"""What a DICOM header says about one file, as plain values.

Discovery and the reader share this, so both see the same series. Of what names the patient, a digest is kept while
files are grouped, so that two patients are told apart; it is written nowhere.
"""

from __future__ import annotations

import hashlib
import io
import logging
import math
import re
import struct
import warnings
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import TYPE_CHECKING, Any, BinaryIO

from hemo_core.errors import BadGeometry, DecodeFailed, TooLarge, Truncated, UnknownFormat
from hemo_core.scans.phantom_marks import dicom_is_phantom
from hemo_core.scans.readers.safe_open import check_size
from hemo_core.scans.readers.sniff import SNIFF_BYTES, Format, sniff
from hemo_core.scans.readers.unpack import GZIP, unpacked

if TYPE_CHECKING:
    from pydicom.dataset import Dataset

Vector = tuple[float, float, float]
Orientation = tuple[float, float, float, float, float, float]

COPY_AGAIN = "copy the file again from its source"
DEFLATED = "1.2.840.10008.1.2.1.99"
_MAX_INFLATED = 1 << 30
_BLOCK = 1 << 20
_META_START = 144  # preamble, DICM, and the group length element (0002,0000)
_UID = re.compile(r"(0|[1-9]\d*)(\.(0|[1-9]\d*))+")
_SHOWN_UID = re.compile(r"[A-Za-z]{0,3}_?[0-9a-f.]*[0-9][0-9a-f.]*(#\d+)?")  # also ID_390dbc246, as a public set has
_MAX_UID = 64
_KERNEL_NAMES = ("ConvolutionKernel", "ConvolutionKernelGroup")
_PLAIN_VRS = frozenset({"CS", "DS", "IS", "LO", "SH", "UI"})  # PS3.5 6.2: backslash-separated, padded

_KEYWORDS = (
    "PatientID",
    "PatientName",
    "IssuerOfPatientID",
    "FrameOfReferenceUID",
    "SliceLocation",
    "SOPClassUID",
    "SOPInstanceUID",
    "StudyInstanceUID",
    "SeriesInstanceUID",
    "SeriesNumber",
    "InstanceNumber",
    "AcquisitionNumber",
    "Modality",
    "ImageType",
    "SeriesDescription",
    "StudyDescription",
    "ProtocolName",
    "BodyPartExamined",
    "ConvolutionKernel",
    "ContrastBolusAgent",
    "ContrastBolusAgentSequence",
    "ContrastBolusVolume",
    "RescaleType",
    "Rows",
    "Columns",
    "NumberOfFrames",
    "ImageOrientationPatient",
    "ImagePositionPatient",
    "PixelSpacing",
    "SliceThickness",
    "GantryDetectorTilt",
    "LossyImageCompression",
    "PhotometricInterpretation",
    "QualityControlImage",
    "ImageComments",
    "SharedFunctionalGroupsSequence",
    "PerFrameFunctionalGroupsSequence",
)

# What pydicom raises on damaged input; anything else is a mistake of ours and should be seen.
PARSE_ERRORS = (
    ValueError,
    TypeError,
    LookupError,
    AttributeError,
    ArithmeticError,
    RuntimeError,
    AssertionError,
    struct.error,
    zlib.error,
    MemoryError,
)


@dataclass(frozen=True, slots=True)
class Plane:
    """Where one frame lies (PS3.3 C.7.6.2; per frame C.7.6.16.2.3 and .4). None where the header does not say.

    Attributes:
        time_point: Temporal Position Index (0020,9128) of a frame; 0 without one.
    """

    orientation: Orientation | None
    position: Vector | None
    pixel_spacing: tuple[float, float] | None
    thickness: float | None
    time_point: int = 0


@dataclass(frozen=True, slots=True)
class Header:
    """One DICOM file. Texts are stripped, empty where absent; UIDs as found, valid or not."""

    path: str
    patient: str
    frame_of_reference: str
    slice_location: float | None
    transfer_syntax: str
    sop_class: str
    sop_uid: str
    study_uid: str
    series_uid: str
    series_number: str
    instance_number: int
    acquisition_number: int
    modality: str
    image_type: tuple[str, ...]
    description: str
    study_description: str
    body_part: str
    kernel: str
    contrast: str
    contrast_ml: float
    rescale_type: str
    photometric: str
    tilt_deg: float | None
    lossy: bool
    phantom: bool
    has_pixels: bool
    rows: int
    columns: int
    planes: tuple[Plane, ...]

    @property
    def frames(self) -> int:
        """Number of frames, 1 for a single-frame object."""
        return len(self.planes)


def parse(stream: BinaryIO, path: str, *, header_only: bool) -> Dataset:
    """Read a DICOM data set; with ``header_only`` just the tags of :class:`Header`, stopping before the pixels.

    Raises:
        UnknownFormat: not DICOM.
        Truncated, DecodeFailed: the header is cut or damaged.
    """
    import pydicom

    _tolerant_and_silent()
    head = stream.read(SNIFF_BYTES)
    stream.seek(0)
    if sniff(head) is not Format.DICOM:
        raise UnknownFormat("not a DICOM file, whatever its name says", path=path)
    with parsing(path):
        _check_inflated_size(stream, head, path)
        dataset = pydicom.dcmread(
            stream,
            force=head[128:132] != b"DICM",
            stop_before_pixels=header_only,
            specific_tags=list(_KEYWORDS) if header_only else None,
        )
    if not dataset and (
        not header_only or ends_early(stream, path)
    ):  # pydicom gives up everything it read when the file ends inside a sequence or the pixels
        raise Truncated("the file ends inside its header or its compressed pixels", path=path, hint=COPY_AGAIN)
    return dataset


@lru_cache(maxsize=1)
def _tolerant_and_silent() -> None:
    """Have pydicom tolerate identifiers such as ID_12ab, and say nothing: its warnings quote what a header says."""
    from pydicom.config import IGNORE, settings

    settings.reading_validation_mode = IGNORE
    warnings.filterwarnings("ignore", module="pydicom")
    logging.getLogger("pydicom").setLevel(logging.CRITICAL)


@contextmanager
def parsing(path: str) -> Iterator[None]:
    """Map what pydicom raises on damaged headers to our errors."""
    try:
        yield
    except EOFError as error:
        raise Truncated("the file ends inside its header", path=path, hint=COPY_AGAIN) from error
    except PARSE_ERRORS as error:
        said = f"the DICOM header is damaged: a value cannot be read ({type(error).__name__})"  # never the value itself
        raise DecodeFailed(said, path=path, hint=COPY_AGAIN) from error


def header_of(dataset: Dataset, path: str, *, has_pixels: bool) -> Header:
    """The values of a data set that :func:`parse` gave. Raises DecodeFailed where the header is damaged."""
    with parsing(path):
        meta = getattr(dataset, "file_meta", None)
        return Header(
            path=path,
            patient=_patient(dataset),
            frame_of_reference=_text(dataset, "FrameOfReferenceUID"),
            slice_location=_number(dataset, "SliceLocation"),
            transfer_syntax=str(getattr(meta, "TransferSyntaxUID", "") or ""),
            sop_class=_text(dataset, "SOPClassUID") or str(getattr(meta, "MediaStorageSOPClassUID", "") or ""),
            sop_uid=_text(dataset, "SOPInstanceUID"),
            study_uid=_text(dataset, "StudyInstanceUID"),
            series_uid=_text(dataset, "SeriesInstanceUID"),
            series_number=_text(dataset, "SeriesNumber"),
            instance_number=int(_number(dataset, "InstanceNumber") or 0),
            acquisition_number=int(_number(dataset, "AcquisitionNumber") or 0),
            modality=_text(dataset, "Modality").upper(),
            image_type=_image_type(dataset),
            description=_text(dataset, "SeriesDescription") or _text(dataset, "ProtocolName"),
            study_description=_text(dataset, "StudyDescription"),
            body_part=_text(dataset, "BodyPartExamined").upper(),
            kernel=_kernel(dataset),
            contrast=_agent(dataset),
            contrast_ml=max(_number(dataset, "ContrastBolusVolume") or 0.0, 0.0),
            rescale_type=_rescale_type(dataset),
            photometric=_text(dataset, "PhotometricInterpretation").upper(),
            tilt_deg=_number(dataset, "GantryDetectorTilt"),
            lossy=_text(dataset, "LossyImageCompression") == "01",
            phantom=dicom_is_phantom(dataset),
            has_pixels=has_pixels,
            rows=int(_number(dataset, "Rows") or 0),
            columns=int(_number(dataset, "Columns") or 0),
            planes=_planes(dataset, path),
        )


def read_dicom_header(stream: BinaryIO, path: str) -> Header:
    """Header of one DICOM file, pixels untouched. Raises as :func:`parse` does."""
    dataset = parse(stream, path, header_only=True)
    size = stream.seek(0, 1), stream.seek(0, 2)
    header = header_of(dataset, path, has_pixels=size[0] < size[1])
    if header.transfer_syntax == DEFLATED:
        return replace(header, has_pixels=bool(header.rows and header.columns))
    if not header.has_pixels and ends_early(stream, path):
        raise Truncated("the file ends inside its header", path=path, hint=COPY_AGAIN)
    return header


def pixel_digest(stream: BinaryIO, path: str) -> str:
    """SHA-256 of everything behind a file's header: its pixels, as they are stored. Raises as :func:`parse` does."""
    packed = stream.read(len(GZIP)) == GZIP
    stream.seek(0)
    whole = io.BytesIO(unpacked(stream, path)) if packed else stream
    parse(whole, path, header_only=True)
    digest = hashlib.sha256()  # not hashlib.file_digest: of bytes in memory that takes all, from the start
    while block := whole.read(_BLOCK):
        digest.update(block)
    return digest.hexdigest()


def ends_early(stream: BinaryIO, path: str) -> bool:
    """Whether a file without pixel data stops in the middle of an element, so that its pixels may have been cut off."""
    import pydicom

    size = stream.seek(0, 2)
    stream.seek(0)
    with parsing(path):
        pydicom.dcmread(stream, force=True, specific_tags=["Modality"])
    return stream.tell() != size


def valid_uid(uid: str) -> bool:
    """Whether a UID follows PS3.5 9.1: dotted numbers without leading zeros, at most 64 characters."""
    return len(uid) <= _MAX_UID and _UID.fullmatch(uid) is not None


def shown_uid(uid: str) -> str | None:
    """An identifier as outputs may show it; None for one that could be a text: people put names everywhere."""
    return uid if _SHOWN_UID.fullmatch(uid) and len(uid) <= _MAX_UID else None


def group_item(groups: Any, sequence: str) -> Dataset | None:
    """First item of one functional group macro (PS3.3 C.7.6.16), or None."""
    items = groups.get(sequence) if groups is not None else None
    return items[0] if items else None


def aspect_ratio(dataset: Dataset) -> tuple[float, float] | None:
    """Pixel Aspect Ratio (0028,0034): (vertical, horizontal) size of a pixel in no unit; None where absent."""
    return _pair(dataset, "PixelAspectRatio")


def frame_groups(dataset: Dataset, frame: int) -> tuple[Dataset | None, Dataset | None]:
    """(per-frame, shared) functional groups of one frame; None for an object without them."""
    shared, each = dataset.get("SharedFunctionalGroupsSequence"), dataset.get("PerFrameFunctionalGroupsSequence")
    return (each[frame] if each and frame < len(each) else None), (shared[0] if shared else None)


def _patient(dataset: Dataset) -> str:
    """Whom a file is of, as 16 hex digits of a digest: by id and issuer, else by name; empty without either."""
    told = _text(dataset, "PatientID"), _text(dataset, "IssuerOfPatientID")
    named = told if told[0] else (_text(dataset, "PatientName"), "")
    return hashlib.sha256("\n".join(named).casefold().encode("utf-8", "replace")).hexdigest()[:16] if named[0] else ""


def _functional(dataset: Dataset, sequence: str) -> Dataset | None:
    """A functional group macro of the first frame: its own, else the shared one (PS3.3 C.7.6.16)."""
    return next((item for groups in frame_groups(dataset, 0) if (item := group_item(groups, sequence))), None)


def _image_type(dataset: Dataset) -> tuple[str, ...]:
    """Image Type (0008,0008), and for an enhanced object the Frame Type (0008,9007) of its first frame."""
    frame = _functional(dataset, "CTImageFrameTypeSequence")
    framed = () if frame is None else _texts(frame, "FrameType")
    return tuple(dict.fromkeys(value.upper() for value in (*_texts(dataset, "ImageType"), *framed)))


def _kernel(dataset: Dataset) -> str:
    """Convolution Kernel (0018,1210), in an enhanced object that of CT Reconstruction (PS3.3 C.8.15.3.8)."""
    item = _functional(dataset, "CTReconstructionSequence")
    named = (_text(dataset, "ConvolutionKernel"), *((_text(item, name) for name in _KERNEL_NAMES) if item else ()))
    return next(filter(None, named), "")


def _agent(dataset: Dataset) -> str:
    """Contrast/Bolus Agent (0018,0010), in an enhanced object the meaning of its codes (PS3.3 C.8.15.2.1)."""
    items = dataset.get("ContrastBolusAgentSequence") or ()
    usage = _functional(dataset, "ContrastBolusUsageSequence")
    if usage is not None and _text(usage, "ContrastBolusAgentAdministered").upper() == "NO":
        return ""
    coded = next((_text(item, "CodeMeaning") or _text(item, "CodeValue") for item in items), "")
    return _text(dataset, "ContrastBolusAgent") or coded


def _rescale_type(dataset: Dataset) -> str:
    """Rescale Type (0028,1054), in an enhanced object that of Pixel Value Transformation (PS3.3 C.7.6.16.2.9b)."""
    item = _functional(dataset, "PixelValueTransformationSequence")
    return _text(dataset, "RescaleType") or ("" if item is None else _text(item, "RescaleType"))


def _planes(dataset: Dataset, path: str) -> tuple[Plane, ...]:
    """One plane a frame."""
    count = max(1, int(_number(dataset, "NumberOfFrames") or 1))
    check_size(1, 1, count, path)
    each = dataset.get("PerFrameFunctionalGroupsSequence")
    if each and len(each) != count:
        text = f"the header says {count} frames and describes {len(each)}"
        raise BadGeometry(text, path=path, hint=COPY_AGAIN)
    if "PerFrameFunctionalGroupsSequence" in dataset or "SharedFunctionalGroupsSequence" in dataset:
        return tuple(_enhanced_plane(dataset, frame) for frame in range(count))
    if count > 1:  # frames without functional groups: the one position in the header is not theirs
        return (Plane(None, None, _pair(dataset, "PixelSpacing"), None),) * count
    return (
        Plane(
            _orientation(dataset),
            _vector(dataset),
            _pair(dataset, "PixelSpacing"),
            _number(dataset, "SliceThickness"),
        ),
    )


def _enhanced_plane(dataset: Dataset, frame: int) -> Plane:
    """A frame's plane from its own functional groups, else from the shared ones."""
    groups = frame_groups(dataset, frame)

    def item(sequence: str) -> Dataset | None:
        return next((found for group in groups if (found := group_item(group, sequence)) is not None), None)

    measures, content = item("PixelMeasuresSequence"), item("FrameContentSequence")
    orientation, position = item("PlaneOrientationSequence"), item("PlanePositionSequence")
    return Plane(
        None if orientation is None else _orientation(orientation),
        None if position is None else _vector(position),
        None if measures is None else _pair(measures, "PixelSpacing"),
        None if measures is None else _number(measures, "SliceThickness"),
        0 if content is None else int(_number(content, "TemporalPositionIndex") or 0),
    )


def _orientation(dataset: Dataset) -> Orientation | None:
    values = _numbers(dataset, "ImageOrientationPatient", 6)
    return None if values is None or not any(values[:3]) or not any(values[3:]) else values  # type: ignore[return-value]


def _vector(dataset: Dataset) -> Vector | None:
    return _numbers(dataset, "ImagePositionPatient", 3)  # type: ignore[return-value]


def _pair(dataset: Dataset, keyword: str) -> tuple[float, float] | None:
    values = _numbers(dataset, keyword, 2)
    return None if values is None or min(values) <= 0 else values  # type: ignore[return-value]


def _numbers(dataset: Dataset, keyword: str, count: int) -> tuple[float, ...] | None:
    """``count`` finite numbers, or None where the element is absent or malformed."""
    try:
        values = tuple(float(value) for value in _plain(dataset, keyword) or dataset.get(keyword) or ())
    except (ValueError, TypeError):
        return None
    return values if len(values) == count and all(math.isfinite(value) for value in values) else None


def _number(dataset: Dataset, keyword: str) -> float | None:
    """One finite number, the first of several, or None."""
    try:
        value = _plain(dataset, keyword) or dataset.get(keyword)
        number = float(value[0] if isinstance(value, (list, tuple)) or hasattr(value, "append") else value)
    except (ValueError, TypeError, IndexError):
        return None
    return number if math.isfinite(number) else None


def _texts(dataset: Dataset, keyword: str) -> tuple[str, ...]:
    value = _plain(dataset, keyword) or dataset.get(keyword)
    if value is None:
        return ()
    values = [value] if isinstance(value, str) or not hasattr(value, "__iter__") else list(value)
    return tuple(str(one).strip() for one in values)


def _plain(dataset: Dataset, keyword: str) -> tuple[str, ...]:
    """The values of an element that is short ASCII text, straight from its bytes: much faster than pydicom's objects.

    Empty for any other element, and where it is absent: pydicom must look then.
    """
    element: Any = dataset.get_item(_tag(keyword))
    if not getattr(element, "is_raw", False) or element.VR not in _PLAIN_VRS:
        return ()
    raw = element.value
    if not raw or not raw.isascii() or b"\x1b" in raw:
        return ()
    return tuple(part.strip("\0 ") for part in raw.decode("ascii").split("\\"))


@lru_cache(maxsize=256)
def _tag(keyword: str) -> Any:
    from pydicom.tag import Tag

    return Tag(keyword)


def _text(dataset: Dataset, keyword: str) -> str:
    return next(iter(_texts(dataset, keyword)), "")


def _check_inflated_size(stream: BinaryIO, head: bytes, path: str) -> None:
    """A deflated data set (PS3.5 A.5) is unpacked whole by pydicom: measure it first, in bounded memory."""
    start = _META_START + struct.unpack("<I", head[_META_START - 4 : _META_START])[0] if head[128:132] == b"DICM" else 0
    if not start or DEFLATED.encode() not in head[:start]:
        return
    stream.seek(start)
    packed = zlib.decompressobj(-zlib.MAX_WBITS)
    inflated = 0
    while not packed.eof and (block := stream.read(_BLOCK)):
        while block:
            inflated += len(packed.decompress(block, _BLOCK))
            block = packed.unconsumed_tail
            if inflated > _MAX_INFLATED:
                raise TooLarge(f"inflates to more than {_MAX_INFLATED} bytes", path=path)
    stream.seek(0)
    if not packed.eof:
        raise Truncated("the file ends inside its deflated data set", path=path, hint=COPY_AGAIN)
