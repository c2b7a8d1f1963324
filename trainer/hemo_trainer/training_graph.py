"""The network as it is trained: flat slices through the CNN once, gathered into masked sequences for the recurrence."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from hemo_trainer.config import FitConfig
from hemo_trainer.model import Network

if TYPE_CHECKING:
    import keras


def training_model(network: Network, fit: FitConfig) -> keras.Model:
    """Inputs and outputs as :meth:`hemo_trainer.batches.StepBuilder.build` gives them; compiled."""
    import keras

    ops = keras.ops
    slices = keras.Input(network.cnn.input_shape[1:], name="slices")  # (n, H, W, C)
    index = keras.Input((None,), dtype="int32", name="index")  # (S, T)
    mask = keras.Input((None,), dtype="bool", name="mask")  # (S, T)
    place = keras.Input((), dtype="int32", name="place")  # (n,)
    embedding = ops.mean(network.cnn(slices), axis=(1, 2))  # (n, K)
    sequences = ops.take(embedding, index, axis=0)  # (S, T, K)
    logits = _masked_sequence(network.sequence, sequences, mask)  # (S, T, L)
    labels = network.sequence.output_shape[-1]
    slice_logits = ops.take(ops.reshape(logits, (-1, labels)), place, axis=0)  # (n, L)
    aux = keras.layers.Dense(labels, name="aux_logits")(keras.layers.Dropout(0.2)(embedding))  # (n, L)
    outputs = {"slice": slice_logits, "aux": aux, "scan": _scan_logit(logits, mask, fit.beta)}
    model = keras.Model({"slices": slices, "index": index, "mask": mask, "place": place}, outputs)
    _compile(model, fit)
    return model


def _masked_sequence(sequence: keras.Model, embeddings: Any, mask: Any) -> Any:
    """Run the sequence model's layers with an explicit mask, so that padding changes nothing."""
    x = embeddings
    for layer in sequence.layers[1:]:
        if layer.name.startswith("bi_"):
            x = layer(x, mask=mask)
        elif layer.name == "skip":
            x = layer([x, embeddings])
        else:
            x = layer(x)
    return x


def _scan_logit(logits: Any, mask: Any, beta: float) -> Any:
    """Σ zᵢ·softmax(β·zᵢ) over the slices of each sequence: ``(S, T, L)`` → ``(S, L)``."""
    from keras import ops

    present = ops.expand_dims(ops.cast(mask, "float32"), -1)  # (S, T, 1)
    weights = ops.softmax(beta * logits - 1e4 * (1.0 - present), axis=1)
    return ops.sum(logits * weights * present, axis=1)


def _compile(model: keras.Model, fit: FitConfig) -> None:
    import keras

    total, warmup = fit.epochs * fit.steps, fit.warmup * fit.steps
    schedule = keras.optimizers.schedules.CosineDecay(
        fit.learning_rate / 50,
        max(1, total - warmup),
        alpha=0.01,
        warmup_target=fit.learning_rate,
        warmup_steps=warmup,
    )
    optimizer = keras.optimizers.AdamW(
        schedule, weight_decay=fit.weight_decay, clipnorm=fit.clip_norm, use_ema=True, ema_momentum=fit.ema
    )
    loss = {name: keras.losses.BinaryCrossentropy(from_logits=True) for name in ("slice", "aux", "scan")}
    weights = {"slice": fit.slice_weight, "aux": fit.aux_weight, "scan": fit.scan_weight}
    model.compile(optimizer, loss=loss, loss_weights=weights)
