"""Bee-keeping: pictures of combs, the sound of a hive, its weight, and swarms."""

from __future__ import annotations

from typing import Any

import numpy as np

from zoo import data, skill
from zoo.lazy import keras
from zoo.nets import dense_stack
from zoo.program import Family
from zoo.task import Fit, Loop

family = Family("apiaries", half="test")


def _combs(seed: int, count: int = 600, side: int = 14) -> tuple[np.ndarray, np.ndarray]:
    """Pictures of comb: honey, open brood, capped brood, empty; and which."""
    draw = np.random.default_rng(seed)
    kind = draw.integers(0, 4, count)
    ys, xs = np.mgrid[:side, :side]
    period = np.array([3.0, 3.0, 5.0, 5.0])[kind][:, None, None]
    tilt = np.array([0.0, 0.8, 0.0, 0.8])[kind][:, None, None]
    shift = draw.uniform(0, 6.3, (count, 1, 1))
    light = 0.5 + 0.25 * np.cos(2 * np.pi * (xs * np.cos(tilt) + ys * np.sin(tilt)) / period + shift)
    light = light * draw.uniform(0.7, 1.2, (count, 1, 1)) + draw.normal(0, 0.12, (count, side, side))
    return light.clip(0, 1)[..., None].astype("f4"), kind.astype("i4")


def _frames(seed: int, *, dropout: float = 0.2) -> Fit:
    """What a comb holds, by a small convolutional network with dropout."""
    keras.utils.set_random_seed(seed)
    x, kind = _combs(seed)
    inputs = keras.Input((14, 14, 1))
    hidden = keras.layers.Rescaling(2.0, -1.0)(inputs)
    for number, filters in enumerate((12, 24), 1):
        hidden = keras.layers.Conv2D(filters, 3, padding="same", activation="relu", name=f"cells_{number}")(hidden)
        hidden = keras.layers.MaxPooling2D(2)(hidden)
        hidden = keras.layers.SpatialDropout2D(dropout, name=f"drop_{number}")(hidden)
    hidden = keras.layers.Flatten()(hidden)
    hidden = keras.layers.Dense(32, "relu", name="frame")(hidden)
    model = keras.Model(inputs, keras.layers.Dense(4, "softmax", name="holds")(hidden))
    optimizer = keras.optimizers.Adam(2e-3)
    y = np.eye(4, dtype="f4")[kind]
    return Fit(model, x, y, optimizer, "categorical_crossentropy", skill.classes, steps=250)


def _hum(seed: int, *, momentum: float = 0.9) -> Fit:
    """Whether the queen is there, from spectra of a hive's hum: batch normalisation after each layer."""
    keras.utils.set_random_seed(seed)
    draw = np.random.default_rng(seed)
    state = draw.integers(0, 3, 900)
    bands = np.arange(40)[None]
    peak = np.array([11.0, 14.0, 17.0])[state][:, None] + draw.normal(0, 0.8, (900, 1))
    x = 2 + 3 * np.exp(-((bands - peak) ** 2) / 8) + 2 * np.exp(-((bands - 28) ** 2) / 20)
    x = x + draw.normal(0, 0.7, x.shape) + draw.normal(0, 0.5, (900, 1))
    inputs = keras.Input((40,))
    hidden = inputs
    for number in (1, 2, 3):
        hidden = keras.layers.Dense(32, use_bias=False, name=f"hidden_{number}")(hidden)
        hidden = keras.layers.BatchNormalization(momentum=momentum, name=f"normal_{number}")(hidden)
        hidden = keras.layers.Activation("relu")(hidden)
    model = keras.Model(inputs, keras.layers.Dense(3, "softmax", name="queen")(hidden))
    optimizer = keras.optimizers.SGD(0.03, momentum=0.9)
    return Fit(
        model, x.astype("f4"), state.astype("i4"), optimizer, "sparse_categorical_crossentropy", skill.classes,
        steps=300, batch_size=45,
    )  # fmt: skip


def _honey(seed: int, *, penalty: float = 1e-4) -> Fit:
    """What a hive gains in weight, from the weather and what is in flower; with a penalty on the weights."""
    keras.utils.set_random_seed(seed)
    draw = np.random.default_rng(seed)
    x = draw.normal(size=(1000, 9)).astype("f4")
    gain = np.maximum(x[:, 0], 0) * (1 + x[:, 1]) + np.sin(2 * x[:, 2]) - 0.5 * x[:, 3] + draw.normal(0, 0.15, 1000)
    inputs = keras.Input((9,))
    hidden = dense_stack(inputs, 40, 2, activation="selu", kernel_regularizer=keras.regularizers.L2(penalty))
    model = keras.Model(inputs, keras.layers.Dense(1, name="gain")(hidden))
    optimizer = keras.optimizers.Nadam(2e-3)
    return Fit(model, x, data.standardised(gain)[:, None], optimizer, "mse", skill.fit_of, steps=600, batch_size=50)


