"""The one error tree of hemo-batch. Every class has a stable ``code``; reports, logs and exit codes use it.

HemoError                       error
├── UsageError                  usage                 exit 2
│   ├── SettingsError           bad_settings
│   ├── MissingExtra            missing_extra
│   └── NoInput                 no_input
├── ScanError                   scan_error            a row of its own; the job goes on
│   ├── FileMissing             file_missing
│   ├── FileUnreadable          file_unreadable
│   ├── ChangedInput            changed_input
│   ├── EmptyFile               empty_file
│   ├── UnknownFormat           unknown_format
│   ├── Truncated               truncated
│   ├── NoPixels                no_pixels
│   ├── CodecMissing            codec_missing
│   ├── DecodeFailed            decode_failed
│   ├── TooLarge                too_large
│   ├── BadGeometry             bad_geometry
│   ├── NonFinite               non_finite
│   ├── Implausible             implausible
│   ├── Poison                  poison
│   └── ScoringFailed           scoring_failed
├── BrokerError                 broker_unreachable    exit 3
│   └── BrokerInsecure          broker_insecure
├── BundleError                 bundle_refused        exit 4
│   ├── BundleMissing           bundle_missing
│   │   └── BundleIncomplete    bundle_incomplete
│   ├── BundleAltered           bundle_altered
│   │   ├── BundleStowaway      bundle_stowaway
│   │   └── BundleDamaged       bundle_damaged
│   ├── BundleSchema            bundle_schema
│   │   ├── BundleMalformed     bundle_malformed
│   │   └── BundleNewer         bundle_newer
│   ├── BundleUnsafe            bundle_unsafe
│   │   ├── BundleCode          bundle_code
│   │   ├── BundlePath          bundle_path
│   │   ├── BundleLink          bundle_link
│   │   ├── BundleBomb          bundle_bomb
│   │   └── BundleDuplicate     bundle_duplicate
│   ├── BundleUntrusted         bundle_untrusted
│   │   ├── BundleUnsigned      bundle_unsigned
│   │   ├── SignatureForeign    signature_foreign
│   │   ├── SignatureWrong      signature_wrong
│   │   └── SignatureMalformed  signature_malformed
│   ├── PrecisionRefused        precision_refused
│   └── HeadUnknown             head_unknown          to --explainer onnx; --explainer tf knows every head
├── DeviceError                 device_unavailable    exit 5
├── RootNotMounted              root_not_mounted      exit 2; stops the worker, fails no scan
├── SinkError                   sink_failed           exit 6; the reports' disk: stops the chunk, fails no scan
├── ReportInvalid               report_invalid        a file that should be a report is none
├── JobError                    job_error
│   ├── JobNotFound             job_not_found         exit 2
│   └── JobExists               job_exists            exit 2
├── DatasetError                dataset_invalid
│   └── PatientLeak             patient_leak
├── TrainingError               training_failed
└── ExportError                 export_failed
    └── GatesFailed             gates_failed          all failed gates of an export at once
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar


class HemoError(Exception):
    """What every expected failure is.

    Args:
        message: what was wrong, in one sentence.
        path: the file or folder it was wrong with.
        hint: what the reader can do about it.
    """

    code: ClassVar[str] = "error"
    exit_code: ClassVar[int] = 1

    def __init__(self, message: str, *, path: str | None = None, hint: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.path = path
        self.hint = hint

    def __str__(self) -> str:
        where = f"{self.path}: " if self.path else ""
        hint = f" ({self.hint})" if self.hint else ""
        return f"{where}{self.message}{hint}"


class UsageError(HemoError):
    """The command or its settings make no sense."""

    code = "usage"
    exit_code = 2


class SettingsError(UsageError):
    """A flag, an environment variable or a TOML entry has a value that cannot be used."""

    code = "bad_settings"


class MissingExtra(UsageError):
    """An optional dependency is not installed; the hint names the extra."""

    code = "missing_extra"


class NoInput(UsageError):
    """The input path does not exist or holds nothing that could be a scan."""

    code = "no_input"


class ScanError(HemoError):
    """One scan cannot be scored. It gets its own row; everything else goes on.

    Attributes:
        advice: what a reader of the row can do, where the error itself gives no hint.
    """

    code = "scan_error"
    advice: ClassVar[str] = "See the worker's log; if the scan opens elsewhere, report it as a fault of hemo-batch."


class FileMissing(ScanError):
    """A file that discovery saw is gone."""

    code = "file_missing"
    advice = "See whether it was moved or its folder is mounted, then retry the job."


class FileUnreadable(ScanError):
    """The operating system refuses to read the file."""

    code = "file_unreadable"
    advice = "Give the worker's user the right to read it, or mend the disk, then retry the job."


class ChangedInput(ScanError):
    """A file is not what it was when the scan was submitted."""

    code = "changed_input"
    advice = "Submit the scan again: the report would have joined one scan's name with another's pixels."


class EmptyFile(ScanError):
    """The file has zero bytes."""

    code = "empty_file"
    advice = "Copy the file again from its source."


class UnknownFormat(ScanError):
    """The content is none of DICOM, NIfTI, PNG, JPEG or TIFF, whatever the name says."""

    code = "unknown_format"
    advice = "Convert it to DICOM, NIfTI, PNG, JPEG or TIFF, or leave it out of the input."


class Truncated(ScanError):
    """The file ends before its content does."""

    code = "truncated"
    advice = "Copy the file again from its source."


class NoPixels(ScanError):
    """A DICOM object without pixel data (a report, a structure set …)."""

    code = "no_pixels"
    advice = "Nothing, if it is no image; else export it again with its pixels."


class CodecMissing(ScanError):
    """No installed decoder handles the transfer syntax."""

    code = "codec_missing"
    advice = "Install what the message names, or convert the file to an uncompressed one."


class DecodeFailed(ScanError):
    """The pixel data is damaged."""

    code = "decode_failed"
    advice = "Copy the file again from its source; if it opens elsewhere, convert it there."


class TooLarge(ScanError):
    """The header announces more pixels than any head CT has (decompression bomb)."""

    code = "too_large"
    advice = "See with inspect whether the header is true; a head CT is far smaller."


class BadGeometry(ScanError):
    """The slices cannot form one series (different sizes or orientations)."""

    code = "bad_geometry"
    advice = "Export the series again with its geometry, or convert it to NIfTI."


class NonFinite(ScanError):
    """Pixels hold NaN or infinity."""

    code = "non_finite"
    advice = "Export it again: its rescale or its pixels hold no numbers."


class Implausible(ScanError):
    """The picture does not look like a head CT; scored only on request."""

    code = "implausible"
    advice = "Look at it; --allow-implausible scores it all the same, with a code."


class Poison(ScanError):
    """The scan killed its process twice while it ran alone."""

    code = "poison"
    advice = "Look at its files with inspect: reading or scoring it killed two processes."


class ScoringFailed(ScanError):
    """The model gave no usable number for this scan."""

    code = "scoring_failed"
    advice = "See the worker's log; other scans of the job are not concerned."


class BrokerError(HemoError):
    """Redis cannot be reached."""

    code = "broker_unreachable"
    exit_code = 3


class BrokerInsecure(BrokerError):
    """The broker's URL would send jobs over an unverified TLS connection."""

    code = "broker_insecure"


