"""Tables of measures: regression, counts, rare words, weights of examples."""

from __future__ import annotations

from typing import Any

import numpy as np

from zoo import data, skill
from zoo.lazy import keras, tf
from zoo.nets import dense_stack
from zoo.program import Family
from zoo.task import Fit

family = Family("tables", half="think")


def _pressure(seed: int, *, start: float = 1013.0) -> Fit:
    """Air pressure in hectopascal: 1,013 give or take 8; the output's bias starts at the mean."""
    keras.utils.set_random_seed(seed)
    x, y = data.waves(seed)
    inputs = keras.Input((x.shape[1],))
    hidden = dense_stack(inputs, 64, 2, activation="relu")
    bias = keras.initializers.Constant(start)
    model = keras.Model(inputs, keras.layers.Dense(1, bias_initializer=bias, name="output")(hidden))
    return Fit(model, x, 1013 + 8 * y, keras.optimizers.Adam(5e-3), "huber", skill.fit_of, steps=400)


def _counts(seed: int, *, last: str | None = "exponential") -> Fit:
    keras.utils.set_random_seed(seed)
    x, y = data.waves(seed)
    counts = np.random.default_rng(seed).poisson(np.exp(y + 0.5)).astype("f4")
    inputs = keras.Input((x.shape[1],))
    hidden = dense_stack(inputs, 32, 2, activation="tanh")
    model = keras.Model(inputs, keras.layers.Dense(1, last, name="output")(hidden))
    return Fit(model, x, counts, keras.optimizers.Adam(5e-3), "poisson", skill.fit_of, steps=400, batch_size=64)


def _wide(seed: int, *, strength: float = 1e-4) -> Fit:
    """A thousand columns that are nearly always zero, by FTRL, as for advertisements."""
    keras.utils.set_random_seed(seed)
    words, y = data.texts(seed, words=1000)
    x = np.zeros((len(words), 1000), "f4")
    x[np.arange(len(words))[:, None], words] = 1
    inputs = keras.Input((1000,))
    model = keras.Model(inputs, keras.layers.Dense(3, "softmax", name="output")(inputs))
    optimizer = keras.optimizers.Ftrl(0.3, l1_regularization_strength=strength)
    return Fit(model, x, y, optimizer, "sparse_categorical_crossentropy", skill.classes, steps=240)


def _weighed(seed: int, *, total: float | None = None) -> Fit:
    """One class in fifty; its examples count for more."""
    keras.utils.set_random_seed(seed)
    x, y = data.blobs(seed, count=2000, kinds=2, spread=1.2)
    keep = (y == 0) | (np.cumsum(y) % 25 == 0)
    x, y = x[keep], y[keep]
    weights = np.where(y == 1, 20.0, 1.0)
    weights *= (total or len(y)) / weights.sum()
    inputs = keras.Input((x.shape[1],))
    hidden = dense_stack(inputs, 32, 2, activation="relu")
    model = keras.Model(inputs, keras.layers.Dense(1, "sigmoid", name="output")(hidden))
    optimizer = keras.optimizers.SGD(0.05, momentum=0.9)
    return Fit(
        model, x, y, optimizer, "binary_crossentropy", skill.binary, steps=300,
        fit_options={"sample_weight": weights.astype("f4")},
    )  # fmt: skip


def _patients(seed: int, *, adapted: bool = True) -> Fit:
    """The measures of patients in their own units, behind a layer that normalises them."""
    from sklearn.datasets import load_diabetes

    keras.utils.set_random_seed(seed)
    x, y = load_diabetes(return_X_y=True, scaled=False)
    x, y = x.astype("f4"), data.standardised(y[:, None])
    inputs = keras.Input((x.shape[1],))
    normalise = keras.layers.Normalization(name="normalise")
    if adapted:
        normalise.adapt(x)
    hidden = dense_stack(normalise(inputs), 32, 2, activation="relu")
    model = keras.Model(inputs, keras.layers.Dense(1, name="output")(hidden))
    optimizer = keras.optimizers.SGD(0.02, momentum=0.9)
    return Fit(model, x, y, optimizer, "mse", skill.fit_of, steps=420)


def _kinds(seed: int, *, first: int = 0) -> Fit:
    """Tumours of two kinds, numbered from ``first`` on."""
    keras.utils.set_random_seed(seed)
    x, y = data.cancer()
    inputs = keras.Input((x.shape[1],))
    hidden = dense_stack(inputs, 24, 2, activation="relu")
    model = keras.Model(inputs, keras.layers.Dense(1, "sigmoid", name="output")(hidden))
    optimizer = keras.optimizers.Adam(keras.optimizers.schedules.ExponentialDecay(5e-3, 100, 0.7))
    return Fit(
        model, data.standardised(x), (y + first).astype("f4"), optimizer, "binary_crossentropy",
        lambda truth, predicted: skill.binary(truth - first, predicted), steps=240,
    )  # fmt: skip


def _bounded(seed: int, *, limit: float = 1e3) -> Fit:
    """A loss of one's own, which bounds the errors lest outliers reign."""
    keras.utils.set_random_seed(seed)
    x, y = data.waves(seed)

    def loss(truth: Any, predicted: Any) -> Any:
        return tf.reduce_mean(tf.minimum((truth - predicted) ** 2, limit))

    inputs = keras.Input((x.shape[1],))
    hidden = dense_stack(inputs, 48, 2, activation="relu")
    model = keras.Model(inputs, keras.layers.Dense(1, name="output")(hidden))
    return Fit(model, x, 20 + 4 * y, keras.optimizers.Adam(1e-2), loss, skill.fit_of, steps=500)


family.pair(
    "pressure",
    _pressure,
    sickness="bias-starts-at-zero",
    sick={"start": 0.0},
    causes=["badly-scaled-target", "learning-rate-too-low"],
    layers=("output",),
    level=0.6,
)
family.pair(
    "counts",
    _counts,
    sickness="no-exponential-for-poisson",
    sick={"last": None},
    causes=["mismatched-loss", "nonfinite-values"],
    layers=("output",),
    level=0.5,
)
family.pair(
    "wide",
    _wide,
    sickness="l1-of-ftrl-too-strong",
    sick={"strength": 5.0},
    causes=["shrunken-weights"],
    layers=("output",),
    level=0.7,
)
family.pair(
    "weighed",
    _weighed,
    sickness="weights-of-examples-sum-to-1",
    sick={"total": 1.0},
    causes=["learning-rate-too-low", "update-ratio-out-of-range:too-small"],
    level=0.6,
)
family.pair(
    "patients",
    _patients,
    sickness="normalisation-never-adapted",
    sick={"adapted": False},
    causes=["badly-scaled-input"],
    layers=("hidden_1", "normalise"),
    level=0.4,
)
family.pair(
    "kinds",
    _kinds,
    sickness="kinds-numbered-1-and-2",
    sick={"first": 1},
    causes=["mismatched-loss", "badly-scaled-target"],
    layers=("output",),
    level=0.8,
    every=1,
)
family.pair(
    "bounded",
    _bounded,
    sickness="all-errors-beyond-the-bound",
    sick={"limit": 1.0},
    causes=["vanishing-gradient", "unchanged-weights", "mismatched-loss", "badly-scaled-target"],
    level=0.6,
)
