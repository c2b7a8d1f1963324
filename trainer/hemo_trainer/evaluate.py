"""Score labelled data with an exported bundle: what users run, not the Keras model it came from."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from hemo_core.bundle import open_bundle
from hemo_core.inference.session import Device, Engine
from hemo_trainer.config import load_config
from hemo_trainer.data import load_sources
from hemo_trainer.datasets.record import Split
from hemo_trainer.finish import measure, predict_side
from hemo_trainer.leaks import refuse_training_data

Float = npt.NDArray[np.float32]


class BundleSliceModel:
    """An onnxruntime engine as a :class:`~hemo_trainer.predict.SliceModel`."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def embed(self, slices: Float) -> Float:
        """``(n, H, W, C)`` → ``(n, K)``, in batches of the engine's size."""
        size = self._engine.batch
        return np.concatenate(
            [self._engine.cnn(slices[at : at + size]).embeddings for at in range(0, len(slices), size)]
        )

    def sequence(self, embeddings: Float) -> Float:
        """``(t, K)`` → ``(t, L)``."""
        return self._engine.sequence(embeddings)


def evaluate(
    bundle_path: Path, config_path: Path, cache: Path, *, side: Split = "test", device: Device = "auto"
) -> dict[str, Any]:
    """Figures of a bundle on one side of a configuration's data.

    Args:
        bundle_path: the bundle, verified before it is used.
        config_path: TOML file that names data and split; its other settings are not used.
        cache: where preprocessed slices are kept.
        side: ``val`` or ``test`` patients.
        device: where to run.

    Returns:
        JSON-ready: the bundle's digest, the side, and figures by source for slices and exams.

    Raises:
        BundleError, DeviceError, DatasetError, SettingsError: as their sources say.
        PatientLeak: the split leaks, or the bundle was trained on patients or pictures of this side.
    """
    bundle = open_bundle(bundle_path)
    config = load_config(config_path)
    data = load_sources(config.sources, config.split, bundle.input, cache, needed=(side,))
    refuse_training_data(bundle.manifest, data.sides[side], data.pixels_of)
    engine = Engine(bundle, device=device)
    predictions = predict_side(BundleSliceModel(engine), data, side)
    return {
        "bundle": {"name": bundle.name, "version": bundle.version, "digest": bundle.digest},
        "provider": engine.provider,
        "side": side,
        "data": {"fingerprint": data.fingerprint, "split_hash": data.split_hash},
        "figures": measure(predictions, bundle.scoring),
    }
