"""The dense network all remedies are tried on, in as many forms as they need."""

from __future__ import annotations

from typing import Any

import keras
from data.images import CLASSES

UNITS = 32


def momentum(rate: float = 0.02) -> keras.optimizers.Optimizer:
    return keras.optimizers.SGD(rate, momentum=0.9)


def dense_network(
    hidden: int,
    activation: Any,
    initializer: Any,
    *,
    units: int = UNITS,
    inputs: int = 64,
    bias: float = 0.0,
    normalised: bool = False,
    dropout: float = 0.0,
    **layer: Any,
) -> keras.Sequential:
    """Hidden layers of equal width and a softmax; ``layer`` goes to each hidden one (a regulariser, a constraint).

    Batch normalisation stands before the activation, with momentum 0.9.
    """
    stack: list[Any] = [keras.Input((inputs,))]
    for number in range(1, hidden + 1):
        stack.append(
            keras.layers.Dense(
                units,
                activation=None if normalised else activation,
                kernel_initializer=_fresh(initializer),
                bias_initializer=keras.initializers.Constant(bias),
                name=f"hidden_{number}",
                **layer,
            )
        )
        if normalised:
            stack.append(keras.layers.BatchNormalization(momentum=0.9, name=f"norm_{number}"))
            stack.append(keras.layers.Activation(activation, name=f"activation_{number}"))
        if dropout:
            stack.append(keras.layers.Dropout(dropout, name=f"dropout_{number}"))
    stack.append(
        keras.layers.Dense(CLASSES, activation="softmax", kernel_initializer=_fresh(initializer), name="output")
    )
    return keras.Sequential(stack)


def compiled(model: keras.Model, optimizer: keras.optimizers.Optimizer | None = None) -> keras.Model:
    model.compile(optimizer or momentum(), "sparse_categorical_crossentropy")
    return model


def _fresh(initializer: Any) -> Any:
    # An initializer that has a seed of its own gives every layer the same numbers.
    return initializer if isinstance(initializer, str) else initializer.clone()
