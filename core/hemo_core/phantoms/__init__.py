"""Head-CT phantoms: synthetic scans in Hounsfield units with a truth for every slice.

They test the software, never the model: a score on phantoms says nothing about a score on patients.
"""

from hemo_core.phantoms.build import make_phantom
from hemo_core.phantoms.demo import write_demo
from hemo_core.phantoms.dicom import DicomOptions, write_dicom, write_localizer
from hemo_core.phantoms.nifti import write_nifti
from hemo_core.phantoms.picture import write_png
from hemo_core.phantoms.spec import Bleed, Mimic, Phantom, PhantomSpec

__all__ = [
    "Bleed",
    "DicomOptions",
    "Mimic",
    "Phantom",
    "PhantomSpec",
    "make_phantom",
    "write_demo",
    "write_dicom",
    "write_localizer",
    "write_nifti",
    "write_png",
]
