"""Remedies at layers that go through a sequence."""

from __future__ import annotations

from collections.abc import Sequence

from gradscope.diagnosis.enclosing import own_name
from gradscope.diagnosis.evidence.layers import Layer
from gradscope.diagnosis.evidence.window import median
from gradscope.diagnosis.layer_code import code_of_layers, layer_code
from gradscope.diagnosis.verdict import Remedy
from gradscope.diagnosis.wording import among
from gradscope.run import Run

__all__ = ["bound_states", "look_at_mask", "mask_padding", "reach_further_back", "remember", "scale_scores"]

_UNBOUNDED = ("relu", "leaky_relu", "elu", "selu", "gelu", "silu", "swish", "softplus", "exponential", "linear")
_PADDED = 0.5  # share of the words
_DECIDES = ("activation", "recurrent_activation", "unit_forget_bias", "bias_initializer", "recurrent_initializer")
"""Arguments that set how long a layer keeps what it has seen."""


def remember(layers: Sequence[Layer]) -> tuple[Remedy, ...]:
    """What keeps a state alive: Keras' own settings where others were chosen, gates where there are none."""
    odd = [layer for layer in layers if layer.card and any(name in layer.card.arguments for name in _DECIDES)]
    plain = [layer for layer in layers if layer.card and layer.card.kind == "SimpleRNN"]
    usual: dict[str, str | None] = dict.fromkeys(_DECIDES)
    return (
        *(
            (
                Remedy(
                    f"Give {among([layer.name for layer in odd])} the usual activations, biases and recurrent weights",
                    "tanh in the cell, sigmoid in the gates, a forget bias of 1 and an orthogonal recurrent kernel are "
                    "chosen so that the state outlives many steps.",
                    code_of_layers(odd, lambda layer: layer_code(layer, usual)),
                    topic="recurrent-weights",
                ),
            )
            if odd
            else ()
        ),
        *(
            (
                Remedy(
                    f"Replace {among([layer.name for layer in plain])} by a GRU",
                    "A gate that stays open hands the state, and its gradient, on unchanged; a plain recurrent layer "
                    "multiplies both at every step.",
                    code_of_layers(
                        plain, lambda layer: layer_code(layer, usual).replace("layers.SimpleRNN(", "layers.GRU(")
                    ),
                    topic="gates",
                ),
            )
            if plain
            else ()
        ),
    )


def bound_states(layers: Sequence[Layer]) -> tuple[Remedy, ...]:
    """`remember` for recurrent layers whose states have no bound, relu in place of tanh say; else nothing."""
    loose = [layer for layer in layers if layer.is_recurrent and layer.card]
    return remember([layer for layer in loose if layer.card and layer.card.arguments.get("activation") in _UNBOUNDED])


def mask_padding(run: Run) -> tuple[Remedy, ...]:
    """A mask over words that are mostly padding; none where they are not, or a mask there is."""
    words = [card for card in run.model.layers if card.kind == "Embedding" and not card.arguments.get("mask_zero")]
    padded = [name for name in run.names("input") if median(run.series("input", name, "zero_fraction")) > _PADDED]
    if not (words and padded):
        return ()
    name, sizes = own_name(words[0].name), words[0].arguments
    size = f"{sizes.get('input_dim', 'words')}, {sizes.get('output_dim', 'units')}"
    return (
        Remedy(
            "Mask the padding, or pad in front",
            "Most of each sequence is the number 0, which fills it up: what was read is forgotten on the way through.",
            f'keras.layers.Embedding({size}, mask_zero=True, name="{name}")\n'
            '# or: x = keras.utils.pad_sequences(sequences, padding="pre")',
            topic="padding",
        ),
    )


def reach_further_back(layers: Sequence[Layer]) -> Remedy:
    """A shorter way from the loss to the first steps: look at all outputs, or shorten the sequence."""
    last = layers[-1]
    return Remedy(
        f"Let the loss see all steps of {last.name}, or shorten the sequence",
        "Pooled over time, each step is one layer away from the loss, however long the sequence; a strided Conv1D in "
        "front shortens it.",
        f"{layer_code(last, {'return_sequences': 'True'})}\nkeras.layers.GlobalAveragePooling1D()",
        topic="sequence",
    )


def look_at_mask() -> Remedy:
    """See what an attention is allowed to look at."""
    return Remedy(
        "Look at what the mask lets the attention see",
        "Queries and keys get next to no gradient where the mask leaves only padding, or a single position, to look "
        "at: True stands for what may be seen, not for what is hidden.",
        'print(keras.ops.mean(keras.ops.cast(attention_mask, "float32"), axis=-1))  # share of the positions seen',
        topic="mask",
    )


def scale_scores() -> Remedy:
    """Scores of an attention that leave its softmax room to move."""
    return Remedy(
        "Scale what saturates inside the layer",
        "A softmax or a gate whose argument is large gives 0 or 1 and passes no gradient back to what made it. Divide "
        "the scores of an attention by the root of their width, and begin with Glorot's weights.",
        "scores = keras.ops.matmul(query, keras.ops.transpose(key, (0, 2, 1))) / key.shape[-1] ** 0.5",
        topic="scores",
    )
