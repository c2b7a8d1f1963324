"""In which precision a bundle's graphs run: what it holds, and what a device should be given.

``bundle.json`` may have ``variants``: by precision the files, whether its gates passed (``released``), and figures. A
bundle without it, as older ones are, holds fp32 alone. A variant that failed its gates keeps its entry and the reason;
its files are not in the bundle.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Literal, NamedTuple, get_args

from hemo_core.bundle import CNN, Bundle
from hemo_core.bundle.manifest import PRECISIONS, Precision, Variant
from hemo_core.errors import PrecisionRefused

Wanted = Literal["auto", "fp32", "fp16", "int8"]
WANTED: tuple[Wanted, ...] = get_args(Wanted)

CPU, CUDA = "CPUExecutionProvider", "CUDAExecutionProvider"
_LEAST_CAPABILITY = 7.0


class Chosen(NamedTuple):
    """A precision, and in one sentence why."""

    precision: Precision
    reason: str


def variants(bundle: Bundle) -> dict[Precision, Variant]:
    """Every precision that ``bundle.json`` speaks of, fp32 first, whether or not its files are there."""
    listed: Mapping[Precision, Variant] = {"fp32": Variant(released=True, cnn=CNN), **bundle.manifest.variants}
    return {name: listed[name] for name in PRECISIONS if name in listed}


def variant_files(bundle: Bundle, precision: Precision) -> Variant:
    """The graphs of one precision.

    Raises:
        PrecisionRefused: the bundle does not hold it; the message says why.
    """
    known = variants(bundle)
    found = known.get(precision)
    if found is not None and _held(bundle, found):
        return found
    why = f": {found.reason}" if found is not None and found.reason else ""
    held = ", ".join(name for name, entry in known.items() if _held(bundle, entry))
    raise PrecisionRefused(
        f"{bundle.name} {bundle.version} holds no {precision} graphs{why}",
        path=str(bundle.path),
        hint=f"it holds {held}; auto takes what suits the device",
    )


def choose_precision(
    bundle: Bundle, provider: str, wanted: Wanted, *, capability: Callable[[], float | None] | None = None
) -> Chosen:
    """What to run on a device, and why.

    ``auto`` keeps fp32, but for fp16 on a GPU that computes in it where the bundle released it. It never takes int8:
    that moves probabilities by some hundredths, which nobody should get unasked.

    Args:
        bundle: an opened bundle.
        provider: the onnxruntime provider that truly runs.
        wanted: what the user asked for.
        capability: the GPU's CUDA compute capability, None if unknown; default asks the driver.

    Raises:
        PrecisionRefused: the bundle does not hold what was asked for, or the device is not the one it is for.
    """
    if wanted != "auto":
        return _explicit(bundle, provider, wanted)
    if provider == CUDA:
        return _for_gpu(bundle, capability or cuda_capability)
    return _for_cpu(bundle)


def gain(bundle: Bundle, precision: Precision) -> float | None:
    """How many times as fast as fp32 in the bundle's own benchmark, at the batch size where that is least.

    None if the bundle has no comparable figures: both on the CPU, at the same batch sizes.
    """
    known = variants(bundle)
    if precision not in known:
        return None
    ours, base = (_milliseconds(known[name].benchmark) for name in (precision, "fp32"))
    if not ours or ours.keys() != base.keys():
        return None
    return min(base[batch] / ours[batch] for batch in ours)


def cuda_capability() -> float | None:
    """CUDA compute capability of the least able GPU that the driver shows; None if it does not tell."""
    try:
        import pynvml
    except ImportError:
        return None
    try:
        pynvml.nvmlInit()
        handles = [pynvml.nvmlDeviceGetHandleByIndex(index) for index in range(pynvml.nvmlDeviceGetCount())]
        found = [pynvml.nvmlDeviceGetCudaComputeCapability(handle) for handle in handles]
    except pynvml.NVMLError:
        return None
    return min((major + minor / 10 for major, minor in found), default=None)


def _explicit(bundle: Bundle, provider: str, wanted: Precision) -> Chosen:
    variant_files(bundle, wanted)
    if wanted == "int8" and provider == CUDA:
        raise PrecisionRefused(
            "int8 is for the CPU, this worker runs on CUDA", hint="--device cpu, or another --precision"
        )
    note = "; a CPU gains nothing by it" if wanted == "fp16" and provider == CPU else ""
    return Chosen(wanted, f"as asked{note}")


def _for_gpu(bundle: Bundle, capability: Callable[[], float | None]) -> Chosen:
    if not _released(bundle, "fp16"):
        return Chosen("fp32", "the bundle releases no fp16")
    found = capability()
    if found is None:
        return Chosen("fp32", "the driver does not say whether this GPU computes in fp16")
    if found < _LEAST_CAPABILITY:
        return Chosen("fp32", f"a GPU of compute capability {found:.1f} gains nothing by fp16")
    return Chosen("fp16", "released for GPUs")


def _for_cpu(bundle: Bundle) -> Chosen:
    if not _released(bundle, "int8"):
        return Chosen("fp32", "the bundle releases no int8")
    found = gain(bundle, "int8")
    speed = "" if found is None else f" ({found:.2f} times as fast in the bundle's benchmark)"
    return Chosen("fp32", f"the reference; int8{speed} moves scores a little and is taken only by name")


def _released(bundle: Bundle, precision: Precision) -> bool:
    found = variants(bundle).get(precision)
    return found is not None and found.released and _held(bundle, found)


def _held(bundle: Bundle, entry: Variant) -> bool:
    return {entry.cnn, entry.sequence} <= bundle.manifest.files.keys()


def _milliseconds(benchmark: Mapping[str, Any] | None) -> dict[str, float]:
    """Milliseconds a slice by batch size; empty unless they are a CPU's and all more than nothing."""
    try:
        benchmark = benchmark or {}
        found = {str(batch): float(value) for batch, value in benchmark["ms_per_slice"].items()}
        return found if benchmark["provider"] == CPU and all(value > 0 for value in found.values()) else {}
    except (KeyError, TypeError, ValueError, AttributeError):
        return {}
