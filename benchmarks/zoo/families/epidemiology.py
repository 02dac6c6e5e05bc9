"""Patients in tables: who falls ill, who dies first, and how much of a medicine helps."""

from __future__ import annotations

from typing import Any

import numpy as np

from zoo import data, skill
from zoo.lazy import keras, tf
from zoo.nets import dense_stack
from zoo.program import Family
from zoo.task import Fit, Loop

family = Family("epidemiology", half="think")


def _rare(seed: int, *, start: float = 0.1) -> Fit:
    """One in thirty is ill; they weigh more. The layer is wide, and its inputs mostly zero."""
    keras.utils.set_random_seed(seed)
    draw = np.random.default_rng(seed)
    x = (draw.random((1500, 60)) < 0.1).astype("f4")
    signs = x[:, :6].sum(1) + draw.normal(0, 0.2, 1500)
    y = (signs > np.quantile(signs, 0.967)).astype("i4")
    inputs = keras.Input((60,))
    hidden = keras.layers.Dense(400, "relu", name="hidden")(inputs)
    model = keras.Model(inputs, keras.layers.Dense(1, "sigmoid", name="output")(hidden))
    optimizer = keras.optimizers.Adagrad(0.05, initial_accumulator_value=start)
    options = {"class_weight": {0: 1.0, 1: 20.0}}
    return Fit(
        model, x, y, optimizer, "binary_crossentropy", skill.binary, steps=350, batch_size=50, fit_options=options
    )  # fmt: skip


def _survival(seed: int, *, scaled: bool = True) -> Loop:
    """Risks from the order in which patients die: Cox's partial likelihood, whole table at once."""
    keras.utils.set_random_seed(seed)
    draw = np.random.default_rng(seed)
    age, pressure = draw.normal(62, 11, 400), draw.normal(140, 20, 400)
    cells, dose = draw.gamma(3, 2000, 400), draw.uniform(0, 500, 400)
    x = np.stack([age, pressure, cells, dose], 1).astype("f4")
    standard = data.standardised(x)
    risk = 1.2 * standard[:, 0] + 0.8 * standard[:, 1] ** 2 - standard[:, 3]
    order = np.argsort(draw.exponential(1, 400) ** 0.5 * np.exp(-risk))
    x = (standard if scaled else x)[order]
    inputs = keras.Input((4,))
    hidden = dense_stack(inputs, 24, 2, activation="relu")
    model = keras.Model(inputs, keras.layers.Dense(1, use_bias=False, name="output")(hidden))

    def loss(x: Any) -> Any:
        risks = model(x, training=True)[:, 0]
        at_risk = tf.cumsum(tf.exp(risks), reverse=True)
        return tf.reduce_mean(tf.math.log(at_risk) - risks)

    def concordance() -> float:
        risks = np.asarray(model(x))[:, 0]
        if not np.isfinite(risks).all():
            return float("nan")
        earlier, later = np.triu_indices(400, 1)
        return float(np.mean(np.sign(risks[earlier] - risks[later])))

    return Loop(model, keras.optimizers.Adam(5e-3), lambda _: (x,), loss, concordance, steps=200, seed=seed)


def _doses(seed: int, *, deviation: float = 0.6) -> Fit:
    """How much helps, by bumps about places that are learned, all of one width."""
    keras.utils.set_random_seed(seed)
    draw = np.random.default_rng(seed)
    x = draw.uniform(-2, 2, (800, 2)).astype("f4")
    y = np.exp(-2 * (x[:, :1] - 0.5) ** 2) - np.exp(-2 * (x[:, 1:] + 1) ** 2) + draw.normal(0, 0.05, (800, 1))

    class Bumps(keras.layers.Layer):
        def build(self, shape: Any) -> None:
            self.places = self.add_weight(shape=(30, shape[-1]), initializer=keras.initializers.RandomUniform(-2, 2))
            first = keras.initializers.Constant(deviation)
            self.width = self.add_weight(shape=(), initializer=first, trainable=False)

        def call(self, x: Any) -> Any:
            squares = tf.reduce_sum(tf.square(x[:, None] - self.places), -1)
            return tf.exp(-squares / (2 * tf.square(self.width)))

    inputs = keras.Input((2,))
    model = keras.Model(inputs, keras.layers.Dense(1, name="output")(Bumps(name="bumps")(inputs)))
    optimizer = keras.optimizers.Adam(0.01)
    return Fit(model, x, data.standardised(y), optimizer, "mse", skill.fit_of, steps=400)


family.pair(
    "rare",
    _rare,
    sickness="accumulators-start-at-a-thousand",
    sick={"start": 1000.0},
    causes=["stale-optimizer", "learning-rate-too-low", "update-ratio-out-of-range:too-small", "unchanged-weights"],
    level=0.5,
)
family.pair(
    "survival",
    _survival,
    sickness="cells-and-years-as-they-come",
    sick={"scaled": False},
    causes=["badly-scaled-input", "nonfinite-values"],
    level=0.4,
    every=1,
)
family.pair(
    "doses",
    _doses,
    sickness="bumps-of-a-hundredth",
    sick={"deviation": 0.01},
    causes=["vanishing-gradient", "dead-units", "gain-mismatch:too-small", "collapsed-representation"],
    layers=("bumps",),
    level=0.6,
)
