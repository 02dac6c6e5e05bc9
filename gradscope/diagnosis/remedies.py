"""What to change, as ready Keras code for the layer that is ill: one function per remedy."""

from __future__ import annotations

from collections.abc import Sequence
from math import floor, isfinite, log10

from gradscope.diagnosis.evidence.layers import Layer
from gradscope.diagnosis.layer_code import layer_code
from gradscope.diagnosis.verdict import Remedy
from gradscope.diagnosis.wording import among, number

__all__ = [
    "check_input",
    "clip_gradients",
    "initialise",
    "lower_learning_rate",
    "normalise_batches",
    "replace_activation",
    "scale_input",
    "set_learning_rate",
    "skip_connections",
    "stable_loss",
    "warm_up",
]

_HEALTHY_RATIO = 1e-3
_LARGEST_RAISE = 100  # tiny updates may have other reasons than the learning rate: go in steps
_HE = ("rectifier", "leaky", "half_saturating")


def initialise(layers: Sequence[Layer], *, positive_bias: bool = True) -> Remedy:
    """Weights drawn for the layer's fan-in and activation: He before ReLU and its kin, LeCun for SELU, else Glorot.

    Args:
        layers: the layers to change, at least one, in forward order.
        positive_bias: also start the biases of ReLU layers at +0.1, so that its units start out switched on.
    """
    chosen = {layer.name: _initialiser(layer) for layer in layers}
    kinds = list(dict.fromkeys(title for title, _ in chosen.values()))
    lines = []
    for layer in layers:
        changes = {"kernel_initializer": f'"{chosen[layer.name][1]}"'}
        if positive_bias and layer.shape in ("rectifier", "") and not layer.is_output:
            changes["bias_initializer"] = "keras.initializers.Constant(0.1)"
        lines.append(layer_code(layer, changes))
    bias = ", biases at +0.1" if any("Constant" in line for line in lines) else ""
    return Remedy(
        f"Initialise {among([layer.name for layer in layers])} with {' and '.join(kinds)}{bias}",
        "Weights whose variance is set by the fan-in and the activation keep the size of signal and gradient from "
        "layer to layer" + ("; a positive bias starts ReLU units switched on." if bias else "."),
        "\n".join(lines),
    )


def replace_activation(layers: Sequence[Layer], activation: str = "leaky_relu") -> Remedy:
    """Another activation: one that is never flat (``leaky_relu``, ``elu``) instead of a dying or saturating one."""
    reason = {
        "leaky_relu": "Leaky ReLU passes some gradient where ReLU passes none, so a unit that is off can recover.",
        "elu": "ELU does not saturate for positive arguments and keeps a gradient for moderately negative ones.",
        "relu": "ReLU passes the gradient of active units unchanged, where sigmoid and tanh shrink it at every layer.",
    }[activation]
    code = "\n".join(layer_code(layer, {"activation": f'"{activation}"'}) for layer in layers)
    return Remedy(f"Replace the activation of {among([layer.name for layer in layers])} by {activation}", reason, code)


def normalise_batches(layers: Sequence[Layer]) -> Remedy:
    """Batch normalisation between the layer's product and its activation, momentum 0.9."""
    lines = []
    for layer in layers:
        name = layer.card.activation.name if layer.card and layer.card.activation else "relu"
        changes = {"activation": None, "use_bias": "False"}
        lines += [layer_code(layer, changes), "keras.layers.BatchNormalization(momentum=0.9)"]
        if name != "linear":
            lines.append(f'keras.layers.Activation("{name}")')
    return Remedy(
        f"Normalise the batches behind {among([layer.name for layer in layers])}",
        "Batch normalisation brings each layer's signal back to unit scale, so the gradient neither shrinks nor grows.",
        "\n".join(lines),
    )


def skip_connections() -> Remedy:
    """A path around groups of layers along which the gradient flows unchanged."""
    return Remedy(
        "Add skip connections",
        "Along an identity path the gradient reaches the first layers undiminished, whatever the depth.",
        "x = keras.layers.Add()([x, block(x)])  # block: two or three layers that keep the shape of x",
    )


