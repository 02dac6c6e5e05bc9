"""Amounts to be told from a few columns, as asked about in forums: prices, curves, rents, how an illness goes on."""

from __future__ import annotations

from typing import Any

import numpy as np

from zoo import data, skill
from zoo.lazy import keras, tf
from zoo.nets import dense_stack
from zoo.program import Family
from zoo.task import Fit, Loop

family = Family("amounts", half="think")


def _rents(seed: int, *, largest: float = 1.0) -> Loop:
    """A line through points by a loop written out in full, as in the first lesson."""
    keras.utils.set_random_seed(seed)
    draw = np.random.default_rng(seed)
    x = draw.uniform(0, 1, (500, 3))
    y = (1.5 * x[:, :1] - 0.8 * x[:, 1:2] + 0.4 * x[:, 2:] + 0.3 + draw.normal(0, 0.05, (500, 1))).astype("f4")
    x = (x * [largest, 1.0, 1.0]).astype("f4")
    model = keras.Sequential([keras.Input((3,)), keras.layers.Dense(1, name="line")])

    def batches(draw: np.random.Generator) -> tuple[Any, ...]:
        rows = draw.integers(0, 500, 50)
        return x[rows], y[rows]

    def forward(x: Any, y: Any) -> Any:
        return tf.reduce_mean(tf.square(model(x) - y))

    return Loop(
        model, keras.optimizers.SGD(0.2), batches, forward, lambda: skill.fit_of(y, model(x).numpy()),
        steps=250, seed=seed,
    )  # fmt: skip


def _squares(seed: int, *, largest: float = 1.0) -> Fit:
    """y = x², tanh and plain descent."""
    keras.utils.set_random_seed(seed)
    x = np.random.default_rng(seed).uniform(-1, 1, (800, 1)).astype("f4")
    y = x**2 * largest
    inputs = keras.Input((1,))
    hidden = dense_stack(inputs, 24, 2, activation="tanh")
    model = keras.Model(inputs, keras.layers.Dense(1, name="output")(hidden))
    return Fit(model, x, y, keras.optimizers.SGD(0.1), "mse", skill.fit_of, steps=700, batch_size=32)


def _prices(seed: int, *, positive: bool = True) -> Fit:
    """Prices of houses, of which the logarithms are compared."""
    keras.utils.set_random_seed(seed)
    draw = np.random.default_rng(seed)
    x = draw.normal(size=(1200, 12))
    y = np.exp(1.0 + 0.4 * x[:, 0] + 0.3 * x[:, 1] * (x[:, 2] > 0) - 0.3 * x[:, 3] + draw.normal(0, 0.1, 1200))
    inputs = keras.Input((12,))
    hidden = dense_stack(inputs, 48, 2, activation="relu")
    activation = "softplus" if positive else None
    model = keras.Model(inputs, keras.layers.Dense(1, activation, name="output")(hidden))

    def of_logarithms(truth: Any, guess: Any) -> Any:
        gap = keras.ops.log(guess) - keras.ops.log(truth)
        return keras.ops.sqrt(keras.ops.mean(keras.ops.square(gap)))

    y = y.astype("f4")[:, None]
    return Fit(
        model, x.astype("f4"), y, keras.optimizers.Adam(2e-3), of_logarithms, skill.fit_of, steps=380, batch_size=32
    )


def _illness(seed: int, *, rate: float = 1e-3) -> Fit:
    """Ten layers, a warm-up, and a target of which half cannot be known."""
    keras.utils.set_random_seed(seed)
    x, y = data.diabetes()
    y = data.standardised(y)
    inputs = keras.Input((10,))
    hidden = dense_stack(inputs, 40, 10, activation="relu", kernel_initializer="he_normal")
    model = keras.Model(inputs, keras.layers.Dense(1, name="output")(hidden))
    schedule = keras.optimizers.schedules.CosineDecay(rate / 10, 500, warmup_target=rate, warmup_steps=60)
    return Fit(model, x, y, keras.optimizers.Adam(schedule), "mae", skill.fit_of, steps=560, batch_size=32)


