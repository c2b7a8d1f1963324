"""What the GPUs of this machine do, for Prometheus, read through NVML when somebody scrapes.

NVML talks to the driver and not to CUDA, so the worker's parent may use it before and after its child uses the device.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

from hemo_core.errors import MissingExtra

if TYPE_CHECKING:
    from prometheus_client.core import Metric

_PREFIX = "hemo_batch_gpu_"
_GAUGES: tuple[tuple[str, str, Callable[[Any, Any], float]], ...] = (
    (
        "utilization_ratio",
        "Share of time with a kernel running.",
        lambda n, d: n.nvmlDeviceGetUtilizationRates(d).gpu / 100,
    ),
    ("memory_used_bytes", "Device memory in use.", lambda n, d: n.nvmlDeviceGetMemoryInfo(d).used),
    ("memory_total_bytes", "Device memory.", lambda n, d: n.nvmlDeviceGetMemoryInfo(d).total),
    (
        "temperature_celsius",
        "Temperature of the device.",
        lambda n, d: n.nvmlDeviceGetTemperature(d, n.NVML_TEMPERATURE_GPU),
    ),
    ("power_watts", "Power drawn.", lambda n, d: n.nvmlDeviceGetPowerUsage(d) / 1000),
)


class GpuCollector:
    """Gauges of every NVIDIA GPU that the driver shows.

    Args:
        nvml: the initialised ``pynvml`` module.
    """

    def __init__(self, nvml: Any) -> None:
        self._nvml = nvml

    def collect(self) -> Iterator[Metric]:
        """One family a quantity, labelled by the GPU's index and name; what a GPU does not tell is left out."""
        from prometheus_client.core import GaugeMetricFamily

        nvml = self._nvml
        devices = [nvml.nvmlDeviceGetHandleByIndex(index) for index in range(nvml.nvmlDeviceGetCount())]
        for name, text, read in _GAUGES:
            family = GaugeMetricFamily(_PREFIX + name, text, labels=("gpu", "name"))
            for index, device in enumerate(devices):
                try:
                    value = read(nvml, device)
                except nvml.NVMLError:  # not every card has every sensor
                    continue
                family.add_metric((str(index), _text(nvml.nvmlDeviceGetName(device))), value)
            yield family


def gpu_collector() -> GpuCollector:
    """A collector for the GPUs of this machine.

    Raises:
        MissingExtra: ``pynvml`` is not installed, or it finds no driver.
    """
    try:
        nvml = importlib.import_module("pynvml")
    except ImportError as error:
        raise MissingExtra("GPU metrics need pynvml", hint="pip install 'hemo-batch[gpu]'") from error
    try:
        nvml.nvmlInit()
    except nvml.NVMLError as error:
        raise MissingExtra(f"GPU metrics need the NVIDIA driver: {error}") from error
    return GpuCollector(nvml)


def _text(name: str | bytes) -> str:
    return name.decode() if isinstance(name, bytes) else name
