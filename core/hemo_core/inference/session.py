"""The ONNX half of a bundle: slices → feature maps and embeddings → slice logits. Alone imports onnxruntime."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

import numpy as np
import numpy.typing as npt

from hemo_core.bundle import CNN, Bundle
from hemo_core.bundle.contract import Contract, with_findings
from hemo_core.bundle.manifest import Precision
from hemo_core.errors import BundleAltered, BundleSchema, DeviceError, MissingExtra, NonFinite, ScoringFailed
from hemo_core.inference.precision import CPU, CUDA, Chosen, Wanted, choose_precision, variant_files
from hemo_core.inference.scoring import require_finite
from hemo_core.records import decode, encode, loads

Device = Literal["auto", "cpu", "cuda"]
Float: TypeAlias = npt.NDArray[np.float32]

CONTRACT_KEY = "hemo_contract"
_DOCTOR = "hemo-batch doctor shows what is missing"
_CUDA_OPTIONS = {"use_tf32": "0", "cudnn_conv_algo_search": "HEURISTIC"}  # fp32 as on the CPU, same algorithm each time


@dataclass(frozen=True, slots=True, eq=False)
class CnnOutput:
    """What the CNN gives for ``n`` slices.

    Attributes:
        features: float32 ``(n, h, w, K)``, the feature map A of each slice.
        embeddings: float32 ``(n, E)``; E = K where the head begins with a global average pool.
    """

    features: Float
    embeddings: Float


class Engine:
    """Both ONNX sessions of a bundle. Safe to share between threads; never across a fork.

    Args:
        bundle: an opened bundle.
        device: ``cuda`` fails if CUDA does not come up; ``auto`` takes CUDA if it does, else the CPU.
        threads: threads for one operation on the CPU; default as many as cores.
        batch: slices in each CNN call. Fewer are padded, so that a slice's numbers do not depend on its batch mates.
        precision: of the graphs; ``auto`` takes what the bundle released for the device, see
            :func:`hemo_core.inference.precision.choose_precision`.

    Attributes:
        provider: the execution provider that truly runs, ``CPUExecutionProvider`` or ``CUDAExecutionProvider``.
        precision: what the graphs compute in.
        reason: why, in a sentence.

    Raises:
        DeviceError: the device did not come up.
        PrecisionRefused: the bundle does not hold that precision for this device.
        BundleAltered: a graph carries another contract than ``bundle.json``.
    """

    def __init__(
        self,
        bundle: Bundle,
        *,
        device: Device = "auto",
        threads: int | None = None,
        batch: int = 16,
        precision: Wanted = "fp32",
    ) -> None:
        if batch < 1:
            raise ValueError(f"batch must be at least 1, not {batch}")
        self.batch = batch
        self._picture = (bundle.input.height, bundle.input.width, bundle.input.channels)
        base = _session(bundle, CNN, device, threads)  # tells which device came up
        self.provider: str = base.get_providers()[0]
        settled: Device = "cuda" if self.provider == CUDA else "cpu"
        chosen: Chosen = choose_precision(bundle, self.provider, precision)
        self.precision: Precision = chosen.precision
        self.reason = chosen.reason
        files = variant_files(bundle, self.precision)
        self._cnn = base if files.cnn == CNN else _session(bundle, files.cnn, settled, threads)
        self._sequence = _session(bundle, files.sequence, settled, threads)
        for name, session in ((files.cnn, self._cnn), (files.sequence, self._sequence)):
            _check_contract(bundle, name, session)

    def cnn(self, slices: Float) -> CnnOutput:
        """Run the CNN.

        Args:
            slices: float32 ``(n, H, W, C)`` in [0, 1], 1 ≤ n ≤ batch.

        Raises:
            NonFinite: a pixel is NaN or infinite; rectifiers and quantised operators would make a number of it.
        """
        count = slices.shape[0]
        if not 1 <= count <= self.batch or slices.shape[1:] != self._picture:
            raise ValueError(f"expected 1 to {self.batch} slices of {self._picture}, got {slices.shape}")
        if not np.isfinite(slices).all():
            raise NonFinite("a slice holds NaN or infinity")
        padded = np.zeros((self.batch, *self._picture), np.float32)
        padded[:count] = slices
        features, embeddings = self._cnn.run(["features", "embedding"], {"slices": padded})
        return CnnOutput(features[:count], embeddings[:count])

    def sequence(self, embeddings: Float) -> Float:
        """Run the recurrent half on all slices of ONE scan.

        Args:
            embeddings: float32 ``(slices, E)`` in anatomical order.

        Returns:
            float32 logits ``(slices, L)``.

        Raises:
            ScoringFailed: an embedding or a logit is NaN or infinite.
        """
        if not np.isfinite(embeddings).all():
            raise ScoringFailed("the CNN gave embeddings that are no number", hint="score the scan on another device")
        logits = self.sequences(embeddings[None], np.asarray([embeddings.shape[0]], np.int32))[0]
        return require_finite(logits)

    def sequences(self, embeddings: Float, lengths: npt.NDArray[np.int32]) -> Float:
        """Run the recurrent half on several scans at once. Their last bits may differ from one scan a call.

        Args:
            embeddings: float32 ``(scans, slices, E)``, short scans padded with anything finite.
            lengths: int32 ``(scans,)``, slices of each scan.

        Returns:
            float32 logits ``(scans, slices, L)``; those of the padding mean nothing.
        """
        feeds = {"embeddings": np.ascontiguousarray(embeddings, np.float32), "lengths": lengths}
        return np.asarray(self._sequence.run(["logits"], feeds)[0], np.float32)


def contract_text(contract: Contract) -> str:
    """What a graph's ``metadata_props`` carry under :data:`CONTRACT_KEY`."""
    return json.dumps(encode(contract), sort_keys=True)


