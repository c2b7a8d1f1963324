"""The first phase of training: the CNN learns from single slices that are never scored, once for all folds."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from hemo_core.errors import TrainingError
from hemo_core.files import replacing_path
from hemo_trainer.config import BatchConfig, TrainConfig
from hemo_trainer.data.prepared import TrainingData
from hemo_trainer.network.model import Network, build_network, start_network
from hemo_trainer.steps.batches import StepBuilder
from hemo_trainer.steps.sampling import Sampler


def pretrained_weights(config: TrainConfig, data: TrainingData, path: Path) -> Path | None:
    """Weights of the network after the first phase, made now unless ``path`` holds them already.

    Args:
        config: ``pretrain`` tells how long; 0 steps leave the phase out.
        data: only slices of ``train_only`` sources are used, so the weights have seen no patient that is scored.
        path: ``*.weights.h5`` file.

    Returns:
        ``path``, or None where the phase is left out.

    Raises:
        TrainingError: no source is ``train_only``.
    """
    if not config.pretrain.steps or path.is_file():
        return path if config.pretrain.steps else None
    rows = [row for row, record in enumerate(data.records) if record.source in data.train_only]
    if not rows:
        raise TrainingError("pretrain.steps asks for a first phase, but no source is train_only")
    trained = _fit(config, data, rows)
    network = build_network(config.input, len(config.findings), config.architecture)
    network.model.set_weights(trained.model.get_weights())  # convolutions and pool: the picture's side is no weight
    with replacing_path(path) as partial:
        network.model.save_weights(partial)
    return path


def _fit(config: TrainConfig, data: TrainingData, rows: list[int]) -> Network:
    import keras

    from hemo_trainer.network.keras_parts import Reseed, Steps
    from hemo_trainer.network.training_graph import training_model

    first, steps = config.pretrain, max(1, config.pretrain.steps // 100)
    keras.utils.set_random_seed(config.seed)
    small = replace(config.input, height=first.side, width=first.side)
    network = start_network(small, len(config.findings), config.architecture)
    per_epoch = first.steps // steps
    fit = replace(config.fit, epochs=steps, steps=per_epoch, warmup=1, learning_rate=first.learning_rate)
    model = training_model(network, fit, data.learned_beside(config.findings))
    singles = BatchConfig(
        series_slices=0, lengths=(1,), singles=first.slices, positive_share=config.batch.positive_share
    )
    sampler = Sampler(data.records, rows, {}, singles)
    batches = Steps(StepBuilder(data.pixels, data.records, sampler, config, side=first.side), per_epoch)
    callbacks = [keras.callbacks.TerminateOnNaN(), Reseed(config.seed, batches)]
    model.fit(batches, epochs=steps, callbacks=callbacks, shuffle=False, verbose=2)
    return network
