"""Networks that several families use. Layers are named ``hidden_1``, ``hidden_2``, …, ``output``."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from zoo.lazy import keras

__all__ = ["cross_entropy", "dense_stack", "normal"]


def normal(std: float) -> Any:
    """Weights of that standard deviation, the same for any width: the usual way to get it wrong."""
    return keras.initializers.RandomNormal(stddev=std)


def cross_entropy(**options: Any) -> Any:
    """Of class numbers against logits."""
    return keras.losses.SparseCategoricalCrossentropy(**{"from_logits": True, **options})


def dense_stack(
    inputs: Any,
    width: int,
    depth: int,
    *,
    between: Callable[[int], list[Any]] = lambda _number: [],
    **options: Any,
) -> Any:
    """``depth`` dense layers of that width, each followed by the layers that ``between(number)`` makes."""
    x = inputs
    for number in range(1, depth + 1):
        x = keras.layers.Dense(width, name=f"hidden_{number}", **options)(x)
        for layer in between(number):
            x = layer(x)
    return x
