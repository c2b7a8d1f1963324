"""The scans that an exported model has to answer as the Keras model does: validation scans, else phantoms."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal, TypeAlias

import numpy as np
import numpy.typing as npt

from hemo_core.bundle.contract import InputContract
from hemo_core.errors import ExportError
from hemo_core.phantoms import PhantomSpec, make_phantom
from hemo_core.phantoms.spec import BLEEDS
from hemo_core.scans.preprocess import prepare
from hemo_export.parity.phantom_inputs import as_scan
from hemo_export.run_folder import RunFolder

Pixels: TypeAlias = npt.NDArray[np.uint8]
Indices: TypeAlias = npt.NDArray[np.intp]
Origin = Literal["validation scans", "phantoms"]

PARITY_FILE, CALIBRATION_FILE = "parity.npz", "calibration.npz"
_PHANTOMS, _PHANTOM_SLICES, _PHANTOM_ROWS = 12, 8, 128
_BLOOD_VOXELS = 10
_MAPPED_SCANS = 16


@dataclass(frozen=True, slots=True, eq=False)
class TaskData:
    """Slices of many scans, as the model meets them.

    Attributes:
        pixels: uint8 ``(N, H, W, C)``.
        labels: int8 ``(N,)``: 1 shows the primary finding, 0 does not, −1 unknown.
        scan: int32 ``(N,)``, the scan a slice belongs to; a scan's slices in anatomical order.
        origin: where they come from.
        scored_before: the model was fitted on them, so they tell how far two models differ, never how good one is.
    """

    pixels: Pixels
    labels: npt.NDArray[np.int8]
    scan: npt.NDArray[np.int32]
    origin: Origin
    scored_before: bool = False

    def scans(self) -> tuple[Indices, ...]:
        """For each scan the indices of its slices."""
        return tuple(np.flatnonzero(self.scan == number) for number in np.unique(self.scan))

    def scan_labels(self) -> npt.NDArray[np.int8]:
        """int8 ``(scans,)``: 1 if a slice shows the primary finding, else −1 if a slice is unknown, else 0."""
        return np.asarray([_scan_label(self.labels[indices]) for indices in self.scans()], np.int8)

    def explained(self) -> tuple[tuple[int, int], ...]:
        """(scan, slice within it) to draw heat maps of: the middle positive slice, else the middle one.

        At most 16 scans, those with the primary finding first. No model's score decides, so all models are asked about
        the same.
        """
        order = np.argsort(-self.scan_labels(), kind="stable")[:_MAPPED_SCANS]
        scans = self.scans()
        return tuple((int(number), _middle(self.labels[scans[number]])) for number in sorted(order))

    def in_words(self) -> str:
        """One phrase."""
        return f"{len(self.labels)} slices of {len(self.scans())} {self.origin}"

    def describe(self) -> dict[str, str | int | bool]:
        """What ``bundle.json`` says of them."""
        return {
            "origin": self.origin,
            "scans": len(self.scans()),
            "positive_scans": int(np.count_nonzero(self.scan_labels() == 1)),
            "slices": len(self.labels),
            "positive_slices": int(np.count_nonzero(self.labels == 1)),
            "scored_before": self.scored_before,
        }


def load_task_data(run: RunFolder) -> TaskData:
    """The run's validation scans (``parity.npz``), else phantoms.

    Raises:
        ExportError: the file is malformed or of another picture size than the contract's.
    """
    path = run.path / PARITY_FILE
    if not path.is_file():
        return phantom_task_data(run.input)
    arrays = _arrays(path, ("pixels", "labels", "scan"))
    pixels = _pictures(arrays["pixels"], run.picture, path)
    labels, scan = arrays["labels"], arrays["scan"]
    if labels.shape != (len(pixels),) or scan.shape != labels.shape or not len(pixels):
        raise ExportError(f"{len(pixels)} slices have {labels.shape} labels and {scan.shape} scans", path=str(path))
    if not np.isin(labels, (-1, 0, 1)).all():
        raise ExportError("labels are 1, 0 or −1 (unknown)", path=str(path))
    scored_before = bool(run.record.scored_before)
    return TaskData(pixels, labels.astype(np.int8), scan.astype(np.int32), "validation scans", scored_before)


def calibration_pixels(run: RunFolder) -> Pixels | None:
    """The run's training slices for static quantisation (``calibration.npz``), uint8 ``(n, H, W, C)``; None if absent.

    Raises:
        ExportError: the file is malformed or of another picture size than the contract's.
    """
    path = run.path / CALIBRATION_FILE
    if not path.is_file():
        return None
    return _pictures(_arrays(path, ("pixels",))["pixels"], run.picture, path)


def phantom_task_data(contract: InputContract) -> TaskData:
    """Phantoms of every kind of bleed and of none, prepared as a worker prepares a scan."""
    pixels, labels = [], []
    for seed in range(_PHANTOMS):
        bleed = "none" if seed % 2 else BLEEDS[1 + seed // 2 % (len(BLEEDS) - 1)]
        spec = PhantomSpec(
            seed,
            bleed=bleed,
            bleed_size=1.0,
            slices=_PHANTOM_SLICES,
            spacing_mm=max(14.0, contract.slice_spacing_mm),
            rows=_PHANTOM_ROWS,
            detail="fast",
        )
        phantom = make_phantom(spec)
        pixels.append(prepare(as_scan(phantom), contract).pixels)
        labels.append([voxels > _BLOOD_VOXELS for voxels in phantom.blood_voxels])
    scan = np.repeat(np.arange(_PHANTOMS, dtype=np.int32), _PHANTOM_SLICES)
    return TaskData(np.concatenate(pixels), np.concatenate(labels).astype(np.int8), scan, "phantoms")


def _scan_label(labels: npt.NDArray[np.int8]) -> int:
    return int(labels.max()) if (labels == 1).any() or (labels >= 0).all() else -1


def _middle(labels: npt.NDArray[np.int8]) -> int:
    positive = np.flatnonzero(labels == 1)
    return int(positive[len(positive) // 2]) if len(positive) else len(labels) // 2


def _arrays(path: Path, names: tuple[str, ...]) -> dict[str, npt.NDArray[np.generic]]:
    try:
        with np.load(path, allow_pickle=False) as archive:
            return {name: archive[name] for name in names}
    except (OSError, ValueError, KeyError) as error:
        raise ExportError(f"cannot be read: {error}", path=str(path), hint="train again, or remove it") from error


def _pictures(pixels: npt.NDArray[np.generic], picture: tuple[int, int, int], path: Path) -> Pixels:
    if pixels.dtype != np.uint8 or pixels.shape[1:] != picture:
        message = f"holds {pixels.dtype} pictures of {pixels.shape[1:]}, the contract asks for uint8 {picture}"
        raise ExportError(message, path=str(path), hint="train again, or remove it")
    return np.asarray(pixels, np.uint8)
