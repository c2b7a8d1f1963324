"""The precisions a bundle comes in: made here, judged by the gates, chosen from by the worker."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt

from hemo_core.bundle import CNN
from hemo_core.bundle.contract import InputContract
from hemo_core.bundle.manifest import Precision, Variant
from hemo_core.errors import BundleSchema, ExportError
from hemo_core.inference.session import CONTRACT_KEY, carried_contract
from hemo_export.parity.phantom_inputs import phantom_slices
from hemo_export.variants.quantise import to_half, to_int8

Grey = npt.NDArray[np.uint8]

HALF_CNN, INT8_CNN = "cnn.fp16.onnx", "cnn.int8.onnx"
MOST_SLICES = 512
_PHANTOM_SCANS = 12


def make_variants(folder: Path, calibration_pixels: Grey | None) -> dict[Precision, Variant]:
    """Write the fp16 and the int8 graph beside ``cnn.onnx``. Same input, same bytes.

    Args:
        folder: holds ``cnn.onnx`` and ``sequence.onnx``, both float32 and with the contract in their metadata.
        calibration_pixels: training slices, uint8 ``(n, H, W, C)``; up to 512 of them are used, spread evenly. None:
            int8 is calibrated on generated phantoms.

    Returns:
        fp32 first, then fp16 and int8.

    Raises:
        ExportError: the slices are not the model's, or a converter wrote a graph that is not valid.
    """
    contract = _input_contract(folder / CNN)
    pixels, origin = _calibration(contract, calibration_pixels)
    to_half(folder / CNN, folder / HALF_CNN)
    to_int8(folder / CNN, folder / INT8_CNN, pixels)
    calibrated = {"calibrated_on": origin, "slices": len(pixels), "method": "minmax", "weight_bits": 7}
    return {
        "fp32": Variant(released=True, cnn=CNN),
        "fp16": Variant(released=True, cnn=HALF_CNN),
        "int8": Variant(released=True, cnn=INT8_CNN, made=calibrated),
    }


def _input_contract(path: Path) -> InputContract:
    """The contract that the graph carries."""
    import onnx

    metadata = {entry.key: entry.value for entry in onnx.load(path, load_external_data=False).metadata_props}
    try:
        return carried_contract(metadata.get(CONTRACT_KEY), str(path)).input
    except BundleSchema as error:
        raise ExportError(f"carries no contract: {error.message}", path=str(path)) from error


def _calibration(contract: InputContract, pixels: Grey | None) -> tuple[Grey, str]:
    """Slices to calibrate on, and what they are."""
    if pixels is None:
        return phantom_slices(contract, _PHANTOM_SCANS), "generated phantoms"
    picture = (contract.height, contract.width, contract.channels)
    if pixels.dtype != np.uint8 or pixels.ndim != 1 + len(picture) or pixels.shape[1:] != picture or not len(pixels):
        raise ExportError(
            f"calibration slices are {pixels.dtype} {pixels.shape}, the model takes uint8 (n, *{picture})"
        )
    if len(pixels) <= MOST_SLICES:
        return pixels, "training slices"
    return pixels[np.linspace(0, len(pixels) - 1, MOST_SLICES).astype(int)], "training slices"