def _strength(seed: int, *, kernel: Any = "glorot_uniform") -> Fit:
    """Concrete: heavy batches, Lion with decay of weights, a sharp bend in the target."""
    keras.utils.set_random_seed(seed)
    draw = np.random.default_rng(seed)
    x = draw.normal(size=(1030, 8))
    y = np.maximum(x[:, 0] - 0.5 * x[:, 1], 0) + 0.6 * np.tanh(2 * x[:, 2]) - 0.4 * np.abs(x[:, 3])
    y = data.standardised((y + draw.normal(0, 0.1, 1030))[:, None])
    inputs = keras.Input((8,))
    hidden = inputs
    for number in range(1, 4):
        start = kernel if number == 2 else "glorot_uniform"
        hidden = keras.layers.Dense(32, "relu", kernel_initializer=start, name=f"hidden_{number}")(hidden)
    model = keras.Model(inputs, keras.layers.Dense(1, name="output")(hidden))
    optimizer = keras.optimizers.Lion(5e-4, weight_decay=0.01)
    return Fit(model, x.astype("f4"), y, optimizer, "mse", skill.fit_of, steps=400, batch_size=64)


def _demand(seed: int, *, share: float = 0.1) -> Fit:
    """Counts of hired bicycles by hour, weekday and weather; Poisson loss, which goes below zero."""
    keras.utils.set_random_seed(seed)
    draw = np.random.default_rng(seed)
    hour, day, warm = draw.integers(0, 24, 2000), draw.integers(0, 7, 2000), draw.normal(size=2000)
    rate = np.exp(1.2 + 0.9 * np.sin(hour / 24 * 2 * np.pi - 1.5) + 0.4 * warm - 0.5 * (day > 4))
    y = draw.poisson(rate).astype("f4")[:, None]
    x = np.concatenate([np.eye(24)[hour], np.eye(7)[day], warm[:, None]], 1).astype("f4")
    inputs = keras.Input((32,))
    hidden = dense_stack(
        inputs, 64, 2, between=lambda _: [keras.layers.Dropout(share)], activation="relu",
    )  # fmt: skip
    model = keras.Model(inputs, keras.layers.Dense(1, "exponential", name="output")(hidden))

    def score(truth: Any, guess: Any) -> float:
        return skill.fit_of(np.log(rate)[:, None], np.log(np.maximum(guess, 1e-6)))

    return Fit(model, x, y, keras.optimizers.Adam(2e-3), "poisson", score, steps=380, batch_size=64)


family.pair(
    "rents",
    _rents,
    sickness="floor-in-square-feet",
    sick={"largest": 900.0},
    causes=["badly-scaled-input"],
    layers=("line",),
    level=0.9,
)
family.pair(
    "squares",
    _squares,
    sickness="squares-to-10000",
    sick={"largest": 10_000.0},
    causes=["badly-scaled-target"],
    level=0.8,
)
family.pair(
    "prices",
    _prices,
    sickness="logarithm-of-negative-prices",
    sick={"positive": False},
    causes=["nonfinite-values"],
    level=0.6,
)
family.pair(
    "illness",
    _illness,
    sickness="rate-of-a-tenth",
    sick={"rate": 0.1},
    causes=["learning-rate-too-high", "update-ratio-out-of-range:too-large"],
    level=0.4,
)
family.pair(
    "strength",
    _strength,
    sickness="middle-layer-of-zeros",
    sick={"kernel": "zeros"},
    causes=["symmetric-weights", "dead-units", "vanishing-gradient", "gain-mismatch:too-small"],
    layers=("hidden_2",),
    level=0.7,
)
family.pair(
    "demand",
    _demand,
    sickness="dropout-of-0.95",
    sick={"share": 0.95},
    causes=["excessive-dropout"],
    layers=("hidden_1", "hidden_2", "dropout", "dropout_1"),
    level=0.6,
)