class BundleError(HemoError):
    """The model bundle must not be used."""

    code = "bundle_refused"
    exit_code = 4


class BundleMissing(BundleError):
    """No bundle is at that path, or ``bundle.json`` seals no file that every bundle needs."""

    code = "bundle_missing"


class BundleIncomplete(BundleMissing):
    """A file that was sealed is gone."""

    code = "bundle_incomplete"


class BundleAltered(BundleError):
    """A file's digest, or ``bundle.json`` itself, is not what was sealed."""

    code = "bundle_altered"


class BundleStowaway(BundleAltered):
    """A file is there that the seal does not name."""

    code = "bundle_stowaway"


class BundleDamaged(BundleAltered):
    """A ``.hemo`` file is torn or is no zip archive."""

    code = "bundle_damaged"


class BundleSchema(BundleError):
    """``bundle.json`` or a graph says what no bundle of its schema says."""

    code = "bundle_schema"


class BundleMalformed(BundleSchema):
    """``bundle.json`` is no JSON object."""

    code = "bundle_malformed"


class BundleNewer(BundleSchema):
    """``bundle.json`` is of a newer schema than this version reads."""

    code = "bundle_newer"


class BundleUnsafe(BundleError):
    """The bundle holds what no model needs."""

    code = "bundle_unsafe"


