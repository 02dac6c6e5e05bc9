"""Remedies at the loss."""

from __future__ import annotations

from collections.abc import Mapping

from gradscope.diagnosis.evidence.layers import Layer
from gradscope.diagnosis.evidence.loss_terms import loss_entries
from gradscope.diagnosis.layer_code import layer_code
from gradscope.diagnosis.verdict import Remedy
from gradscope.diagnosis.wording import number
from gradscope.run import Run

__all__ = [
    "absolute_error",
    "average_loss",
    "check_sign",
    "compare_shares",
    "compare_yes_and_no",
    "guard_layer",
    "guard_loss",
    "guard_operations",
    "keep_rivals_even",
    "output_activation",
    "raise_delta",
    "scale_loss",
    "set_from_logits",
    "squared_error",
    "stable_loss",
    "tell_apart",
    "weigh_losses",
    "weigh_rare",
]

_CLASSES = {
    "sparse_categorical_crossentropy": "SparseCategoricalCrossentropy",
    "categorical_crossentropy": "CategoricalCrossentropy",
    "binary_crossentropy": "BinaryCrossentropy",
    "binary_focal_crossentropy": "BinaryFocalCrossentropy",
    "categorical_focal_crossentropy": "CategoricalFocalCrossentropy",
}


def stable_loss(loss: str) -> Remedy:
    """Compute the loss from logits, so that no logarithm of zero arises."""
    return Remedy(
        "Compute the loss from logits",
        "log(softmax(z)) computed in one go stays finite where log of a rounded probability is -inf; guard your own "
        "logarithms, divisions and square roots with a small epsilon.",
        f"# linear output layer, and:\nloss = keras.losses.{_CLASSES.get(loss, 'CategoricalCrossentropy')}"
        "(from_logits=True)",
        topic="loss",
    )


def guard_operations() -> Remedy:
    """An epsilon where the derivative of an operation is infinite."""
    return Remedy(
        "Guard square roots, norms, logarithms and divisions",
        "The derivative of sqrt and of a norm is infinite at 0, and 0 times infinity is NaN in the backward pass, "
        "however finite the loss; clipping does not mend that.",
        "distance = keras.ops.sqrt(keras.ops.sum(keras.ops.square(a - b), axis=-1) + 1e-12)",
        topic="guards",
    )


def guard_loss() -> Remedy:
    """Bounds for what the loss takes logarithms and roots of, or divides by."""
    return Remedy(
        "Guard the loss's logarithms, square roots and divisions",
        "The answers are finite and the loss is not: the logarithm of 0 is infinite, 0 times it NaN, as are 0 / 0 and "
        "the logarithm or square root of a negative answer. Where answers have to be positive, let the output be so "
        "(softplus).",
        "p = keras.ops.maximum(y_pred, 1e-7)  # before the logarithm; the same for what is divided by",
        topic="guards",
    )


def guard_layer(name: str) -> Remedy:
    """Bounds for what a layer divides by, or takes logarithms and roots of."""
    return Remedy(
        f"Guard what {name} divides by or takes logarithms and square roots of",
        f"What reaches {name} is finite, and what it gives is not: 0 / 0 and the logarithm or square root of a "
        "negative number are NaN, x / 0 and the logarithm of 0 infinite.",
        "y = (x - mean) / (std + 1e-6)  # and log(maximum(x, 1e-7)), sqrt(maximum(x, 0) + 1e-12)",
        topic="guards",
    )


def scale_loss() -> Remedy:
    """Loss scaling, or bfloat16, where float16 gradients underflow."""
    return Remedy(
        "Scale the loss, or compute in bfloat16",
        "float16 holds nothing below 6e-8: a loss multiplied by a large factor lifts the gradients above that, and the "
        "optimizer divides by it again; bfloat16 has the range of float32 and needs no factor.",
        "optimizer = keras.optimizers.LossScaleOptimizer(optimizer)\n"
        '# or, before the model is built: keras.config.set_dtype_policy("mixed_bfloat16")',
        topic="loss-scale",
    )


def set_from_logits(loss: str, *, from_logits: bool) -> Remedy:
    """The same cross-entropy told what the output gives."""
    title = "Tell the loss that the output gives " + ("logits" if from_logits else "probabilities")
    return Remedy(
        title,
        "The loss must know whether softmax or sigmoid has been applied: applied twice it flattens every answer, never "
        "applied it takes logarithms of what is no probability.",
        f"loss = keras.losses.{_CLASSES.get(loss, 'CategoricalCrossentropy')}(from_logits={from_logits})",
        topic="loss",
    )


def output_activation(layer: Layer, activation: str | None) -> Remedy:
    """Another activation for the output layer; None: a linear one."""
    reasons = {
        None: "A linear output reaches every value; a bounded one suits targets that lie within its bounds only.",
        "sigmoid": "A single unit that says yes or no takes a sigmoid; softmax shares out 1 among several units.",
        "softplus": "Softplus is positive everywhere, as a rate has to be, and never flat for large values.",
    }
    change = f'"{activation}"' if activation else None
    return Remedy(
        f"Make the output {layer.name} {activation or 'linear'}",
        reasons[activation],
        layer_code(layer, {"activation": change}),
        topic="output-activation",
    )


