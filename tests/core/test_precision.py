"""Which precision a device is given: what the bundle says decides, and fp32 is what is left."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import pytest

from hemo_core.bundle.manifest import Precision, Variant
from hemo_core.errors import BundleSchema, PrecisionRefused
from hemo_core.inference.precision import CPU, CUDA, choose_precision, gain, variant_files, variants
from hemo_core.records import decode

BASE = {"1": 5.0, "8": 4.0, "32": 4.0}


def bundle(listed=None, files=("cnn.onnx", "cnn.fp16.onnx", "cnn.int8.onnx", "sequence.onnx")):
    entries = decode(dict[Precision, Variant], listed or {}, error=BundleSchema)
    manifest = SimpleNamespace(files=dict.fromkeys(files), variants=entries)
    return SimpleNamespace(name="planted", version="1.0.0", path=Path("planted"), manifest=manifest)


def measured(milliseconds, provider=CPU):
    return {"ms_per_slice": milliseconds, "provider": provider, "peak_mebibytes": 1, "threads": 2}


def planted(int8=None, *, released=True, base=None, provider=CPU, **changes):
    return bundle(
        {
            "fp32": {"cnn": "cnn.onnx", "released": True, "benchmark": base or measured(BASE)},
            "fp16": {"cnn": "cnn.fp16.onnx", "released": released},
            "int8": {
                "cnn": "cnn.int8.onnx",
                "released": released,
                "benchmark": measured(int8, provider) if int8 else None,
            },
        },
        **changes,
    )


def test_an_older_bundle_is_fp32_everywhere():
    old = bundle(files=("cnn.onnx", "sequence.onnx"))
    assert list(variants(old)) == ["fp32"]
    assert choose_precision(old, CPU, "auto") == ("fp32", "the bundle releases no int8")
    assert choose_precision(old, CUDA, "auto", capability=lambda: 9.0) == ("fp32", "the bundle releases no fp16")
    assert choose_precision(old, CPU, "fp32").precision == "fp32"


def test_a_cpu_gets_int8_only_by_name_however_fast_it_is():
    fast = planted({"1": 3.8, "8": 2.0, "32": 2.0})
    assert gain(fast, "int8") == pytest.approx(5.0 / 3.8)
    chosen = choose_precision(fast, CPU, "auto")
    assert chosen.precision == "fp32"
    assert "1.32 times as fast" in chosen.reason
    assert choose_precision(fast, CPU, "int8").precision == "int8"


@pytest.mark.parametrize(
    "unmeasured",
    [
        planted(),
        planted({"1": 1.0}),
        planted({"1": 1.0, "8": 1.0, "32": 1.0}, provider=CUDA),
        planted({"1": 0.0, "8": 1.0, "32": 1.0}),
        planted({"1": "fast", "8": 1.0, "32": 1.0}),
        planted({"1": 1.0, "8": 1.0, "32": 1.0}, base={"provider": CPU}),
    ],
)
def test_figures_that_do_not_compare_are_none(unmeasured):
    assert gain(unmeasured, "int8") is None
    assert choose_precision(unmeasured, CPU, "auto").precision == "fp32"


def test_what_is_not_released_is_never_chosen():
    fast = {"1": 1.0, "8": 1.0, "32": 1.0}
    assert choose_precision(planted(fast, released=False), CPU, "auto").precision == "fp32"
    gone = planted(fast, files=("cnn.onnx", "sequence.onnx"))
    assert choose_precision(gone, CPU, "auto").precision == "fp32"


@pytest.mark.parametrize(("capability", "chosen"), [(None, "fp32"), (6.1, "fp32"), (7.0, "fp16"), (9.0, "fp16")])
def test_a_gpu_gets_fp16_if_it_computes_in_it(capability, chosen):
    assert choose_precision(planted(), CUDA, "auto", capability=lambda: capability).precision == chosen


def test_a_wish_is_granted_or_refused_with_the_reason():
    held = planted({"1": 9.0, "8": 9.0, "32": 9.0})
    assert choose_precision(held, CPU, "int8") == ("int8", "as asked")
    assert choose_precision(held, CUDA, "fp16") == ("fp16", "as asked")
    assert "gains nothing" in choose_precision(held, CPU, "fp16").reason
    with pytest.raises(PrecisionRefused, match="int8 is for the CPU"):
        choose_precision(held, CUDA, "int8")


def test_a_variant_that_failed_its_gates_says_which():
    failed = bundle(
        {"int8": {"cnn": "cnn.int8.onnx", "released": False, "reason": "task parity: 3 % flip"}},
        files=("cnn.onnx", "sequence.onnx"),
    )
    with pytest.raises(
        PrecisionRefused, match=r"holds no int8 graphs: task parity: 3 % flip.*it holds fp32"
    ) as refused:
        variant_files(failed, "int8")
    assert (refused.value.code, refused.value.exit_code) == ("precision_refused", 4)
