"""A layer's constructor call as Keras source code, with some arguments changed."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from gradscope.diagnosis.enclosing import ATTENTION, maker, own_name
from gradscope.diagnosis.evidence.layers import Layer, is_normalisation
from gradscope.model_card import LayerCard, ParentCard

__all__ = ["activation_code", "code_of_layers", "has_weights", "layer_code"]

_POSITIONAL = ("units", "filters", "kernel_size")
_LAST = ("name",)
_IN_FULL, _SHOWN = 4, 3
_ACTIVATION_LAYERS = ("ReLU", "LeakyReLU", "PReLU", "ELU", "Softmax")
_KERAS = (
    *("Dense", "EinsumDense", "Embedding", "Activation", *_ACTIVATION_LAYERS),
    *(f"Conv{axes}D{kind}" for axes in (1, 2, 3) for kind in ("", "Transpose")),
    *(f"{kind}Conv{axes}D" for axes in (1, 2) for kind in ("Depthwise", "Separable")),
    *("SimpleRNN", "LSTM", "GRU", "ConvLSTM1D", "ConvLSTM2D", "ConvLSTM3D"),
    *(f"{kind}Normalization" for kind in ("Batch", "Layer", "Group", "RMS", "Unit")),
)
"""Layers of Keras whose constructor the card's arguments suffice for; others are of the user's own, or hold layers."""
_NEEDED = {"EinsumDense": {"equation", "output_shape"}}
"""Arguments that older logs may lack and Keras insists on."""
_FUNCTIONS = (
    *("celu", "elu", "exponential", "gelu", "glu", "hard_shrink", "hard_sigmoid", "hard_silu", "hard_swish"),
    *("hard_tanh", "leaky_relu", "linear", "log_sigmoid", "log_softmax", "mish", "relu", "relu6", "selu", "sigmoid"),
    *("silu", "soft_shrink", "softmax", "softplus", "softsign", "sparse_plus", "sparse_sigmoid", "sparsemax"),
    *("squareplus", "swish", "tanh", "tanh_shrink", "threshold"),
)
"""Activations that Keras knows by name."""
_HANDED_OUT_AS = {"GroupedQueryAttention": "GroupQueryAttention"}
"""What ``keras.layers`` calls a class, where not by its name."""
_OF_ATTENTION = ("kernel_initializer", "bias_initializer")
"""Arguments of an attention that it hands on to its projections."""


def layer_code(layer: Layer, changes: Mapping[str, str | None]) -> str:
    """The call that builds the layer anew with ``changes``: source text by argument, None takes the argument away.

    Of a part of a Keras layer (a projection of an attention, a direction of a Bidirectional) it is the call that builds
    the whole. Arguments of the card that are no plain values (nested configurations) are left out. Without a card, or a
    kind of Keras on it, the call is a comment that names the layer and the changed arguments. A layer that is nothing
    but an activation becomes another one, or is to be left out.

    Example:
        >>> from gradscope.diagnosis.example import toy_run
        >>> from gradscope.diagnosis.evidence import Evidence
        >>> first = Evidence(toy_run())["layers"][0]
        >>> layer_code(first, {"kernel_initializer": '"he_normal"'})
        'keras.layers.Dense(16, activation="relu", kernel_initializer="he_normal", name="hidden_1")'
    """
    card, made_by = layer.card, maker(layer.card)
    if made_by and made_by.kind in ATTENTION:
        return _attention(made_by, changes)
    if card is None or card.kind not in _KERAS or not card.arguments.keys() >= _NEEDED.get(card.kind, set()):
        return _comment(layer.name, card.kind if card else "", changes)
    if _is_activation(card) and changes.get("activation", "") is None:
        return f"# leave out {made_by.name if made_by else layer.name}"
    kind, arguments = card.kind, _arguments(card, changes)
    if _is_activation(card) and "activation" in arguments:
        kind, arguments = "Activation", {"activation": arguments["activation"]}  # it takes nothing else
    elif kind == "Activation":
        return _comment(layer.name, kind, changes)  # Keras insists on a function, and a lambda has no name
    if not made_by:
        return _call(kind, {**arguments, "name": _source(own_name(layer.name))})
    arguments.pop("go_backwards", None)  # which way each direction goes is the Bidirectional's matter
    around = _arguments_of(made_by.arguments)
    inner = ", ".join([_call(kind, arguments), *(f"{key}={value}" for key, value in around.items())])
    return f"keras.layers.{made_by.kind}({inner}, name={_source(own_name(made_by.name))})"


def activation_code(name: str) -> str | None:
    """Source text for the activation of that name: Keras' own by it, another by the user's function; None for a lambda.

    Example:
        >>> [activation_code(name) for name in ("relu", "LeakyReLU", "my_own", "lambda")]
        ['"relu"', 'keras.layers.LeakyReLU()', 'my_own', None]
    """
    if name in _FUNCTIONS:
        return f'"{name}"'
    if name in _ACTIVATION_LAYERS:
        return f"keras.layers.{name}()"
    return name if name.isidentifier() and name not in ("lambda", "custom") else None


def code_of_layers(layers: Sequence[Layer], code: Callable[[Layer], str]) -> str:
    """The code of each layer, one below the other; of more than four that of three, and how many are left.

    The three are the first of each kind and activation, in forward order. Parts of one layer count once where their
    code is the same.
    """
    wholes: dict[tuple[str, str], Layer] = {}
    for layer in layers:
        made_by = maker(layer.card)
        wholes.setdefault((made_by.name if made_by else layer.name, code(layer)), layer)
    layers = list(wholes.values())
    if len(layers) <= _IN_FULL:
        return "\n".join(map(code, layers))
    firsts = {_form(layer): layer.name for layer in reversed(layers)}.values()
    ordered = sorted(layers, key=lambda layer: layer.name not in firsts)
    shown = {layer.name for layer in ordered[:_SHOWN]}
    lines = [code(layer) for layer in layers if layer.name in shown]
    return "\n".join([*lines, f"# … and {len(layers) - _SHOWN} more in the same way"])


def has_weights(layer: Layer) -> bool:
    """Whether the layer learns weights that an initialiser draws: not those of a normalisation or a PReLU."""
    without = layer.card is not None and (is_normalisation(layer.card) or _is_activation(layer.card))
    return (layer.learns or layer.is_recurrent) and not without


def _attention(card: ParentCard, changes: Mapping[str, str | None]) -> str:
    changes = {key: value for key, value in changes.items() if key in _OF_ATTENTION}
    kind = _HANDED_OUT_AS.get(card.kind, card.kind)
    if not card.arguments:
        return _comment(card.name, kind, changes)
    changed = {key: value for key, value in changes.items() if value is not None}
    return _call(kind, {**_arguments_of(card.arguments), **changed, "name": _source(own_name(card.name))})


def _comment(name: str, kind: str, changes: Mapping[str, str | None]) -> str:
    changed = ", ".join(f"{key}={value}" for key, value in changes.items() if value is not None)
    return f"# {name}{f' ({kind})' if kind else ''}" + (f": {changed}" if changed else "")


def _arguments(card: LayerCard, changes: Mapping[str, str | None]) -> dict[str, str]:
    arguments = _arguments_of(card.arguments)
    if card.activation and card.kind not in _ACTIVATION_LAYERS:
        own = activation_code(card.activation.name)
        if own and ("activation" not in arguments or card.activation.name not in _FUNCTIONS):
            arguments["activation"] = own
    arguments.pop("name", None)
    if arguments.get("activation") == '"linear"' and card.kind != "Activation":
        del arguments["activation"]
    for key, value in changes.items():
        arguments.pop(key, None)
        if value is not None:
            arguments[key] = value
    return arguments


def _is_activation(card: LayerCard) -> bool:
    return card.kind == "Activation" or card.kind in _ACTIVATION_LAYERS


def _arguments_of(arguments: Mapping[str, Any]) -> dict[str, str]:
    return {key: _source(value) for key, value in arguments.items() if _is_plain(value)}


def _call(kind: str, arguments: Mapping[str, str]) -> str:
    order = sorted(arguments, key=lambda key: (_rank(key), list(arguments).index(key)))
    parts = [arguments[key] if key in ("units", "filters") else f"{key}={arguments[key]}" for key in order]
    return f"keras.layers.{kind}({', '.join(parts)})"


def _form(layer: Layer) -> tuple[str, str]:
    activation = layer.card.activation if layer.card else None
    return layer.card.kind if layer.card else "", activation.name if activation else ""


def _rank(key: str) -> int:
    if key in _POSITIONAL:
        return _POSITIONAL.index(key)
    return len(_POSITIONAL) + 2 * (key in _LAST) + (key != "activation")


def _is_plain(value: Any) -> bool:
    if isinstance(value, (list, tuple)):
        return all(_is_plain(entry) for entry in value)
    return value is None or isinstance(value, (bool, int, float, str))


def _source(value: Any) -> str:
    if isinstance(value, str):
        return '"' + value.replace("\\", "\\\\").replace('"', '\\"') + '"'
    if isinstance(value, (list, tuple)):
        return "(" + ", ".join(_source(entry) for entry in value) + ("," if len(value) == 1 else "") + ")"
    return repr(value)
