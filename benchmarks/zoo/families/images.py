"""Small pictures and convolutions: schedules, dropout, normalisation, a hole in the data."""

from __future__ import annotations

from typing import Any

import numpy as np

from zoo import data, skill
from zoo.lazy import keras
from zoo.nets import cross_entropy
from zoo.program import Family
from zoo.task import Fit

family = Family("images", half="think")


def _convolutions(inputs: Any, widths: tuple[int, ...], **options: Any) -> Any:
    x = inputs
    for number, width in enumerate(widths, 1):
        x = keras.layers.Conv2D(width, 3, padding="same", name=f"conv_{number}", **options)(x)
    return x


def _plain(seed: int, *, weights: str = "he_normal") -> Fit:
    """Eight convolutions without any normalisation."""
    keras.utils.set_random_seed(seed)
    x, y = data.bars(seed, side=10)
    inputs = keras.Input(x.shape[1:])
    maps = _convolutions(inputs, (12,) * 8, activation="relu", kernel_initializer=weights)
    output = keras.layers.Dense(4, name="output")(keras.layers.GlobalMaxPooling2D()(maps))
    optimizer = keras.optimizers.SGD(0.01, momentum=0.9, nesterov=True)
    return Fit(keras.Model(inputs, output), x, y, optimizer, cross_entropy(), skill.classes, steps=240)


def _on_plateau(seed: int, *, mode: str = "min") -> Fit:
    keras.utils.set_random_seed(seed)
    x, y = data.digits()
    x = x.reshape(-1, 8, 8, 1)[:960]
    inputs = keras.Input(x.shape[1:])
    maps = _convolutions(inputs, (8, 16), activation="relu")
    hidden = keras.layers.Dense(32, "relu", name="hidden")(keras.layers.Flatten()(maps))
    output = keras.layers.Dense(10, name="output")(hidden)
    watch = keras.callbacks.ReduceLROnPlateau(monitor="loss", mode=mode, patience=1, factor=0.1)
    return Fit(
        keras.Model(inputs, output), x, y[:960], keras.optimizers.RMSprop(3e-4), cross_entropy(), skill.classes,
        steps=300, batch_size=64, fit_options={"callbacks": [watch]},
    )  # fmt: skip


def _dropped(seed: int, *, share: float = 0.5) -> Fit:
    """AdamW on a cosine, behind heavy dropout."""
    keras.utils.set_random_seed(seed)
    x, y = data.digits()
    x = x.reshape(-1, 8, 8, 1)
    inputs = keras.Input(x.shape[1:])
    hidden = keras.layers.Flatten()(_convolutions(inputs, (12,), activation="relu", strides=2))
    for number in (1, 2):
        hidden = keras.layers.Dense(64, "relu", name=f"hidden_{number}")(hidden)
        hidden = keras.layers.Dropout(share, name=f"dropout_{number}")(hidden)
    output = keras.layers.Dense(10, name="output")(hidden)
    optimizer = keras.optimizers.AdamW(keras.optimizers.schedules.CosineDecay(3e-3, 450), weight_decay=1e-3)
    return Fit(keras.Model(inputs, output), x, y, optimizer, cross_entropy(), skill.classes, steps=450)


def _with_a_hole(seed: int, *, hole: bool = False) -> Fit:
    keras.utils.set_random_seed(seed)
    x, y = data.bars(seed, side=10)
    x = x.copy()
    if hole:
        x[500, 3, 4] = np.nan
    inputs = keras.Input(x.shape[1:])
    maps = _convolutions(inputs, (12, 12), activation="elu", strides=2)
    output = keras.layers.Dense(4, name="output")(keras.layers.Flatten()(maps))
    optimizer = keras.optimizers.Adam(3e-3)
    return Fit(
        keras.Model(inputs, output), x, y, optimizer, cross_entropy(), skill.classes, steps=240,
        fit_options={"shuffle": False},
    )  # fmt: skip


def _pooled(seed: int, *, groups: int = 1) -> Fit:
    """A group norm on maps that were pooled to one point."""
    keras.utils.set_random_seed(seed)
    x, y = data.digits()
    x = x.reshape(-1, 8, 8, 1)
    inputs = keras.Input(x.shape[1:])
    maps = _convolutions(inputs, (16, 24), activation="relu", strides=2)
    point = keras.layers.AveragePooling2D(2)(maps)
    point = keras.layers.GroupNormalization(groups=groups, name="norm")(point)
    output = keras.layers.Dense(10, name="output")(keras.layers.Flatten()(point))
    optimizer = keras.optimizers.Adam(3e-3)
    return Fit(keras.Model(inputs, output), x, y, optimizer, cross_entropy(), skill.classes, steps=400)


family.pair(
    "plain-deep",
    _plain,
    sickness="random-normal",
    sick={"weights": "random_normal"},
    causes=["gain-mismatch:too-small", "vanishing-gradient"],
    layers=[f"conv_{number}" for number in range(1, 9)],
    level=0.6,
)
family.pair(
    "plateau",
    _on_plateau,
    sickness="plateau-watched-upside-down",
    sick={"mode": "max"},
    causes=["learning-rate-too-low", "update-ratio-out-of-range:too-small"],
    level=0.7,
)
family.pair(
    "dropped",
    _dropped,
    sickness="share-kept-taken-for-share-dropped",
    sick={"share": 0.98},
    causes=["excessive-dropout"],
    layers=("dropout_1", "dropout_2"),
    level=0.7,
)
family.pair(
    "hole",
    _with_a_hole,
    sickness="one-picture-has-a-pixel-of-nan",
    sick={"hole": True},
    causes=["nonfinite-values"],
    level=0.7,
)
family.pair(
    "pooled",
    _pooled,
    sickness="instance-norm-of-one-point",
    sick={"groups": -1},
    causes=["collapsed-batch-statistics", "collapsed-representation", "constant-output", "vanishing-gradient"],
    layers=("norm", "output"),
    level=0.7,
)
