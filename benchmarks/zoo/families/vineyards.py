"""A wine estate: cultivars, leaves, must and cellar."""

from __future__ import annotations

from typing import Any

import numpy as np

from zoo import data, skill
from zoo.lazy import keras, tf
from zoo.nets import cross_entropy
from zoo.program import Family
from zoo.task import Fit, Loop

family = Family("vineyards", half="test")


def _tasting(seed: int, *, penalty: float = 1e-4) -> Fit:
    """The cultivar of a wine, by a net of three layers, with a penalty on the squares of the weights."""
    keras.utils.set_random_seed(seed)
    x, y = data.wine()
    ridge = keras.regularizers.L2(penalty)
    inputs = keras.Input((13,))
    deep = keras.layers.Dense(32, "relu", kernel_regularizer=ridge, name="nose")(inputs)
    deep = keras.layers.Dense(16, "relu", kernel_regularizer=ridge, name="palate")(deep)
    model = keras.Model(inputs, keras.layers.Dense(3, kernel_regularizer=ridge, name="cultivar")(deep))
    optimizer = keras.optimizers.SGD(0.05, momentum=0.9)
    return Fit(model, data.standardised(x), y, optimizer, cross_entropy(), skill.classes, steps=240, batch_size=16)


def _leaves(seed: int, *, batch_size: int = 32) -> Fit:
    """Which way the veins of a leaf run, by convolutions, a mean over the leaf and a normalised layer."""
    keras.utils.set_random_seed(seed)
    x, y = data.bars(seed, count=640)
    model = keras.Sequential(
        [
            keras.Input((12, 12, 1)),
            keras.layers.Conv2D(12, 3, activation="relu", name="veins"),
            keras.layers.Conv2D(24, 3, activation="relu", name="nets"),
            keras.layers.GlobalAveragePooling2D(),
            keras.layers.Dense(32, use_bias=False, name="leaf"),
            keras.layers.BatchNormalization(momentum=0.95, name="norm"),
            keras.layers.ReLU(),
            keras.layers.Dense(4, name="run"),
        ]
    )
    optimizer = keras.optimizers.Adam(5e-3)
    return Fit(model, x, y, optimizer, cross_entropy(), skill.classes, steps=500, batch_size=batch_size)


def _must(seed: int, *, unit: float = 1.0) -> Fit:
    """Sugar and acidity of the must, and in which of three tanks it should go; all of one trunk."""
    keras.utils.set_random_seed(seed)
    draw = np.random.default_rng(seed)
    x = draw.normal(size=(900, 8)).astype("f4")
    sugar = np.sin(x[:, 0]) + 0.5 * x[:, 1] + 0.2 * draw.normal(size=900)
    acid = 0.7 * x[:, 2] * x[:, 3] + 0.4 * x[:, 4]
    tank = np.digitize(x[:, 5] * x[:, 6] + 0.5 * x[:, 7], [-0.4, 0.4])
    inputs = keras.Input((8,))
    trunk = keras.layers.Dense(48, "swish", name="press")(inputs)
    trunk = keras.layers.Dense(48, "swish", name="filter")(trunk)
    outputs = {
        "sugar": keras.layers.Dense(1, name="sugar")(trunk),
        "acid": keras.layers.Dense(1, name="acid")(trunk),
        "tank": keras.layers.Dense(3, name="tank")(trunk),
    }
    y = {
        "sugar": (unit * sugar[:, None]).astype("f4"),
        "acid": acid[:, None].astype("f4"),
        "tank": tank.astype("i4"),
    }

    def score(y: Any, predicted: Any) -> float:
        return (skill.fit_of(y["acid"], predicted["acid"]) + skill.classes(y["tank"], predicted["tank"])) / 2

    losses = {"sugar": "mse", "acid": "mse", "tank": cross_entropy()}
    return Fit(keras.Model(inputs, outputs), x, y, keras.optimizers.Adam(3e-3), losses, score, steps=600)


def _cellar(seed: int, *, limit: float = 1.0) -> Loop:
    """How far a fermentation will get, from its first days, by a gated recurrent net with clipped gradients."""
    keras.utils.set_random_seed(seed)
    draw = np.random.default_rng(seed)
    rate, delay = draw.uniform(0.2, 1.2, (800, 1)), draw.uniform(2, 9, (800, 1))
    days = np.arange(14)[None]
    curve = 1 / (1 + np.exp(-rate * (days - delay)))
    x = np.stack([2 * curve - 1, np.gradient(curve, axis=1) * 4], -1) + draw.normal(0, 0.05, (800, 14, 2))
    y = data.standardised(np.log(rate) + 0.15 * delay)
    x = x.astype("f4")
    inputs = keras.Input((14, 2))
    hidden = keras.layers.GRU(24, name="days")(inputs)
    model = keras.Model(inputs, keras.layers.Dense(1, name="end")(hidden))

    def batches(draw: np.random.Generator) -> tuple[Any, ...]:
        rows = draw.integers(0, len(x), 32)
        return x[rows], y[rows]

    return Loop(
        model, keras.optimizers.SGD(0.05, momentum=0.9), batches,
        lambda x, y: tf.reduce_mean((y - model(x, training=True)) ** 2),
        lambda: skill.fit_of(y, model.predict(x, verbose=0)), steps=400, seed=seed,
        change=lambda gradients: tf.clip_by_global_norm(gradients, limit)[0],
    )  # fmt: skip


family.pair(
    "tasting",
    _tasting,
    sickness="penalty-of-three-tenths",
    sick={"penalty": 0.3},
    causes=["shrunken-weights"],
    level=0.8,
)
family.pair(
    "leaves",
    _leaves,
    sickness="batches-of-one",
    sick={"batch_size": 1},
    causes=["collapsed-batch-statistics"],
    layers=("norm",),
    level=0.6,
)
family.pair(
    "must",
    _must,
    sickness="sugar-in-grams",
    sick={"unit": 30.0},
    causes=["outweighed-loss", "badly-scaled-target"],
    level=0.6,
)
family.pair(
    "cellar",
    _cellar,
    sickness="clipped-to-a-fiftieth",
    sick={"limit": 0.02},
    causes=["permanent-clipping"],
    level=0.6,
)
