"""A trunk that has learned one task is put to another: frozen, then freed."""

from __future__ import annotations

from typing import Any

import numpy as np

from zoo import data, skill
from zoo.lazy import keras
from zoo.nets import cross_entropy
from zoo.program import Family
from zoo.task import Fit

family = Family("retraining", half="think")


def _trunk(seed: int) -> tuple[Any, np.ndarray, np.ndarray]:
    """A small convolutional trunk that has learned the digits 0 to 4; pictures and classes of the digits 5 to 9."""
    keras.utils.set_random_seed(seed)
    x, y = data.digits()
    x = x.reshape(-1, 8, 8, 1)
    inputs = keras.Input((8, 8, 1))
    maps = keras.layers.Conv2D(16, 3, padding="same", activation="relu", name="conv_1")(inputs)
    maps = keras.layers.MaxPooling2D(name="pool")(maps)
    maps = keras.layers.Conv2D(24, 3, activation="relu", name="conv_2")(maps)
    trunk = keras.Model(inputs, keras.layers.Flatten(name="flat")(maps), name="trunk")
    first = keras.Sequential([trunk, keras.layers.Dense(5, name="old_top")])
    first.compile(keras.optimizers.Adam(3e-3), cross_entropy())
    first.fit(x[y < 5], y[y < 5], epochs=3, verbose=0)
    return trunk, x[y >= 5], y[y >= 5] - 5


def _new_top(trunk: Any, *, activation: Any = None) -> Any:
    inputs = keras.Input((8, 8, 1))
    hidden = keras.layers.Dense(32, "relu", name="new_1")(trunk(inputs))
    outputs = keras.layers.Dense(5, name="new_2")(hidden)
    return keras.Model(inputs, keras.layers.Activation(activation or "linear", name="output")(outputs))


def _free_the_last(seed: int, *, free: int = 3) -> Fit:
    """All layers are frozen but the last few; the last of all is the softmax."""
    trunk, x, y = _trunk(seed)
    model = _new_top(trunk, activation="softmax")
    for layer in model.layers[:-free]:
        layer.trainable = False
    loss = "sparse_categorical_crossentropy"
    return Fit(model, x, y, keras.optimizers.Adam(3e-3), loss, skill.classes, steps=200)


def _other_pixels(seed: int, *, scale: float = 1.0) -> Fit:
    """The trunk stays frozen and sees the new pictures in the range of the old ones."""
    trunk, x, y = _trunk(seed)
    trunk.trainable = False
    model = _new_top(trunk)
    optimizer = keras.optimizers.SGD(0.03, momentum=0.9)
    return Fit(model, x * scale, y, optimizer, cross_entropy(), skill.classes, steps=250)


def _freed_later(seed: int, *, later: float = 2e-4) -> Fit:
    """From the sixth round on another rate holds, for the trunk to be tuned finely."""
    trunk, x, y = _trunk(seed)
    model = _new_top(trunk)
    schedule = keras.callbacks.LearningRateScheduler(lambda epoch, _: 2e-3 if epoch < 6 else later)
    return Fit(
        model, x, y, keras.optimizers.Adam(2e-3), cross_entropy(), skill.classes, steps=340,
        fit_options={"callbacks": [schedule]},
    )  # fmt: skip


def _thawed(seed: int, *, top: float = 1.0) -> Fit:
    """The new top begins large or small beside a trunk that has learned."""
    trunk, x, y = _trunk(seed)
    inputs = keras.Input((8, 8, 1))
    start = keras.initializers.VarianceScaling(top)
    hidden = keras.layers.Dense(32, "relu", kernel_initializer=start, name="new_1")(trunk(inputs))
    hidden = keras.layers.Dense(32, "relu", kernel_initializer=start, name="new_2")(hidden)
    model = keras.Model(inputs, keras.layers.Dense(5, kernel_initializer=start, name="output")(hidden))
    optimizer = keras.optimizers.SGD(0.01, momentum=0.9, weight_decay=1e-4)
    return Fit(model, x, y, optimizer, cross_entropy(), skill.classes, steps=250)


family.pair(
    "free-the-last",
    _free_the_last,
    sickness="the-last-layer-is-the-softmax",
    sick={"free": 1},
    causes=["unchanged-weights", "omitted-variable"],
    layers=("new_1", "new_2", "conv_1", "conv_2", "trunk"),
    level=0.9,
)
family.pair(
    "other-pixels",
    _other_pixels,
    sickness="pixels-to-255-for-a-frozen-trunk",
    sick={"scale": 255.0},
    causes=["badly-scaled-input"],
    level=0.9,
)
family.pair(
    "freed-later",
    _freed_later,
    sickness="rate-of-one-half-from-the-sixth-round",
    sick={"later": 0.5},
    causes=["learning-rate-too-high", "update-ratio-out-of-range:too-large", "diverging-loss"],
    level=0.9,
)
family.pair(
    "thawed",
    _thawed,
    sickness="new-top-a-thousandth",
    sick={"top": 1e-6},
    causes=["gain-mismatch:too-small", "vanishing-gradient"],
    layers=("new_1", "new_2", "output"),
    level=0.85,
)
