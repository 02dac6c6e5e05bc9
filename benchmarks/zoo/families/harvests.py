"""Farms and fields: tables of measures, and an amount to foretell from each row."""

from __future__ import annotations

from typing import Any

import numpy as np

from zoo import skill
from zoo.data import standardised
from zoo.lazy import keras, tf
from zoo.nets import dense_stack, normal
from zoo.program import Family
from zoo.task import Fit

family = Family("harvests", half="think")


def _fields(seed: int, count: int = 900) -> tuple[np.ndarray, np.ndarray]:
    """Rain (mm), warmth (°C), nitrogen (kg/ha), pH, clay (%) and height (m) of fields, and tonnes per hectare."""
    draw = np.random.default_rng(seed)
    rain, warmth = draw.normal(650, 150, count), draw.normal(14, 3, count)
    nitrogen, acidity = draw.uniform(0, 250, count), draw.normal(6.5, 0.6, count)
    clay, height = draw.uniform(5, 60, count), draw.gamma(2, 120, count)
    growth = 1 - np.exp(-nitrogen / 70) - ((acidity - 6.6) / 2.5) ** 2
    harvest = 6 * growth * np.exp(-(((rain - 700) / 350) ** 2)) - 0.15 * np.abs(warmth - 15) - height / 900
    x = np.stack([rain, warmth, nitrogen, acidity, clay, height], 1).astype("f4")
    return x, (4 + harvest + draw.normal(0, 0.2, count)).astype("f4")[:, None]


def _wheat(seed: int, *, unit: float = 1.0) -> Fit:
    keras.utils.set_random_seed(seed)
    x, y = _fields(seed)
    inputs = keras.Input((6,))
    hidden = dense_stack(inputs, 48, 2, activation="relu")
    model = keras.Model(inputs, keras.layers.Dense(1, name="output")(hidden))
    rate = keras.optimizers.schedules.CosineDecay(0.02, 450)
    optimizer = keras.optimizers.SGD(rate, momentum=0.9)
    return Fit(model, standardised(x), y * unit, optimizer, "mse", skill.fit_of, steps=450)


def _maize(seed: int, *, scaled: bool = True) -> Fit:
    keras.utils.set_random_seed(seed)
    x, y = _fields(seed)
    inputs = keras.Input((6,))
    hidden = inputs
    if scaled:
        normalise = keras.layers.Normalization()
        normalise.adapt(x)
        hidden = normalise(hidden)
    hidden = dense_stack(hidden, 40, 2, activation="relu6")
    model = keras.Model(inputs, keras.layers.Dense(1, name="output")(hidden))
    return Fit(model, x, standardised(y), keras.optimizers.Adam(3e-3), "mae", skill.fit_of, steps=400)


def _orchards(seed: int, *, spread: str = "softplus") -> Fit:
    """A mean and a deviation for each orchard; the loss is a likelihood, and ends below 0."""
    keras.utils.set_random_seed(seed)
    x, y = _fields(seed)
    inputs = keras.Input((6,))
    hidden = dense_stack(inputs, 32, 2, activation="tanh")
    mean = keras.layers.Dense(1, name="mean")(hidden)
    deviation = keras.layers.Dense(1, activation=spread, name="deviation")(hidden)
    model = keras.Model(inputs, keras.layers.Concatenate()([mean, deviation]))

    def likelihood(truth: Any, predicted: Any) -> Any:
        mean, deviation = predicted[:, :1], predicted[:, 1:]
        return tf.math.log(deviation) + 0.5 * tf.square((truth - mean) / deviation)

    def score(truth: Any, predicted: Any) -> float:
        return skill.fit_of(truth, predicted[:, :1])

    optimizer = keras.optimizers.Adam(2e-3, clipnorm=5.0)
    return Fit(model, standardised(x), standardised(y), optimizer, likelihood, score, steps=450)


