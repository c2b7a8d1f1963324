"""Readers: one format each, a file or folder in, a :class:`hemo_core.scan.Scan` out."""

from __future__ import annotations

from pathlib import Path

from hemo_core.scan import Scan, ScanRef

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
    from hemo_core.readers.dicom import read_dicom
    from hemo_core.readers.image import read_image
    from hemo_core.readers.nifti import read_nifti

    if ref.kind == "dicom":
        scan = read_dicom(ref, mount)
    elif ref.kind == "nifti":
        scan = read_nifti(ref, mount)
    else:
        scan = read_image(ref, mount, allow_implausible=allow_implausible)
    return scan
