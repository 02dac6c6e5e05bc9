"""Several inputs or several outputs: wide and deep, a gate set by the circumstances, a second target."""

from __future__ import annotations

from typing import Any

import numpy as np

from zoo import data, skill
from zoo.lazy import keras
from zoo.program import Family
from zoo.task import Fit

family = Family("many-inputs", half="think")


def _wide_and_deep(seed: int, *, activation: str = "relu") -> Fit:
    """Crossed categories go wide, measures and an embedding deep; one in three buys."""
    keras.utils.set_random_seed(seed)
    draw = np.random.default_rng(seed)
    count = 1500
    city, numbers = draw.integers(0, 30, count), draw.normal(size=(count, 6)).astype("f4")
    liking = np.random.default_rng(8).normal(0, 0.6, 30)[city]
    bought = liking + 2 * numbers[:, 0] * numbers[:, 1] + 1.5 * np.abs(numbers[:, 2]) - 2.0 > 0
    x = {"wide": np.eye(30, dtype="f4")[city], "city": city.astype("i4")[:, None], "numbers": numbers}
    wide, measures = keras.Input((30,), name="wide"), keras.Input((6,), name="numbers")
    which = keras.Input((1,), name="city", dtype="int32")
    embedded = keras.layers.Flatten(name="flat")(keras.layers.Embedding(30, 4, name="embedding")(which))
    deep = keras.layers.Concatenate(name="deep_inputs")([measures, embedded])
    for number in (1, 2, 3, 4, 5):
        deep = keras.layers.Dense(32, activation, name=f"deep_{number}")(deep)
    joined = keras.layers.Concatenate(name="joined")([wide, deep])
    model = keras.Model([wide, which, measures], keras.layers.Dense(1, "sigmoid", name="buys")(joined))
    y = bought.astype("f4")[:, None]
    adagrad = keras.optimizers.Adagrad(0.05)
    return Fit(model, x, y, adagrad, "binary_crossentropy", skill.binary, steps=700)


def _gated(seed: int, *, raw: bool = False) -> Fit:
    """Rides hired: what a measure counts for depends on the season and the year, through a gate."""
    keras.utils.set_random_seed(seed)
    draw = np.random.default_rng(seed)
    count = 1200
    measures, day = draw.normal(size=(count, 6)).astype("f4"), draw.uniform(0, 1461, count)
    season = np.cos(2 * np.pi * day / 365.25)
    y = measures[:, 0] * (1 + 2 * season) + measures[:, 1] * (1 - 2 * season) + measures[:, 2] * day / 700
    when = np.stack([2019 + day // 365.25, day % 365.25], 1)
    when = when.astype("f4") if raw else data.standardised(when)
    inputs = [keras.Input((6,), name="measures"), keras.Input((2,), name="when")]
    gate = keras.layers.Dense(32, "tanh", name="circumstances")(inputs[1])
    gate = keras.layers.Dense(32, "sigmoid", name="gate")(gate)
    hidden = keras.layers.Dense(32, name="hidden")(inputs[0])
    hidden = keras.layers.Multiply(name="gated")([hidden, gate])
    model = keras.Model(inputs, keras.layers.Dense(1, name="rides")(hidden))
    x, adam = {"measures": measures, "when": when}, keras.optimizers.Adam(5e-3)
    return Fit(model, x, y.astype("f4")[:, None], adam, "mse", skill.fit_of, steps=600)


def _second_target(seed: int, *, raw: bool = False) -> Fit:
    """Which digit it is, and, to help the trunk along, how much ink it took."""
    keras.utils.set_random_seed(seed)
    x, digit = data.digits()
    ink = (1000 * x.sum(1, keepdims=True)).astype("f4")
    y = {"digit": digit, "ink": ink if raw else data.standardised(ink)}
    inputs = keras.Input((64,))
    hidden = keras.layers.Dense(64, "relu", name="trunk_1")(inputs)
    hidden = keras.layers.Dense(64, "relu", name="trunk_2")(hidden)
    outputs: dict[str, Any] = {
        "digit": keras.layers.Dense(10, "softmax", name="digit")(hidden),
        "ink": keras.layers.Dense(1, name="ink")(hidden),
    }
    model = keras.Model(inputs, outputs)
    losses = {"digit": "sparse_categorical_crossentropy", "ink": "mse"}
    sgd = keras.optimizers.SGD(0.05, momentum=0.9, global_clipnorm=1.0)
    return Fit(
        model, x, y, sgd, losses, lambda truth, made: skill.classes(truth["digit"], made["digit"]), steps=400
    )  # fmt: skip


family.pair(
    "wide-and-deep",
    _wide_and_deep,
    sickness="deep-tower-of-sigmoids",
    sick={"activation": "sigmoid"},
    causes=["vanishing-gradient", "saturated-activation"],
    layers=("deep_1", "deep_2", "deep_3", "deep_4", "deep_5"),
    level=0.6,
)
family.pair(
    "gate",
    _gated,
    sickness="year-and-day-as-they-are",
    sick={"raw": True},
    causes=["badly-scaled-input", "saturated-activation"],
    layers=("circumstances",),
    level=0.6,
)
family.pair(
    "ink",
    _second_target,
    sickness="second-target-in-thousands",
    sick={"raw": True},
    causes=["badly-scaled-target", "permanent-clipping"],
    level=0.7,
)