def _swarms(seed: int, *, first: float = 0.01) -> Loop:
    """Whether a colony will swarm: a tape loop with a rate that is warmed up, then held."""
    keras.utils.set_random_seed(seed)
    draw = np.random.default_rng(seed)
    x = draw.normal(size=(1200, 10)).astype("f4")
    swarms = (x[:, 0] * x[:, 1] + np.abs(x[:, 2]) - 0.8 + 0.5 * x[:, 3] > 0).astype("f4")[:, None]
    inputs = keras.Input((10,))
    hidden = dense_stack(inputs, 48, 3, activation="relu", kernel_initializer="he_normal")
    model = keras.Model(inputs, keras.layers.Dense(1, name="swarms")(hidden))
    rate = keras.optimizers.schedules.PiecewiseConstantDecay([15], [first, 0.05])
    loss = keras.losses.BinaryCrossentropy(from_logits=True)

    def batches(draw: np.random.Generator) -> tuple[Any, ...]:
        rows = draw.integers(0, len(x), 40)
        return x[rows], swarms[rows]

    return Loop(
        model,
        keras.optimizers.SGD(rate, momentum=0.9),
        batches,
        lambda x, y: loss(y, model(x, training=True)),
        lambda: skill.binary(swarms, model(x), 0.0),
        steps=450,
        seed=seed,
    )


def _nectar(seed: int, *, activation: str | None = "relu") -> Fit:
    """From which of five flowers a day's nectar is, by convolutions over the hours of a scale's readings."""
    keras.utils.set_random_seed(seed)
    draw = np.random.default_rng(seed)
    flower = draw.integers(0, 5, 800)
    hours = np.arange(32)[None]
    rate = np.array([0.5, 0.8, 1.1, 1.4, 1.7])[flower][:, None]
    x = np.cos(rate * hours + draw.uniform(0, 6.3, (800, 1))) + draw.normal(0, 0.25, (800, 32))
    inputs = keras.Input((32, 1))
    hidden = keras.layers.Conv1D(16, 7, activation=activation, padding="same", name="hours_1")(inputs)
    hidden = keras.layers.Conv1D(16, 5, activation=activation, padding="same", name="hours_2")(hidden)
    hidden = keras.layers.GlobalAveragePooling1D()(hidden)
    hidden = keras.layers.Dense(24, activation=activation, name="day")(hidden)
    model = keras.Model(inputs, keras.layers.Dense(5, "softmax", name="flower")(hidden))
    optimizer = keras.optimizers.AdamW(5e-3, weight_decay=1e-4)
    loss = "sparse_categorical_crossentropy"
    return Fit(model, x[..., None].astype("f4"), flower.astype("i4"), optimizer, loss, skill.classes, steps=300)


family.pair(
    "nectar",
    _nectar,
    sickness="layers-without-an-activation",
    sick={"activation": None},
    causes=["linear-units"],
    layers=("hours_1", "hours_2", "day"),
    level=0.6,
)
family.pair(
    "frames",
    _frames,
    sickness="six-sevenths-of-the-maps-dropped",
    sick={"dropout": 0.85},
    causes=["excessive-dropout"],
    layers=("drop_1", "drop_2"),
    level=0.6,
)
family.pair(
    "hum",
    _hum,
    sickness="moving-statistics-that-hardly-move",
    sick={"momentum": 0.9999},
    causes=["collapsed-batch-statistics"],
    layers=("normal_1", "normal_2", "normal_3"),
    level=0.6,
)
family.pair(
    "honey",
    _honey,
    sickness="penalty-of-a-tenth",
    sick={"penalty": 0.1},
    causes=["shrunken-weights"],
    layers=("hidden_1", "hidden_2"),
    level=0.6,
)
family.pair(
    "swarms",
    _swarms,
    sickness="warmed-up-from-above",
    sick={"first": 1.2},
    causes=["learning-rate-too-high", "update-ratio-out-of-range:too-large", "dead-units"],
    level=0.6,
)