def clip_gradients(norm: float = 1.0) -> Remedy:
    """Clip the global gradient norm.

    Args:
        norm: the norm to clip at; best the run's own healthy median. 1 is used if it is not finite and positive.
    """
    limit = number(norm) if isfinite(norm) and norm > 0 else "1.0"
    return Remedy(
        f"Clip the global gradient norm at {limit}",
        "Clipping by the global norm keeps the gradient's direction and stops a single step from ruining the weights.",
        f"optimizer = keras.optimizers.Adam(global_clipnorm={limit})",
    )


def set_learning_rate(learning_rate: float, ratio: float) -> Remedy:
    """A learning rate that brings ‖update‖ / ‖weight‖ to about 1e-3, but raises it a hundredfold at most.

    Args:
        learning_rate: the present one; if it is not finite and positive the remedy names the factor only.
        ratio: the measured update-to-weight ratio, > 0.
    """
    factor = min(_HEALTHY_RATIO / ratio, _LARGEST_RAISE) if isfinite(ratio) and ratio > 0 else 0.1
    way = "Lower" if factor < 1 else "Raise"
    reason = f"The measured update-to-weight ratio is {number(ratio)}; about 1e-3 is healthy."
    if not (isfinite(learning_rate) and learning_rate > 0):
        return Remedy(f"{way} the learning rate by a factor of {_one_digit(max(factor, 1 / factor)):g}", reason)
    new = f"{_one_digit(learning_rate * factor):g}"
    return Remedy(
        f"{way} the learning rate from {learning_rate:.3g} to about {new}", reason, f"optimizer.learning_rate = {new}"
    )


def lower_learning_rate(learning_rate: float) -> Remedy:
    """A tenth of the present learning rate; if it is not finite and positive the remedy names the factor only."""
    reason = "Units die when one large step drives their weights so low that no example switches them on again."
    if not (isfinite(learning_rate) and learning_rate > 0):
        return Remedy("Lower the learning rate by a factor of 10", reason)
    new = f"{_one_digit(learning_rate / 10):g}"
    return Remedy(
        f"Lower the learning rate from {learning_rate:.3g} to about {new}", reason, f"optimizer.learning_rate = {new}"
    )


def warm_up(learning_rate: float) -> Remedy:
    """A linear rise of the learning rate over the first steps, then exponential decay."""
    rate = f"{learning_rate:.3g}" if isfinite(learning_rate) and learning_rate > 0 else "1e-3"
    return Remedy(
        "Warm the learning rate up",
        "The first steps are the most fragile: the optimizer's averages are not settled yet.",
        f"learning_rate = keras.optimizers.schedules.CosineDecay(\n"
        f"    0.0, decay_steps=100_000, warmup_target={rate}, warmup_steps=1_000\n)",
    )


def scale_input() -> Remedy:
    """Inputs of zero mean and unit variance."""
    return Remedy(
        "Standardise the input",
        "Inputs far from unit scale push the first layer into saturation, or make its signal vanish or explode.",
        "normalise = keras.layers.Normalization()\nnormalise.adapt(x_train)  # then: first layer of the model",
    )


def check_input() -> Remedy:
    """Find the examples that are not finite."""
    return Remedy(
        "Remove the examples that are not finite",
        "The input itself holds NaN or infinite values; no setting of the network can mend that.",
        "bad = ~np.isfinite(x_train).reshape(len(x_train), -1).all(axis=1)\n"
        "x_train, y_train = x_train[~bad], y_train[~bad]",
    )


def stable_loss() -> Remedy:
    """Compute the loss from logits, so that no logarithm of zero arises."""
    return Remedy(
        "Compute the loss from logits",
        "log(softmax(z)) computed in one go stays finite where log of a rounded probability is -inf; guard your own "
        "logarithms, divisions and square roots with a small epsilon.",
        "# linear output layer, and:\nloss = keras.losses.CategoricalCrossentropy(from_logits=True)",
    )


def _initialiser(layer: Layer) -> tuple[str, str]:
    name = layer.card.activation.name if layer.card and layer.card.activation else ""
    if name == "selu":
        return "LeCun normal", "lecun_normal"
    if layer.shape in _HE or (not layer.shape and not layer.is_output):
        return "He normal", "he_normal"
    return "Glorot uniform", "glorot_uniform"


def _one_digit(value: float) -> float:
    return round(value, -floor(log10(value))) if value > 0 else value
