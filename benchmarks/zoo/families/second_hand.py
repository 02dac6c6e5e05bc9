"""Trunks that were trained on something else, frozen and set free again."""

from __future__ import annotations

from typing import Any

import numpy as np

from zoo import data, skill
from zoo.lazy import keras, tf
from zoo.nets import cross_entropy
from zoo.program import Family
from zoo.task import Fit, Loop

family = Family("second-hand", half="think")


def _trunk(seed: int, classes: Any) -> Any:
    """Two convolutions and a dense layer that have learned ``classes`` of the digits."""
    keras.utils.set_random_seed(seed)
    x, y = data.digits()
    trunk = keras.Sequential([
        keras.Input((8, 8, 1)),
        keras.layers.Conv2D(8, 3, strides=2, activation="relu", padding="same", name="trunk_1"),
        keras.layers.Conv2D(12, 3, strides=2, activation="relu", padding="same", name="trunk_2"),
        keras.layers.Flatten(name="flat"), keras.layers.Dense(16, "relu", name="trunk_3"),
    ], name="trunk")  # fmt: skip
    old = keras.Sequential([trunk, keras.layers.Dense(int(classes(y).max()) + 1)])
    old.compile(keras.optimizers.Adam(3e-3), cross_entropy())
    old.fit(x.reshape(-1, 8, 8, 1), classes(y), batch_size=64, epochs=6, verbose=0)
    return trunk


def _set_free(seed: int, *, listed_late: bool = True) -> Loop:
    """The trunk knows odd from even; the head is told ten digits, the trunk is set free at once."""
    trunk = _trunk(seed, lambda y: y % 2)
    trunk.trainable = False
    x, y = data.digits()
    x = x.reshape(-1, 8, 8, 1)
    inputs = keras.Input((8, 8, 1))
    model = keras.Model(inputs, keras.layers.Dense(10, name="head")(trunk(inputs)))
    variables = model.trainable_variables
    trunk.trainable = True
    if listed_late:
        variables = model.trainable_variables
    entropy, optimizer = cross_entropy(), keras.optimizers.Adam(2e-3)

    def batches(draw: np.random.Generator) -> tuple[Any, ...]:
        rows = draw.integers(0, len(x), 32)
        return x[rows], y[rows]

    def forward(x: Any, y: Any) -> Any:
        return entropy(y, model(x, training=True))

    def step(x: Any, y: Any) -> Any:
        with tf.GradientTape() as tape:
            loss = forward(x, y)
        optimizer.apply_gradients(zip(tape.gradient(loss, variables), variables, strict=True))
        return loss

    return Loop(
        model, optimizer, batches, forward, lambda: skill.classes(y, model(x).numpy()), steps=260, seed=seed, step=step
    )


def _head(seed: int, *, rate: float = 0.05) -> Fit:
    """The trunk knows 0 to 4 and stays as it is; the head is told 5 to 9 and is soon done."""
    trunk = _trunk(seed, lambda y: np.where(y < 5, y, 5))
    trunk.trainable = False
    x, y = data.digits()
    new = y >= 5
    inputs = keras.Input((8, 8, 1))
    hidden = keras.layers.Dense(24, "relu", name="head_1")(trunk(inputs, training=False))
    model = keras.Model(inputs, keras.layers.Dense(5, "softmax", name="head_2")(hidden))
    optimizer = keras.optimizers.SGD(rate, momentum=0.9)
    loss = "sparse_categorical_crossentropy"
    x = x.reshape(-1, 8, 8, 1)[new]
    return Fit(model, x, y[new] - 5, optimizer, loss, skill.classes, steps=320, batch_size=32)


family.pair(
    "set-free",
    _set_free,
    sickness="variables-listed-before-the-trunk-was-free",
    sick={"listed_late": False},
    causes=["omitted-variable", "unchanged-weights"],
    layers=("trunk", "trunk_1", "trunk_2", "trunk_3"),
    level=0.8,
)
family.pair(
    "head",
    _head,
    sickness="rate-of-5",
    sick={"rate": 5.0},
    causes=["learning-rate-too-high", "update-ratio-out-of-range:too-large"],
    layers=("head_1", "head_2"),
    level=0.4,
)
