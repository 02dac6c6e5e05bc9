"""Tables: what goes wrong between a data frame and a network that is otherwise plain."""

from __future__ import annotations

from typing import Any

import numpy as np

from zoo import data, skill
from zoo.lazy import keras
from zoo.nets import cross_entropy, dense_stack
from zoo.program import Family
from zoo.task import Fit

family = Family("tabular", half="think")


def _fraud(seed: int, *, from_logits: bool = True) -> Fit:
    """One case in fifty is fraud; the rare class weighs more."""
    keras.utils.set_random_seed(seed)
    draw = np.random.default_rng(seed)
    x = draw.normal(size=(3000, 12)).astype("f4")
    score = x[:, 0] + x[:, 1] * x[:, 2] + 0.5 * x[:, 3] ** 2
    y = (score > np.quantile(score, 0.98)).astype("f4")[:, None]
    inputs = keras.Input((12,))
    hidden = dense_stack(inputs, 40, 2, activation="elu")
    model = keras.Model(inputs, keras.layers.Dense(1, name="fraud")(hidden))
    return Fit(
        model, x, y, keras.optimizers.Adam(2e-3), keras.losses.BinaryCrossentropy(from_logits=from_logits),
        lambda truth, logits: skill.binary(truth, logits, 0.0), steps=500, batch_size=64,
        fit_options={"class_weight": {0: 1.0, 1: 20.0}},
    )  # fmt: skip


family.pair(
    "fraud",
    _fraud,
    sickness="logits-taken-for-probabilities",
    sick={"from_logits": False},
    causes=["mismatched-loss"],
    layers=("fraud",),
    level=0.7,
)


def _adadelta(seed: int, *, rate: float = 1.0) -> Fit:
    keras.utils.set_random_seed(seed)
    x, y = data.wine()
    inputs = keras.Input((13,))
    hidden = dense_stack(inputs, 32, 2, activation="silu")
    model = keras.Model(inputs, keras.layers.Dense(3, "softmax", name="cultivar")(hidden))
    return Fit(
        model, data.standardised(x), keras.utils.to_categorical(y), keras.optimizers.Adadelta(rate),
        keras.losses.CategoricalCrossentropy(label_smoothing=0.1), skill.classes, steps=150, batch_size=16,
    )  # fmt: skip


family.pair(
    "wine-adadelta",
    _adadelta,
    sickness="default-rate-of-keras",
    sick={"rate": 1e-3},
    causes=["learning-rate-too-low", "update-ratio-out-of-range:too-small"],
    level=0.9,
)


def _self_normalising(seed: int, *, initializer: Any = "lecun_normal") -> Fit:
    """Sixteen SELU layers with alpha dropout (Klambauer et al. 2017)."""
    keras.utils.set_random_seed(seed)
    x, y = data.cancer()
    inputs = keras.Input((30,))
    hidden = dense_stack(
        inputs, 32, 16, activation="selu", kernel_initializer=initializer,
        between=lambda _number: [keras.layers.AlphaDropout(0.02)],
    )  # fmt: skip
    model = keras.Model(inputs, keras.layers.Dense(2, name="output")(hidden))
    optimizer = keras.optimizers.SGD(0.02, momentum=0.9)
    return Fit(model, data.standardised(x), y, optimizer, cross_entropy(), skill.classes, steps=200)


family.pair(
    "cancer-selu",
    _self_normalising,
    sickness="random-uniform",
    sick={"initializer": "random_uniform"},
    causes=["gain-mismatch:too-small", "vanishing-gradient"],
    layers=[f"hidden_{number}" for number in range(1, 17)],
    level=0.8,
)


def _survey(seed: int, *, missing: int = 0) -> Fit:
    """A wide table; in the sick one a few answers are missing and nobody looked."""
    keras.utils.set_random_seed(seed)
    x, y = data.blobs(seed, features=24, kinds=4, spread=1.5)
    draw = np.random.default_rng(seed + 7)
    x[draw.integers(0, len(x), missing), draw.integers(0, 24, missing)] = np.nan
    inputs = keras.Input((24,))
    hidden = dense_stack(inputs, 48, 3, activation="relu", between=lambda _number: [keras.layers.Dropout(0.3)])
    model = keras.Model(inputs, keras.layers.Dense(4, name="answer")(hidden))
    return Fit(model, x, y, keras.optimizers.Adam(2e-3), cross_entropy(), skill.classes, steps=320)


family.pair(
    "survey",
    _survey,
    sickness="missing-answers",
    sick={"missing": 3},
    causes=["nonfinite-values"],
    layers=("input", "hidden_1"),
    level=0.7,
)


def _decayed(seed: int, *, weight_decay: float = 0.05) -> Fit:
    keras.utils.set_random_seed(seed)
    x, y = data.digits()
    inputs = keras.Input((64,))
    hidden = dense_stack(inputs, 96, 3, activation="gelu")
    model = keras.Model(inputs, keras.layers.Dense(10, name="digit")(hidden))
    optimizer = keras.optimizers.AdamW(2e-3, weight_decay=weight_decay)
    return Fit(model, x, y, optimizer, cross_entropy(), skill.classes, steps=300, batch_size=64)


family.pair(
    "digits-adamw",
    _decayed,
    sickness="weight-decay-of-100",
    sick={"weight_decay": 100.0},
    causes=["shrunken-weights"],
    level=0.8,
    every=10,
)


def _prices(seed: int, *, cents: float = 1.0) -> Fit:
    """The log of a price from a few measures, one of which is an area; by plain gradient descent on the whole table."""
    keras.utils.set_random_seed(seed)
    draw = np.random.default_rng(seed)
    x = draw.normal(size=(400, 6)).astype("f4")
    y = (0.8 * x[:, 0] + 0.4 * np.tanh(2 * x[:, 1]) - 0.3 * x[:, 2] + 0.1 * draw.normal(size=400)).astype("f4")[:, None]
    x[:, 3] = (x[:, 3] * 0.3 + 1) * cents
    inputs = keras.Input((6,))
    hidden = dense_stack(inputs, 24, 2, activation="tanh")
    model = keras.Model(inputs, keras.layers.Dense(1, name="price")(hidden))
    return Fit(
        model, x, y, keras.optimizers.SGD(0.2), "mean_squared_error", skill.fit_of, steps=200, batch_size=400
    )  # fmt: skip


family.pair(
    "prices-whole-table",
    _prices,
    sickness="one-column-in-square-millimetres",
    sick={"cents": 1e6},
    causes=["badly-scaled-input"],
    layers=("input", "hidden_1"),
)
