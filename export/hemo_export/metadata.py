"""What every ONNX file of a bundle says about itself (``metadata_props``), so that a lone file is still known."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from hemo_core.inference.session import CONTRACT_KEY, contract_text
from hemo_export.graph import OPSET
from hemo_export.run_folder import RunFolder


def expected_metadata(run: RunFolder, name: str, version: str, variant: str) -> dict[str, str]:
    """Contract, model name and version, variant and opset, as text."""
    return {
        CONTRACT_KEY: contract_text(run.contract),
        "hemo_model": name,
        "hemo_version": version,
        "hemo_variant": variant,
        "hemo_opset": str(OPSET),
    }


def read_metadata(path: Path) -> dict[str, str]:
    """``metadata_props`` of an ONNX file."""
    import onnx

    return {entry.key: entry.value for entry in onnx.load(path, load_external_data=False).metadata_props}


def write_metadata(path: Path, metadata: Mapping[str, str]) -> None:
    """Replace the ``metadata_props`` of an ONNX file."""
    import onnx

    proto = onnx.load(path)
    del proto.metadata_props[:]
    onnx.helper.set_model_props(proto, dict(metadata))
    path.write_bytes(proto.SerializeToString())