def carried_contract(text: str | None, where: str) -> Contract:
    """Inverse of :func:`contract_text`, of any schema version.

    Args:
        text: None where the graph carries none.
        where: the graph, for messages.

    Raises:
        BundleSchema: it is no contract.
    """
    content = loads(text or "", error=BundleSchema, what="contract", path=where)
    content = with_findings(content) if isinstance(content, dict) else content
    return decode(Contract, content, error=BundleSchema, what="contract", path=where)


def _check_contract(bundle: Bundle, name: str, session: Any) -> None:
    where = str(bundle.path / name)
    try:
        carried = carried_contract(session.get_modelmeta().custom_metadata_map.get(CONTRACT_KEY), where)
    except BundleSchema as error:
        raise BundleAltered(f"the graph carries no contract: {error.message}", path=where) from error
    if carried.arithmetic != Contract(bundle.input, bundle.scoring).arithmetic:
        raise BundleAltered("the graph carries another contract than bundle.json", path=where)


def _session(bundle: Bundle, name: str, device: Device, threads: int | None) -> Any:
    """One session on the device asked for, or an error."""
    ort = _onnxruntime()
    options = ort.SessionOptions()
    options.intra_op_num_threads = threads or 0
    options.inter_op_num_threads = 1
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")  # the cores are shared with decoding
    options.log_severity_level = 3
    wanted = _wanted_providers(ort, device)
    graph = bundle.read(name)
    states = ort.capi.onnxruntime_pybind11_state
    try:
        session = ort.InferenceSession(graph, options, providers=wanted)
    except (states.InvalidProtobuf, states.InvalidGraph, states.InvalidArgument) as error:
        raise BundleSchema(f"is no ONNX graph: {error}", path=str(bundle.path / name)) from error
    except (states.Fail, states.EPFail, states.RuntimeException) as error:
        raise DeviceError(f"no session on {device}: {error}", hint=_DOCTOR) from error
    if device == "cuda" and session.get_providers()[0] != CUDA:
        raise DeviceError(f"CUDA did not come up, only {', '.join(session.get_providers())}", hint=_DOCTOR)
    return session


def _wanted_providers(ort: Any, device: Device) -> list[Any]:
    """Providers to ask for. That CUDA is listed as available says only that the wheel was built with it."""
    if device == "cpu":
        return [CPU]
    if CUDA in ort.get_available_providers():
        ort.preload_dlls()
        return [(CUDA, _CUDA_OPTIONS), CPU]
    if device == "cuda":
        hint = "pip install 'hemo-batch[gpu]' in an environment without onnxruntime"
        raise DeviceError("this onnxruntime was built without CUDA", hint=hint)
    return [CPU]


def _onnxruntime() -> Any:
    try:
        import onnxruntime
    except ImportError as error:
        raise MissingExtra("onnxruntime is not installed", hint="pip install 'hemo-batch[worker]'") from error
    return onnxruntime
