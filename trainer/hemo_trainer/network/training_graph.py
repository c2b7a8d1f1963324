"""The network as it is trained: flat slices through the CNN once, gathered into masked sequences for the recurrence."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from hemo_trainer.config import FitConfig
from hemo_trainer.network.model import Network

if TYPE_CHECKING:
    import keras

SHUFFLED = ("shuffled_index", "shuffled_place")


def training_model(
    network: Network, fit: FitConfig, others: int = 0, ablated: Mapping[str, keras.Model] = MappingProxyType({})
) -> keras.Model:
    """Inputs and outputs as :meth:`hemo_trainer.steps.batches.StepBuilder.build` gives them; compiled.

    Args:
        network: what is trained.
        fit: losses and optimiser.
        others: M, how many findings only the data tells of; the CNN's own logits learn them.
        ablated: further sequence models that learn from the same embeddings without changing the CNN, each an output
            ``ablation_<name>`` ``(n, L)``; one whose name begins with ``shuffled`` reads ``shuffled_index`` instead.
    """
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
    dropped = keras.layers.Dropout(0.2)(embedding)
    outputs = {
        "slice": slice_logits,
        "aux": keras.layers.Dense(labels, name="aux_logits")(dropped),  # (n, L)
        "scan": _scan_logit(logits, mask, fit.beta),
    }
    if others:
        outputs["subtype"] = keras.layers.Dense(others, name="subtype_logits")(dropped)  # (n, M)
    inputs = {"slices": slices, "index": index, "mask": mask, "place": place}
    if ablated:
        inputs |= {name: keras.Input(inputs[name[9:]].shape[1:], dtype="int32", name=name) for name in SHUFFLED}
        fixed = ops.stop_gradient(embedding)
        for name, sequence_model in ablated.items():
            order = "shuffled_" if name.startswith("shuffled") else ""
            found = _masked_sequence(sequence_model, ops.take(fixed, inputs[f"{order}index"], axis=0), mask)
            outputs[f"ablation_{name}"] = ops.take(ops.reshape(found, (-1, labels)), inputs[f"{order}place"], axis=0)
    model = keras.Model(inputs, outputs)
    _compile(model, fit)
    return model


def _masked_sequence(sequence: keras.Model, embeddings: Any, mask: Any) -> Any:
    """Run the sequence model's layers with an explicit mask, so that padding changes nothing."""
    x = embeddings
    for layer in sequence.layers[1:]:
        if layer.name.endswith(("bi_lstm", "bi_gru")):
            x = layer(x, mask=mask)
        elif layer.name.endswith("skip"):
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
    weights = {
        "slice": fit.slice_weight,
        "aux": fit.aux_weight,
        "subtype": fit.subtype_weight,
        "scan": fit.scan_weight,
    }
    names = list(model.output)
    loss = dict.fromkeys(names, known_crossentropy)
    model.compile(optimizer, loss=loss, loss_weights={name: weights.get(name, 1.0) for name in names})


def known_crossentropy(target: Any, logit: Any) -> Any:
    """Binary cross-entropy ``(n,)`` of logits ``(n, labels)``, summed over the labels whose target is not −1."""
    from keras import ops

    known = ops.cast(target >= 0, "float32")
    loss = ops.maximum(logit, 0.0) - logit * target + ops.log1p(ops.exp(-ops.abs(logit)))
    return ops.sum(loss * known, axis=-1)