def absolute_error() -> Remedy:
    """A loss that does not divide by the targets."""
    return Remedy(
        "Measure the error itself, not in per cent",
        "Where a target is near zero the smallest error is many per cent of it, and those few examples make up the "
        "loss; divide by the targets' usual size instead.",
        "loss = keras.losses.MeanAbsoluteError()  # targets divided by np.abs(y_train).mean()",
        topic="loss",
    )


def squared_error() -> Remedy:
    """A loss for values of both signs."""
    return Remedy(
        "Measure the squared error itself",
        "A logarithmic error is for amounts that are all above zero and differ by factors, as they are: targets that "
        "were standardised, or may be negative, take a squared or an absolute error.",
        'loss = "mean_squared_error"',
        topic="loss",
    )


def average_loss(run: Run) -> tuple[Remedy, ...]:
    """The mean over the examples, where a loss of the run sums over them; else nothing."""
    if not any(entry.get("reduction") == "sum" for entry in loss_entries(run)):
        return ()
    return (
        Remedy(
            "Average the loss over the examples",
            "A sum over the examples has a gradient as many times as large as their mean, and so has the step of plain "
            "descent; usual learning rates are for the mean.",
            'loss = keras.losses.MeanSquaredError(reduction="sum_over_batch_size")  # the default, of any loss',
            topic="loss",
        ),
    )


def raise_delta(spread: float) -> Remedy:
    """A Huber loss that bends where errors become rare.

    Args:
        spread: standard deviation of the targets.
    """
    return Remedy(
        f"Let the Huber loss bend at about {number(spread)}",
        "Beyond delta every error has the same gradient, delta itself, however large it is: delta is to lie where "
        "errors become outliers, about the standard deviation of the targets.",
        f"loss = keras.losses.Huber(delta={number(spread)})",
        topic="loss",
    )


def weigh_rare(share: float) -> Remedy:
    """Weights that make up for the rarity of a class.

    Args:
        share: of the examples that are of class 1.
    """
    weight = max(share, 1 - share) / min(share, 1 - share)
    rare = 1 if share < 0.5 else 0
    return Remedy(
        "Give the larger weight to the rare class",
        "Weights are there to make up for rarity: each class by the inverse of its share.",
        f"model.fit(x, y, class_weight={{{rare}: {number(weight)}, {1 - rare}: 1.0}})",
        topic="example-weights",
    )


def compare_shares() -> Remedy:
    """The loss that belongs to a softmax."""
    return Remedy(
        "Compare the shares by their cross-entropy",
        "It grows without bound where the right class gets no share, so a wrong answer is pulled hardest; the absolute "
        "error pulls all alike.",
        "loss = keras.losses.CategoricalCrossentropy()  # targets one-hot, the output with softmax",
        topic="loss",
    )


def tell_apart() -> Remedy:
    """A loss that an answer which is the same for all does not solve."""
    return Remedy(
        "Let the loss ask that different examples differ",
        "A loss that only pulls answers together is least where all are the same: give it pairs that are to lie apart, "
        "by a margin or as negatives, or stop the gradient on one side behind a predictor.",
        "loss = same * distance**2 + (1 - same) * keras.ops.maximum(margin - distance, 0.0) ** 2",
        topic="loss",
    )


def compare_yes_and_no(layer: Layer, loss: str) -> Remedy:
    """The loss that belongs to a single unit.

    Args:
        layer: the output.
        loss: the present one, its name in full.
    """
    kind = "BinaryFocalCrossentropy" if "focal" in loss else "BinaryCrossentropy"
    sigmoid = layer_code(layer, {"activation": '"sigmoid"'})
    return Remedy(
        f"Let {layer.name} end in a sigmoid and take the binary cross-entropy",
        "A single unit says yes or no: its probability is that of one of two classes, the other has the rest.",
        f"{sigmoid}\nloss = keras.losses.{kind}()",
        topic="loss",
    )


def check_sign() -> Remedy:
    """Descend on what is to become small."""
    return Remedy(
        "Check the sign of the loss",
        "Training makes the loss smaller, and this one has no least value: what should become large is to be negated, "
        "what should become small is not.",
        "loss = tf.reduce_mean(tf.square(targets - answers))  # not its negative",
        topic="loss",
    )


def keep_rivals_even() -> Remedy:
    """A game in which neither side wins for good."""
    return Remedy(
        "Keep rivals even",
        "A rival that has won gives no gradient: log(1 - D) is flat where the discriminator is sure. Let the generator "
        "minimise -log D instead, train the discriminator more slowly or less often, or smooth its labels.",
        "generator_loss = keras.losses.binary_crossentropy(keras.ops.ones_like(fake), fake, from_logits=True)",
        topic="game",
    )


def weigh_losses(weights: Mapping[str, float]) -> Remedy:
    """Weights of several losses that let all count alike.

    Args:
        weights: by the name of the output.
    """
    given = ", ".join(f'"{name}": {float(f"{weight:.1g}"):g}' for name, weight in weights.items())
    return Remedy(
        "Weigh the losses so that all count",
        "Layers that several losses share follow the one with the largest gradient. With these weights a constant "
        "answer costs the same at each output; begin there.",
        f"model.compile(optimizer, loss, loss_weights={{{given}}})",
        topic="loss-weights",
    )
