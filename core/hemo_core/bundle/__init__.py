"""The sealed model: ONNX graphs, Keras models and ``bundle.json`` in one folder or one ``.hemo`` file."""

from hemo_core.bundle.manifest import (
    CNN,
    HEAD,
    MANIFEST,
    MODEL,
    REQUIRED_FILES,
    SCHEMA_VERSION,
    SEQUENCE,
    SIGNATURE,
    canonical,
    parse_manifest,
)
from hemo_core.bundle.opening import open_bundle, released_bundle
from hemo_core.bundle.sealed import Bundle, seal

__all__ = [
    "CNN",
    "HEAD",
    "MANIFEST",
    "MODEL",
    "REQUIRED_FILES",
    "SCHEMA_VERSION",
    "SEQUENCE",
    "SIGNATURE",
    "Bundle",
    "canonical",
    "open_bundle",
    "parse_manifest",
    "released_bundle",
    "seal",
]
