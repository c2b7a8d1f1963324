"""What a phantom is asked to be, and what it is."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, TypeAlias, get_args

import numpy as np
import numpy.typing as npt

Bleed: TypeAlias = Literal["none", "epidural", "subdural", "intraparenchymal", "intraventricular", "subarachnoid"]
Mimic: TypeAlias = Literal["none", "pineal", "choroid", "dense_falx"]
Detail: TypeAlias = Literal["full", "fast"]

BLEEDS: tuple[Bleed, ...] = get_args(Bleed)
MIMICS: tuple[Mimic, ...] = get_args(Mimic)

_FIELD_OF_VIEW_MM = 230.0


@dataclass(frozen=True, slots=True)
class PhantomSpec:
    """The recipe of a phantom; equal recipes give equal phantoms, bit for bit.

    Attributes:
        seed: decides head size, shape, pose, folding, ventricles, place of the bleed and noise.
        bleed: kind of acute blood.
        bleed_size: from 0 (barely there) to 1 (large).
        mimic: something dense that is no blood: a calcified pineal gland or choroid plexus, a dense falx.
        slices: number of slices.
        spacing_mm: distance between neighbouring slices along the slice normal; also their thickness.
        rows: rows and columns of a slice.
        pixel_mm: pixel spacing; 0 gives a field of view of 230 mm.
        tilt_deg: gantry tilt, turning the slice normal in the sagittal plane.
        noise_hu: standard deviation of the noise in the brain.
        detail: ``fast`` paints at half the resolution, for tests that need many scans rather than good ones.
    """

    seed: int
    bleed: Bleed = "none"
    bleed_size: float = 0.5
    mimic: Mimic = "none"
    slices: int = 24
    spacing_mm: float = 5.0
    rows: int = 512
    pixel_mm: float = 0.0
    tilt_deg: float = 0.0
    noise_hu: float = 3.2
    detail: Detail = "full"

    def __post_init__(self) -> None:
        if self.bleed not in BLEEDS or self.mimic not in MIMICS:
            raise ValueError(f"bleed is one of {BLEEDS} and mimic one of {MIMICS}, not {self.bleed!r}, {self.mimic!r}")
        if self.slices < 1 or self.rows < 32 or self.spacing_mm <= 0 or abs(self.tilt_deg) > 30:  # noqa: PLR2004
            raise ValueError(
                "a phantom has at least 1 slice of 32 rows, a positive spacing and a tilt within 30 degrees"
            )

    @property
    def pixel_spacing_mm(self) -> float:
        """Distance between neighbouring pixels, in both directions."""
        return self.pixel_mm or _FIELD_OF_VIEW_MM / self.rows


@dataclass(frozen=True, slots=True, eq=False)
class Phantom:
    """A synthetic scan and its truth.

    Attributes:
        hu: int16 ``(slices, rows, columns)``, Hounsfield units; foot to head, nose up, patient right at the left.
        blood: bool, same shape; where more than half of a voxel is acute blood.
        table_mm: height of each slice's centre along the table axis.
    """

    spec: PhantomSpec
    hu: npt.NDArray[np.int16]
    blood: npt.NDArray[np.bool_]
    table_mm: tuple[float, ...]

    @property
    def blood_voxels(self) -> tuple[int, ...]:
        """Voxels of blood in each slice."""
        return tuple(int(np.count_nonzero(plane)) for plane in self.blood)

    @property
    def bleeds(self) -> bool:
        """Whether any slice holds blood."""
        return bool(self.blood.any())
