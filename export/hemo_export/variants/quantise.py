"""A CNN graph in other precisions: fp16 for GPUs, int8 for CPUs. Inputs, outputs and contract stay as they are."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from hemo_core.errors import ExportError
from hemo_core.scans.preprocess import to_input

Grey = npt.NDArray[np.uint8]

_BATCH = 16


def to_half(source: Path, target: Path) -> None:
    """Write ``source`` with float16 weights and arithmetic; casts at its borders keep float32 inputs and outputs.

    Raises:
        ExportError: the converter wrote a graph that is not valid or has other inputs or outputs.
    """
    import onnx
    from onnxruntime.quantization.onnx_model import ONNXModel
    from onnxruntime.transformers.float16 import convert_float_to_float16

    model = ONNXModel(convert_float_to_float16(onnx.load(source), keep_io_types=True))
    model.topological_sort()  # the converter appends its casts at the end
    _finish(model.model, source, target)


def to_int8(source: Path, target: Path, pixels: Grey) -> None:
    """Write ``source`` with 8-bit integer weights and activations (QDQ: QuantizeLinear and DequantizeLinear nodes).

    Weights are signed, symmetric, one scale a channel, and use 7 bits: without VNNI, x86's 8-bit multiply-add saturates
    with 8, and a slice's probability moved by up to 0.27 instead of 0.03. Activations are unsigned, and their ranges
    are the least and greatest values met in calibration: clipping at the 99.99th percentile moved it by up to 0.08,
    entropy calibration by as much as the plain range.

    Args:
        source: float32 graph, ``slices`` → ``features`` and ``embedding``.
        target: the file to write.
        pixels: slices to calibrate on, uint8 ``(n, H, W, C)``, n ≥ 1.

    Raises:
        ExportError: the quantiser wrote a graph that is not valid or has other inputs or outputs.
    """
    import onnx
    from onnxruntime.quantization import CalibrationMethod, QuantFormat, QuantType, quantize_static
    from onnxruntime.quantization.shape_inference import quant_pre_process

    with tempfile.TemporaryDirectory(prefix="hemo-int8-") as scratch:
        prepared, quantised = Path(scratch) / "prepared.onnx", Path(scratch) / "quantised.onnx"
        quant_pre_process(source, prepared, skip_symbolic_shape=True)
        quantize_static(
            prepared,
            quantised,
            _reader(pixels),
            quant_format=QuantFormat.QDQ,
            per_channel=True,
            reduce_range=True,
            activation_type=QuantType.QUInt8,
            weight_type=QuantType.QInt8,
            calibrate_method=CalibrationMethod.MinMax,
        )
        _finish(onnx.load(quantised), source, target)


def _reader(pixels: Grey) -> Any:
    """The slices in batches, the way onnxruntime's calibration asks for them."""
    from onnxruntime.quantization import CalibrationDataReader

    class Reader(CalibrationDataReader):  # type: ignore[misc]
        def __init__(self) -> None:
            self._batches = _batches(pixels)

        def get_next(self) -> dict[str, npt.NDArray[np.float32]] | None:
            return next(self._batches, None)

    return Reader()


def _batches(pixels: Grey) -> Iterator[dict[str, npt.NDArray[np.float32]]]:
    for first in range(0, len(pixels), _BATCH):
        yield {"slices": to_input(pixels[first : first + _BATCH])}


def _finish(proto: Any, source: Path, target: Path) -> None:
    """Give the new graph the old one's metadata, have ONNX check it, compare the borders, write it."""
    import onnx

    before = onnx.load(source)
    del proto.metadata_props[:]  # the tools add notes of their own
    proto.metadata_props.extend(before.metadata_props)
    try:
        onnx.checker.check_model(proto, full_check=True)
    except (onnx.checker.ValidationError, onnx.shape_inference.InferenceError) as error:
        raise ExportError(f"{target.name} came out as an invalid graph: {error}") from error
    if _borders(proto) != _borders(before):
        raise ExportError(f"{target.name} came out with other inputs or outputs than {source.name}")
    target.write_bytes(proto.SerializeToString())


def _borders(proto: Any) -> set[tuple[str, int]]:
    """Name and element type of each input and output."""
    return {(value.name, value.type.tensor_type.elem_type) for value in (*proto.graph.input, *proto.graph.output)}
