"""Remedies where no gradient arrives."""

from __future__ import annotations

from collections.abc import Sequence

from gradscope.diagnosis.enclosing import own_name, trainable_code
from gradscope.diagnosis.evidence.layers import Layer
from gradscope.diagnosis.layer_code import code_of_layers
from gradscope.diagnosis.verdict import Remedy
from gradscope.diagnosis.wording import among
from gradscope.model_card import LayerCard

__all__ = [
    "add_weights",
    "compile_again",
    "freeze",
    "give_slope",
    "hand_on_gradients",
    "judge_output",
    "load_or_train",
    "look_between",
    "pass_gradient",
    "train_all_variables",
    "unfreeze_head",
]


def pass_gradient(layer: Layer) -> Remedy:
    """A path from the layer to the loss that has a derivative everywhere."""
    return Remedy(
        f"Let the gradient pass between {layer.name} and the loss",
        f"Behind {layer.name} something has no derivative, or a zero one: stop_gradient, argmax, rounding, sign, a "
        "cast to integers, NumPy. Take it out, or compute it forwards and pass the gradient straight through. Or the "
        "optimizer was handed gradients of other variables than these.",
        "hard = keras.ops.round(soft)\nsoft = soft + keras.ops.stop_gradient(hard - soft)  # straight-through",
        topic="connection",
    )


def hand_on_gradients() -> Remedy:
    """The gradients of the tape, as the optimizer's."""
    return Remedy(
        "Hand the optimizer the gradients that the tape gives",
        "The loss has a gradient and the optimizer gets zeros: between the two the step multiplies, masks, rounds or "
        "resets them (a factor of 0, an accumulator that is emptied too early, a cast to integers).",
        "gradients = tape.gradient(loss, model.trainable_variables)\n"
        "optimizer.apply_gradients(zip(gradients, model.trainable_variables))",
        topic="connection",
    )


def give_slope(output: Layer) -> Remedy:
    """A loss that depends on every answer."""
    return Remedy(
        f"Let the loss depend on every answer of {output.name}",
        "Behind clip, relu, maximum, sign or a threshold the derivative is zero, so that answers out of bounds are "
        "never brought back. Bound the answers by the output's activation, or clip the targets; of padding and missing "
        "targets see that they are few, or that the loss is divided by those that count.",
        "error = y_true - y_pred  # not y_true - tf.clip_by_value(y_pred, low, high)",
        topic="loss",
    )


def look_between(before: Layer, after: Layer) -> Remedy:
    """What may shut the examples out between two layers."""
    return Remedy(
        f"Look at what stands between {before.name} and {after.name}: a mask, the scores of an attention, a pooling",
        f"The examples differ at {before.name}, and at {after.name} they are one and the same, whatever the weights: a "
        "mask that is turned round looks at the padding alone, a pooling over the wrong axis mixes the examples, a "
        "softmax over an axis of one gives 1.",
        "mask = tokens != 0  # True is what counts, as MultiHeadAttention's attention_mask wants it",
        topic="connection",
    )


def judge_output(layers: Sequence[Layer]) -> Remedy:
    """A loss for outputs that have none."""
    entries = ", ".join(f'"{own_name(layer.name)}": "mean_squared_error"' for layer in layers)
    return Remedy(
        f"Give {among([layer.name for layer in layers])} a loss",
        "An output that no term of the loss looks at is never trained.",
        f"losses = {{{entries}}}  # and those of the other outputs\nmodel.compile(optimizer, loss=losses)",
        topic="loss-of-output",
    )


def freeze(layers: Sequence[Layer]) -> Remedy:
    """Say that the layers are meant to stand still."""
    return Remedy(
        f"Or, if {among([layer.name for layer in layers])} should stand still, say so",
        "A frozen layer costs no optimizer state and is not reported.",
        code_of_layers(layers, lambda layer: trainable_code(layer.name, layer.card, False)),
        topic="freeze",
    )


def unfreeze_head(layers: Sequence[LayerCard]) -> Remedy:
    """Let the last layers with weights of their own train; the others may stay frozen."""
    card = next((card for card in reversed(layers) if card.fan_in), layers[-1] if layers else None)
    last = card.name if card else "the head"
    return Remedy(
        f"Leave {last} trainable",
        "In fine-tuning the pretrained layers stay frozen at first, but the new head has to learn; set trainable "
        "before compile, which takes the list of trainable variables.",
        f"{trainable_code(last, card, True)}\nmodel.compile(...)  # again, after the change",
        topic="freezing",
    )


def load_or_train(layers: Sequence[Layer]) -> Remedy:
    """Weights that were learnt, for layers that are frozen with those they were made with."""
    names = among([layer.name for layer in layers])
    return Remedy(
        f"Load the pretrained weights of {names}, or train them",
        "Freezing keeps what was learnt. Here nothing was: the weights are those of the initialiser.",
        'model.load_weights("pretrained.weights.h5")  # before the layers are frozen; or:\n'
        + code_of_layers(layers, lambda layer: trainable_code(layer.name, layer.card, True)),
        topic="freeze",
    )


def add_weights(names: Sequence[str]) -> Remedy:
    """Variables that Keras keeps account of."""
    return Remedy(
        f"Make {among(names)} by add_weight",
        "Keras 3 trains and saves what add_weight and keras.Variable make; a tf.Variable that a layer keeps is not in "
        "trainable_variables.",
        'self.matrix = self.add_weight(shape=(inputs, units), initializer="glorot_uniform", name="matrix")',
        topic="variables",
    )


def compile_again() -> Remedy:
    """Compile after a change of ``trainable``."""
    return Remedy(
        "Compile the model again after changing trainable",
        "compile() settles which variables a training step changes; what becomes trainable later has no effect until "
        "the next one.",
        "model.compile(optimizer=keras.optimizers.Adam(1e-5), loss=loss)  # a new optimizer, then fit()",
        topic="variables",
    )


def train_all_variables() -> Remedy:
    """Gradients of every trainable variable of the model."""
    return Remedy(
        "Train all of the model's variables",
        "The optimizer changes only what it is handed. Dropping variables whose gradient is None hides that they are "
        "cut off from the loss: see where, instead.",
        "variables = model.trainable_variables\n"
        "optimizer.apply_gradients(zip(tape.gradient(loss, variables), variables))",
        topic="variables",
    )