def _milk(seed: int, *, rate: float = 2e-3) -> Fit:
    """What a cow gives tomorrow: mostly chance."""
    keras.utils.set_random_seed(seed)
    draw = np.random.default_rng(seed)
    x = draw.normal(size=(1200, 12)).astype("f4")
    y = 28 + 2.5 * np.tanh(x[:, :1] + x[:, 1:2]) - 1.5 * x[:, 2:3] + draw.normal(0, 4, (1200, 1))
    inputs = keras.Input((12,))
    hidden = dense_stack(
        inputs, 64, 2, activation="gelu", between=lambda _: [keras.layers.Dropout(0.5)]
    )  # fmt: skip
    model = keras.Model(inputs, keras.layers.Dense(1, name="output")(hidden))
    schedule = keras.optimizers.schedules.CosineDecay(rate, 500)
    optimizer = keras.optimizers.AdamW(schedule, weight_decay=0.01)
    return Fit(model, x, standardised(y), optimizer, "huber", skill.fit_of, steps=500, batch_size=48)


def _soils(seed: int, *, deviation: float = 0.25) -> Fit:
    """A common trunk, and a head of its own for acidity and for carbon."""
    keras.utils.set_random_seed(seed)
    draw = np.random.default_rng(seed)
    x = draw.normal(size=(900, 10)).astype("f4")
    y = np.stack([np.sin(x[:, 0]) + x[:, 1], np.abs(x[:, 2]) * np.sign(x[:, 3])], 1) + draw.normal(0, 0.1, (900, 2))
    inputs = keras.Input((10,))
    trunk = keras.layers.Dense(64, "relu", name="trunk")(inputs)
    heads = []
    for name, std in (("acidity", 0.25), ("carbon", deviation)):
        hidden = keras.layers.Dense(32, "relu", kernel_initializer=normal(std), name=f"{name}_1")(trunk)
        hidden = keras.layers.Dense(32, "relu", kernel_initializer=normal(std), name=f"{name}_2")(hidden)
        heads.append(keras.layers.Dense(1, kernel_initializer=normal(std), name=f"{name}_output")(hidden))
    model = keras.Model(inputs, keras.layers.Concatenate()(heads))
    optimizer = keras.optimizers.SGD(0.02, momentum=0.9)
    return Fit(model, x, standardised(y), optimizer, "mse", skill.fit_of, steps=500)


def _vines(seed: int, *, penalty: float = 1e-5) -> Fit:
    keras.utils.set_random_seed(seed)
    x, y = _fields(seed)
    inputs = keras.Input((6,))
    l1 = keras.regularizers.L1(penalty)
    hidden = dense_stack(inputs, 32, 5, activation="elu", kernel_initializer="he_normal", kernel_regularizer=l1)
    model = keras.Model(inputs, keras.layers.Dense(1, name="output")(hidden))
    optimizer = keras.optimizers.Nadam(1e-3)
    return Fit(model, standardised(x), standardised(y), optimizer, "mse", skill.fit_of, steps=400)


family.pair(
    "wheat",
    _wheat,
    sickness="kilograms-in-place-of-tonnes",
    sick={"unit": 1000.0},
    causes=["badly-scaled-target", "learning-rate-too-high"],
    level=0.6,
)
family.pair(
    "maize",
    _maize,
    sickness="measures-as-they-come",
    sick={"scaled": False},
    causes=["badly-scaled-input", "saturated-activation"],
    level=0.6,
)
family.pair(
    "orchards",
    _orchards,
    sickness="relu-for-the-deviation",
    sick={"spread": "relu"},
    causes=["nonfinite-values"],
    level=0.6,
)
family.pair(
    "milk",
    _milk,
    sickness="rate-of-a-millionth",
    sick={"rate": 1e-6},
    causes=["learning-rate-too-low", "update-ratio-out-of-range:too-small", "unchanged-weights"],
    level=0.15,
)
family.pair(
    "soils",
    _soils,
    sickness="one-head-from-a-normal-of-a-thousandth",
    sick={"deviation": 0.001},
    causes=["gain-mismatch:too-small", "vanishing-gradient"],
    layers=("carbon_1", "carbon_2", "carbon_output"),
    level=0.6,
)
family.pair(
    "vines",
    _vines,
    sickness="l1-of-a-tenth",
    sick={"penalty": 0.1},
    causes=["shrunken-weights"],
    level=0.6,
    every=10,
)
