"""Remedies at the initial weights."""

from __future__ import annotations

from collections.abc import Sequence

from gradscope.diagnosis.evidence.layers import Layer, is_normalisation
from gradscope.diagnosis.layer_code import code_of_layers, has_weights, layer_code
from gradscope.diagnosis.verdict import Remedy
from gradscope.diagnosis.wording import among
from gradscope.run import Run

__all__ = ["initialise", "initialise_others", "initialise_recurrent", "is_initialised"]

_KEEPS_SIZE = (
    "Weights whose variance is set by the fan-in and the activation keep the size of signal and gradient from layer to "
    "layer"
)
_HE = ("rectifier", "leaky", "half_saturating")
_GLOROT = "glorot_uniform"
_FAMILIES = {
    "he_normal": ("HeNormal", "HeUniform"),
    "lecun_normal": ("LecunNormal", "LecunUniform"),
    _GLOROT: ("GlorotUniform", "GlorotNormal"),
    "uniform": ("RandomUniform",),
}
"""Initialisers that draw weights of the same variance."""
_ABOUT_ONE = ("LecunNormal", "LecunUniform", "Orthogonal", "OrthogonalInitializer")
"""They keep the scale of a signal through linear layers, and through tanh around zero, as Glorot's do."""
_KERNELS = ("kernel", "embeddings", "depthwise_kernel", "pointwise_kernel")


def initialise(layers: Sequence[Layer], *, positive_bias: bool = True) -> Remedy:
    """Weights drawn for the layer's fan-in and activation: He before ReLU and its kin, LeCun for SELU, else Glorot.

    With fan-in n and fan-out m the variance of a weight is 2/n (He), 1/n (LeCun) or 2/(n + m) (Glorot).

    Args:
        layers: the layers to change, at least one, in forward order. Those without weights of their own are left out
            where others have some.
        positive_bias: also start the biases of ReLU layers at +0.1, so that its units start out switched on.
    """
    own = [layer for layer in layers if has_weights(layer)]
    if not own and all(layer.card for layer in layers):
        return _initialise_before(layers)
    layers = own or layers
    changes = {layer.name: _changes(layer, positive_bias=positive_bias) for layer in layers}
    kinds = list(dict.fromkeys(_initialiser(layer)[0] for layer in layers))
    bias = ", biases at +0.1" if any("bias_initializer" in change for change in changes.values()) else ""
    return Remedy(
        f"Initialise {among([layer.name for layer in layers])} with {among(kinds)}{bias}",
        _KEEPS_SIZE + ("; a positive bias starts ReLU units switched on." if bias else "."),
        code_of_layers(layers, lambda layer: layer_code(layer, changes[layer.name])),
        topic="initial-weights",
    )


def initialise_others(layers: Sequence[Layer], run: Run, *, positive_bias: bool = True) -> tuple[Remedy, ...]:
    """`initialise` for those of the layers that do not begin so already; nothing where all do.

    Normalisations are left out: what they begin with is right whatever feeds them.
    """
    drawn = [layer for layer in layers if not (layer.card and is_normalisation(layer.card))]
    others = [layer for layer in drawn if not is_initialised(layer, run)]
    return (initialise(others, positive_bias=positive_bias),) if others else ()


def _initialise_before(layers: Sequence[Layer]) -> Remedy:
    """The same for layers without weights, activations say: the weights are those of what feeds them."""
    names, (kind, initialiser) = among([layer.name for layer in layers]), _initialiser(layers[0])
    return Remedy(
        f"Initialise what feeds {names} with {kind}",
        f"{_KEEPS_SIZE}.",
        f'# the layer in front of {names}: kernel_initializer="{initialiser}"',
        topic="initial-weights",
    )


def is_initialised(layer: Layer, run: Run) -> bool:
    """Whether the layer's kernel, or that of what feeds it, begins with the variance that `initialise` proposes."""
    owner = layer.name
    if layer.card and not has_weights(layer) and not layer.frozen and len(layer.card.inbound or ()) == 1:
        owner = (layer.card.inbound or ("",))[0]
    drawn = [card.initializer for card in run.model.variables if card.layer == owner and card.role in _KERNELS]
    proposed = _initialiser(layer)[1]
    good = _FAMILIES[proposed]
    if proposed == _GLOROT and _is_linear_at_zero(layer):
        good = (*good, *_ABOUT_ONE)
    return bool(drawn) and all(name in good for name in drawn)


def initialise_recurrent(layers: Sequence[Layer]) -> Remedy:
    """Orthogonal weights for what a recurrent layer makes of its own state."""
    return Remedy(
        f"Initialise the recurrent weights of {among([layer.name for layer in layers])} orthogonally",
        "An orthogonal matrix keeps the length of the state and of its gradient, however many steps the sequence has.",
        code_of_layers(layers, lambda layer: layer_code(layer, {"recurrent_initializer": '"orthogonal"'})),
        topic="recurrent-weights",
    )


def _changes(layer: Layer, *, positive_bias: bool) -> dict[str, str | None]:
    initialiser = f'"{_initialiser(layer)[1]}"'
    kind = layer.card.kind if layer.card else ""
    if kind == "Embedding":
        return {"embeddings_initializer": initialiser}
    changes: dict[str, str | None] = dict.fromkeys(_arguments(kind), initialiser)
    if positive_bias and layer.shape in ("rectifier", "") and not (layer.is_output or layer.is_recurrent):
        changes["bias_initializer"] = "keras.initializers.Constant(0.1)"
    return changes


def _arguments(kind: str) -> tuple[str, ...]:
    """What Keras calls the initialisers of the kernels of such a layer."""
    if kind.startswith("Separable"):
        return "depthwise_initializer", "pointwise_initializer"
    return ("depthwise_initializer",) if kind.startswith("Depthwise") else ("kernel_initializer",)


def _is_linear_at_zero(layer: Layer) -> bool:
    return layer.is_recurrent or layer.activation == "tanh" or layer.shape == "linear"


def _initialiser(layer: Layer) -> tuple[str, str]:
    if layer.card is not None and layer.card.kind == "Embedding":
        return "uniform numbers", "uniform"
    if layer.activation == "selu":
        return "LeCun normal", "lecun_normal"
    if layer.shape in _HE or not (layer.shape or layer.is_output or layer.is_recurrent):
        return "He normal", "he_normal"
    return "Glorot uniform", "glorot_uniform"
