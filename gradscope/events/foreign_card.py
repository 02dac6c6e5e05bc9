"""What can be told of a model from another tool's log: layers from the tensors' names, fan-in from their sizes."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt

from gradscope.events.keras_config import keras_layers
from gradscope.model_card import LayerCard, ModelCard, VariableCard
from gradscope.run import TensorKey
from gradscope.vocabulary import STATISTIC_NAMES

__all__ = ["model_card", "owning_layers", "role_of"]

_KERNEL = re.compile(r"(?:\w*kernel|weights?|w)(\d*)", re.IGNORECASE)
_BIAS = re.compile(r"(?:bias(?:es)?|b)(\d*)", re.IGNORECASE)
_NORMALISATION = re.compile(r"norm|bn\d*$", re.IGNORECASE)
_PER_VARIABLE = ("weight", "gradient", "clipped_gradient", "update")
_PER_LAYER = ("activation", "activation_gradient", "preactivation", "preactivation_gradient")


def role_of(name: str) -> str:
    """``kernel`` or ``bias`` where the last part of a variable's name says so in any tool's words, else that part.

    Example:
        >>> [role_of(name) for name in ("dense/kernel", "fc1.weight", "W1", "b", "batch_norm/gamma")]
        ['kernel', 'kernel', 'kernel', 'bias', 'gamma']
    """
    scope, leaf = _split(name)
    if _KERNEL.fullmatch(leaf):
        return "gamma" if leaf.lower() == "weight" and _NORMALISATION.search(scope) else "kernel"
    return "bias" if _BIAS.fullmatch(leaf) else leaf


def owning_layers(variables: Sequence[str]) -> dict[str, str]:
    """The layer of each variable: its scope; without one, a bias belongs to the kernel with the same number.

    Example:
        >>> owning_layers(["W", "b", "W1", "b1", "fc.weight", "out/bias"])
        {'W': 'W', 'b': 'W', 'W1': 'W1', 'b1': 'W1', 'fc.weight': 'fc', 'out/bias': 'out'}
    """
    kernels = {found[1]: name for name in variables if (found := _KERNEL.fullmatch(name))}
    layers = {}
    for name in variables:
        scope, leaf = _split(name)
        bias = _BIAS.fullmatch(leaf)
        layers[name] = scope or (kernels.get(bias[1], name) if bias else name)
    return layers


def model_card(tensors: Sequence[TensorKey], values: npt.NDArray[np.float32], keras_model: bytes) -> ModelCard:
    """Layers in the order they were logged; with what Keras' callback wrote of them, if it did.

    Args:
        tensors: what was logged.
        values: ``[steps, tensors, statistics]``; their counts give the fan-in.
        keras_model: the model's configuration, JSON; may be empty or damaged.
    """
    variables: dict[str, VariableCard] = {}
    for key in tensors:
        if key.kind in _PER_VARIABLE and key.name not in variables:
            variables[key.name] = VariableCard(key.name, key.layer, role_of(key.name), ())
    owners = dict.fromkeys(card.layer for card in variables.values())
    names = list(dict.fromkeys(key.layer for key in tensors if key.kind in _PER_LAYER) or owners)
    names += [name for name in owners if name not in names]
    sizes: dict[tuple[str, str], list[float]] = {}
    for name, size in _sizes(tensors, values).items():
        sizes.setdefault((variables[name].layer, variables[name].role), []).append(size)
    known = keras_layers(keras_model, names)
    layers = []
    for depth, name in enumerate(names):
        kernel, bias = sizes.get((name, "kernel"), []), sizes.get((name, "bias"), [])
        fan_in = _whole(kernel, bias)
        units = int(bias[0]) if fan_in else None
        found = known.get(name)
        layers.append(
            LayerCard(
                name,
                found.kind if found else "",
                depth,
                activation=found.activation if found else None,
                fan_in=fan_in,
                fan_out=units,
                units=units,
                is_output=depth == len(names) - 1,
                arguments=found.arguments if found else {},
            )
        )
    return ModelCard(tuple(layers), tuple(variables.values()), {})


def _split(name: str) -> tuple[str, str]:
    parts = re.fullmatch(r"(?:(.+)[/.])?([^/.]+)", name)
    return (parts[1] or "", parts[2]) if parts else ("", name)


def _sizes(tensors: Sequence[TensorKey], values: npt.NDArray[np.float32]) -> Mapping[str, float]:
    counts = values[:, :, STATISTIC_NAMES.index("count")]
    found = {}
    for row, key in enumerate(tensors):
        known = counts[np.isfinite(counts[:, row]), row]
        if key.kind in _PER_VARIABLE and len(known):
            found[key.name] = float(known[0])
    return found


def _whole(kernel: Sequence[float], bias: Sequence[float]) -> int | None:
    """Entries of the kernel per unit, if there is one kernel and one bias and they fit."""
    if len(kernel) != 1 or len(bias) != 1 or not bias[0] or kernel[0] % bias[0]:
        return None
    return int(kernel[0] // bias[0])
