"""A layer's constructor call as Keras source code, with some arguments changed."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from gradscope.diagnosis.evidence.layers import Layer, is_normalisation

__all__ = ["code_of_layers", "has_weights", "layer_code"]

_POSITIONAL = ("units", "filters", "kernel_size")
_LAST = ("name",)
_IN_FULL, _SHOWN = 4, 3


def layer_code(layer: Layer, changes: Mapping[str, str | None]) -> str:
    """The call that builds the layer anew with ``changes``: source text by argument, None takes the argument away.

    Arguments of the card that are no plain values (nested configurations) are left out. Without a card, or a kind
    on it, the call is a comment that names the layer and the changed arguments.

    Example:
        >>> from gradscope.diagnosis.example import toy_run
        >>> from gradscope.diagnosis.evidence import Evidence
        >>> first = Evidence(toy_run())["layers"][0]
        >>> layer_code(first, {"kernel_initializer": '"he_normal"'})
        'keras.layers.Dense(16, activation="relu", kernel_initializer="he_normal", name="hidden_1")'
    """
    changed = {key: value for key, value in changes.items() if value is not None}
    if layer.card is None or not layer.card.kind:
        return f"# {layer.name}: " + ", ".join(f"{key}={value}" for key, value in changed.items())
    arguments = {key: _source(value) for key, value in layer.card.arguments.items() if _is_plain(value)}
    activation = layer.card.activation
    if activation and activation.name.isidentifier() and activation.name not in ("linear", "custom"):
        arguments.setdefault("activation", f'"{activation.name}"')
    arguments.pop("name", None)
    if arguments.get("activation") == '"linear"':
        del arguments["activation"]
    for key, value in changes.items():
        arguments.pop(key, None)
        if value is not None:
            arguments[key] = value
    arguments["name"] = _source(layer.name.rpartition("/")[2])
    order = sorted(arguments, key=lambda key: (_rank(key), list(arguments).index(key)))
    parts = [arguments[key] if key in ("units", "filters") else f"{key}={arguments[key]}" for key in order]
    return f"keras.layers.{layer.card.kind}({', '.join(parts)})"


def code_of_layers(layers: Sequence[Layer], code: Callable[[Layer], str]) -> str:
    """The code of each layer, one below the other; of more than four that of three, and how many are left.

    The three are the first of each kind and activation, in forward order.
    """
    if len(layers) <= _IN_FULL:
        return "\n".join(map(code, layers))
    firsts = {_form(layer): layer.name for layer in reversed(layers)}.values()
    ordered = sorted(layers, key=lambda layer: layer.name not in firsts)
    shown = {layer.name for layer in ordered[:_SHOWN]}
    lines = [code(layer) for layer in layers if layer.name in shown]
    return "\n".join([*lines, f"# … and {len(layers) - _SHOWN} more in the same way"])


def has_weights(layer: Layer) -> bool:
    """Whether the layer learns weights that an initialiser draws, as those of a normalisation are not."""
    return (layer.learns or layer.is_recurrent) and not (layer.card and is_normalisation(layer.card))


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