class HeadUnknown(BundleError):
    """The explainer without TensorFlow does not know an operator of the bundle's head, and does not guess."""

    code = "head_unknown"


class BundleCode(BundleUnsafe):
    """A Keras file asks for foreign code: a Lambda layer, a function, another module."""

    code = "bundle_code"


class BundlePath(BundleUnsafe):
    """A file's name leads out of the bundle's folder."""

    code = "bundle_path"


class BundleLink(BundleUnsafe):
    """A link, a device or a pipe stands where a file should be."""

    code = "bundle_link"


class BundleBomb(BundleUnsafe):
    """An archive would unpack to far more than it is."""

    code = "bundle_bomb"


class BundleDuplicate(BundleUnsafe):
    """An archive holds two files of one name, so that two readers may see two bundles."""

    code = "bundle_duplicate"


class BundleUntrusted(BundleError):
    """Whoever made the bundle is not who this installation trusts."""

    code = "bundle_untrusted"


class BundleUnsigned(BundleUntrusted):
    """A trusted key is configured and the bundle has no signature."""

    code = "bundle_unsigned"


class SignatureForeign(BundleUntrusted):
    """The signature names a key that is not trusted here."""

    code = "signature_foreign"


class SignatureWrong(BundleUntrusted):
    """The signature was not made over this bundle by the key that it names."""

    code = "signature_wrong"


class SignatureMalformed(BundleUntrusted):
    """The signature file is torn or is not of the form that this version reads."""

    code = "signature_malformed"


class PrecisionRefused(BundleError):
    """The bundle does not hold the precision asked for, or holds it for another device."""

    code = "precision_refused"


class DeviceError(HemoError):
    """The requested execution provider did not come up. Never replaced silently by the CPU."""

    code = "device_unavailable"
    exit_code = 5


class RootNotMounted(HemoError):
    """An input root is not mounted on this worker; no scan is failed for it."""

    code = "root_not_mounted"
    exit_code = 2


class SinkError(HemoError):
    """Reports cannot be written (disk full, read-only); no scan is failed for it."""

    code = "sink_failed"
    exit_code = 6


class ReportInvalid(HemoError):
    """A file that should be a report is torn, foreign or of a newer schema."""

    code = "report_invalid"


class JobError(HemoError):
    """A job is in a state that forbids the operation."""

    code = "job_error"


class JobNotFound(JobError):
    """No such job on this broker or in this output folder."""

    code = "job_not_found"
    exit_code = 2


class JobExists(JobError):
    """The job's output folder is already in use."""

    code = "job_exists"
    exit_code = 2


class DatasetError(HemoError):
    """Training or evaluation data is not usable as given."""

    code = "dataset_invalid"


class PatientLeak(DatasetError):
    """One patient stands on both sides of a split."""

    code = "patient_leak"


class TrainingError(HemoError):
    """Training cannot go on."""

    code = "training_failed"


class ExportError(HemoError):
    """The Keras model cannot be exported faithfully."""

    code = "export_failed"


class GatesFailed(ExportError):
    """The exported bundle does not answer as the Keras model does. Raised after all gates ran; names each one."""

    code = "gates_failed"


def all_errors(root: type[HemoError] = HemoError) -> Iterator[type[HemoError]]:
    """Every class of the tree, root first."""
    yield root
    for child in root.__subclasses__():
        yield from all_errors(child)
