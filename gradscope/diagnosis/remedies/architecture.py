"""Remedies at the layers themselves: their activation, a normalisation behind them."""

from __future__ import annotations

from collections.abc import Sequence

from gradscope.diagnosis.enclosing import is_part_of_attention
from gradscope.diagnosis.evidence.layers import Layer
from gradscope.diagnosis.layer_code import activation_code, code_of_layers, has_weights, layer_code
from gradscope.diagnosis.remedies.data import batch_size
from gradscope.diagnosis.verdict import Remedy
from gradscope.diagnosis.wording import among
from gradscope.run import Run

__all__ = ["normalise", "normalise_batches", "normalise_layers", "replace_activation"]

_LEAST_BATCH = 8  # statistics of fewer examples are mostly noise (Wu & He 2018, Group Normalization)

_ACTIVATIONS = {
    "leaky_relu": "Leaky ReLU passes some gradient where ReLU passes none, so a unit that is off can recover.",
    "elu": "ELU does not saturate for positive arguments and keeps a gradient for moderately negative ones.",
    "selu": "SELU keeps mean and variance from layer to layer by itself, given standardised inputs, LeCun normal "
    "weights and a plain stack of dense layers; do not mix it with batch normalisation or ordinary dropout.",
    "relu": "ReLU passes the gradient of active units unchanged, where sigmoid and tanh shrink it at every layer.",
}


def replace_activation(layers: Sequence[Layer], activation: str = "leaky_relu") -> Remedy:
    """Another activation: ``leaky_relu``, ``elu`` or ``selu`` for a dying ReLU, ``relu`` for one that saturates."""
    changes: dict[str, str | None] = {"activation": f'"{activation}"'}
    if activation == "selu":
        changes["kernel_initializer"] = '"lecun_normal"'
    return Remedy(
        f"Replace the activation of {among([layer.name for layer in layers])} by {activation}",
        _ACTIVATIONS[activation],
        code_of_layers(layers, lambda layer: layer_code(layer, changes)),
        topic="activation",
    )


def normalise(layers: Sequence[Layer], run: Run) -> Remedy:
    """`normalise_batches`, but `normalise_layers` for recurrent layers, attention and batches too small for it."""
    if any(layer.is_recurrent or is_part_of_attention(layer.card) for layer in layers):
        return normalise_layers(layers)
    size = batch_size(run)
    if size is None or size >= _LEAST_BATCH:
        return normalise_batches(layers)
    examples = "one example each" if size == 1 else f"{size} examples each"
    return normalise_layers(
        layers, because=f"With batches of {examples}, batch normalisation would normalise by noise; do not use it here."
    )


def normalise_batches(layers: Sequence[Layer]) -> Remedy:
    """Batch normalisation between the layer's product and its activation, momentum 0.9."""
    layers = _normalisable(layers)
    return Remedy(
        f"Normalise the batches behind {among([layer.name for layer in layers])}",
        "Batch normalisation brings each layer's signal back to unit scale, so the gradient neither shrinks nor grows.",
        _normalised(layers, "keras.layers.BatchNormalization(momentum=0.9)", {"use_bias": "False"}),
        topic="normalisation",
    )


def normalise_layers(layers: Sequence[Layer], *, because: str = "") -> Remedy:
    """Layer normalisation between the layer's product and its activation: for recurrent nets and small batches.

    Args:
        layers: the layers to normalise, at least one.
        because: a sentence put behind the reason: why not batch normalisation.
    """
    layers = _normalisable(layers)
    reason = "Layer normalisation brings each example's signal back to unit scale, whatever the size of the batch."
    return Remedy(
        f"Normalise the outputs of {among([layer.name for layer in layers])}, example by example",
        f"{reason} {because}".strip(),
        _normalised(layers, "keras.layers.LayerNormalization()", {}),
        topic="normalisation",
    )


def _normalisable(layers: Sequence[Layer]) -> Sequence[Layer]:
    """Those behind which a normalisation has something to do: not another one, nor the words of an embedding."""
    fit = [layer for layer in layers if has_weights(layer) and not (layer.card and layer.card.kind == "Embedding")]
    return fit or layers


def _normalised(layers: Sequence[Layer], normalisation: str, changes: dict[str, str | None]) -> str:
    def code(layer: Layer) -> str:
        # A recurrent layer's activation is within each step of the sequence, attention has none.
        if layer.is_recurrent or is_part_of_attention(layer.card):
            return f"{layer_code(layer, {})}\n{normalisation}"
        if layer.card and not has_weights(layer):  # an activation that is a layer of its own
            return f"{normalisation}\n{layer_code(layer, {})}"
        name = layer.activation or "relu"
        function = activation_code(name) or "activation"
        activation = "" if name == "linear" else f"\nkeras.layers.Activation({function})"
        without = {"activation": None, **({"bias_axes": None} if _is_einsum(layer) and changes else changes)}
        return f"{layer_code(layer, without)}\n{normalisation}{activation}"

    return code_of_layers(layers, code)


def _is_einsum(layer: Layer) -> bool:
    return bool(layer.card and layer.card.kind == "EinsumDense")
