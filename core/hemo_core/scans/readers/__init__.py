"""Readers: one format each, a file or folder in, a :class:`hemo_core.scans.scan.Scan` out."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np

from hemo_core.errors import ChangedInput, Implausible
from hemo_core.scans.ids import fingerprint_of, fingerprint_of_all
from hemo_core.scans.readers.safe_open import open_below
from hemo_core.scans.scan import Quality, Scan, ScanRef

__all__ = ["read_scan"]


def read_scan(ref: ScanRef, mount: Path, *, allow_implausible: bool = False) -> Scan:
    """Decode one scan. Safe to call from several threads.

    Args:
        ref: the scan, as discovery or a manifest gives it.
        mount: where ``ref.root`` is mounted on this machine.
        allow_implausible: score what does not look like a head CT, with the code ``implausible``, instead of refusing.

    Raises:
        ScanError: subclasses, one for each way in which an input can be bad.
        RootNotMounted: the mount is absent or empty; no scan is to blame.
    """
    _check_unchanged(ref, mount)
    scan = _decoded(ref, mount, allow_implausible=allow_implausible)
    return _judged(scan, allow_implausible=allow_implausible)


def _check_unchanged(ref: ScanRef, mount: Path) -> None:
    """Refuse files that are not those submitted: no report joins one scan's identity with another's pixels."""
    if ref.fingerprint is None:  # a row of an older version
        return
    found = []
    for path in ref.files:
        with open_below(mount, path) as stream:
            found.append(fingerprint_of(stream))
    if fingerprint_of_all(found) != ref.fingerprint:
        raise ChangedInput(
            f"its {len(ref.files)} files are not what they were when it was submitted"
            if len(ref.files) > 1
            else "the file is not what it was when it was submitted",
            path=ref.path,
            hint="submit it again",
        )


def _decoded(ref: ScanRef, mount: Path, *, allow_implausible: bool) -> Scan:
    from hemo_core.scans.readers.dicom import read_dicom
    from hemo_core.scans.readers.image import read_image
    from hemo_core.scans.readers.nifti import read_nifti

    if ref.kind == "dicom":
        return read_dicom(ref, mount)
    if ref.kind == "nifti":
        return read_nifti(ref, mount)
    return read_image(ref, mount, allow_implausible=allow_implausible)


def _judged(scan: Scan, *, allow_implausible: bool) -> Scan:
    """The scan with what its pixels say about it."""
    from hemo_core.scans.plausible import why_implausible
    from hemo_core.scans.quality import pixel_quality

    found = pixel_quality(scan)
    reason = why_implausible(scan)
    if reason is not None:
        reason = _cause(scan) or reason
    if reason is not None and not allow_implausible:
        hint = "--allow-implausible scores it all the same"
        raise Implausible(f"does not look like a head CT: {reason}", path=scan.ref.path, hint=hint)
    if reason is not None:
        found[Quality.IMPLAUSIBLE] = f"Does not look like a head CT ({reason}); it was scored on request."
    codes = dict.fromkeys((*scan.quality, *(code.value for code in found)))
    return replace(
        scan, quality=tuple(codes), notes={**scan.notes, **{code.value: note for code, note in found.items()}}
    )


def _cause(scan: Scan) -> str | None:
    """What is wrong with the values of a scan that does not look like a head CT, where that can be told."""
    from hemo_core.scans.plausible import why_implausible
    from hemo_core.scans.readers.values import why_no_hounsfield

    if scan.units == "hu":
        return why_no_hounsfield([one.pixels for one in scan.slices])
    inverted = tuple(replace(one, pixels=np.asarray(255 - one.pixels, np.uint8)) for one in scan.slices)
    if why_implausible(replace(scan, slices=inverted)) is None:
        return "its grey levels are inverted, air is white; turn them back"
    return None
