"""Kind and activation of layers, from the model configuration that Keras' TensorBoard callback logs."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from typing import Any

from gradscope.model_card import ActivationCard, LayerCard

__all__ = ["keras_layers"]

_DEEPEST = 20
_ARGUMENTS = ("units", "filters", "kernel_size")
_SHAPES = {
    "linear": "linear",
    "relu": "rectifier",
    "relu6": "rectifier",
    **dict.fromkeys(("sigmoid", "tanh", "softsign", "hard_sigmoid", "hard_tanh"), "bounded"),
    **dict.fromkeys(("elu", "selu", "gelu", "silu", "swish", "softplus", "mish", "celu"), "half_saturating"),
    "leaky_relu": "leaky",
    "softmax": "joint",
}


def keras_layers(model: bytes, names: Sequence[str]) -> dict[str, LayerCard]:
    """Cards with kind and activation for those of ``names`` whose last part is a layer of the model.

    Args:
        model: JSON as ``model.to_json()`` gives it; what is empty, damaged or of another make gives no card.
        names: layers as the tags name them: ``sequential/dense``.
    """
    try:
        found = dict(_layers(json.loads(model), 0)) if model else {}
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
        return {}
    return {name: found[leaf] for name in names if (leaf := name.rpartition("/")[2]) in found}


def _layers(entry: Any, depth: int) -> Iterator[tuple[str, LayerCard]]:
    config = entry.get("config", {}) if isinstance(entry, dict) else {}
    if not isinstance(config, dict) or depth > _DEEPEST:
        return
    name, kind = config.get("name"), entry.get("class_name")
    if isinstance(name, str) and isinstance(kind, str) and "layers" not in config:
        arguments = {key: config[key] for key in _ARGUMENTS if key in config}
        yield name, LayerCard(name, kind, activation=_activation(config.get("activation")), arguments=arguments)
    for inner in config.get("layers", ()):
        yield from _layers(inner, depth + 1)


def _activation(name: Any) -> ActivationCard | None:
    return ActivationCard(name, _SHAPES[name]) if isinstance(name, str) and name in _SHAPES else None
