from types import SimpleNamespace

import pytest

from hemo_core.errors import MissingExtra
from hemo_worker.gpu_metrics import GpuCollector, gpu_collector


class NoSensorError(Exception):
    pass


class TwoCards:
    """Two cards as NVML shows them; the second has no power sensor."""

    NVMLError = NoSensorError
    NVML_TEMPERATURE_GPU = 0

    def nvmlDeviceGetCount(self):  # noqa: N802  NVML's names
        return 2

    def nvmlDeviceGetHandleByIndex(self, index):  # noqa: N802
        return index

    def nvmlDeviceGetName(self, device):  # noqa: N802
        return b"Card" if device else "Card"

    def nvmlDeviceGetUtilizationRates(self, device):  # noqa: N802
        return SimpleNamespace(gpu=50 + device)

    def nvmlDeviceGetMemoryInfo(self, _device):  # noqa: N802
        return SimpleNamespace(used=10, total=100)

    def nvmlDeviceGetTemperature(self, _device, _sensor):  # noqa: N802
        return 60

    def nvmlDeviceGetPowerUsage(self, device):  # noqa: N802
        if device:
            raise NoSensorError
        return 250_000


def test_every_card_has_its_gauges_in_base_units_and_a_missing_sensor_is_left_out():
    families = {family.name: family.samples for family in GpuCollector(TwoCards()).collect()}
    assert [s.value for s in families["hemo_batch_gpu_utilization_ratio"]] == [0.5, 0.51]
    assert [s.value for s in families["hemo_batch_gpu_memory_used_bytes"]] == [10, 10]
    assert [s.value for s in families["hemo_batch_gpu_power_watts"]] == [250]
    assert families["hemo_batch_gpu_temperature_celsius"][1].labels == {"gpu": "1", "name": "Card"}


def test_a_machine_without_the_package_or_the_driver_says_which(monkeypatch):
    import importlib

    def absent(_name):
        raise ImportError

    monkeypatch.setattr(importlib, "import_module", absent)
    with pytest.raises(MissingExtra, match="need pynvml"):
        gpu_collector()

    def no_driver():
        raise NoSensorError("Driver Not Loaded")

    monkeypatch.setattr(
        importlib, "import_module", lambda _name: SimpleNamespace(nvmlInit=no_driver, NVMLError=NoSensorError)
    )
    with pytest.raises(MissingExtra, match="need the NVIDIA driver: Driver Not Loaded"):
        gpu_collector()
