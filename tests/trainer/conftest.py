"""What keeps training on phantoms short."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

import pytest

from hemo_core.bundle.keras import quiet_tensorflow
from hemo_trainer.heatmap_quality import measure


@pytest.fixture(scope="session", autouse=True)
def little_of_heatmaps() -> Iterator[None]:
    """A run measures the maps of a few slices; how they are measured is tested apart."""
    short = partial(
        measure.HeatmapPlan, steps=3, random_orders=1, occluded=3, checked=4, checked_patients=2, seeds=(1,)
    )
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(measure, "HeatmapPlan", short)
        yield


@pytest.fixture(scope="module")
def step_by_step() -> Iterator[None]:
    """No graph is traced: it takes longer than the few steps that are run here."""
    quiet_tensorflow()
    import tensorflow as tf

    tf.config.run_functions_eagerly(run_eagerly=True)
    yield
    tf.config.run_functions_eagerly(run_eagerly=False)
