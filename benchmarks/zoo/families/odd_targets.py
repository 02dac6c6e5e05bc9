"""Targets other than one class or one number: several tags at once, a rank, a count."""

from __future__ import annotations

from typing import Any

import numpy as np

from zoo import skill
from zoo.lazy import keras
from zoo.program import Family
from zoo.task import Fit

family = Family("odd-targets", half="think")


def _tags(seed: int, *, last: str = "sigmoid") -> Fit:
    """Any of ten tags for an article, from counts of words, most of them 0; three tags are the usual number."""
    keras.utils.set_random_seed(seed)
    draw = np.random.default_rng(seed)
    tags = (draw.random((1200, 10)) < 0.3).astype("f4")
    rates = 0.05 + tags @ np.random.default_rng(5).gamma(0.3, 0.8, (10, 80))
    x = draw.poisson(rates).astype("f4")
    inputs = keras.Input((80,))
    hidden = keras.layers.Dense(64, "relu", name="hidden")(inputs)
    hidden = keras.layers.Dropout(0.2, name="dropout")(hidden)
    model = keras.Model(inputs, keras.layers.Dense(10, last, name="tags")(hidden))

    def score(truth: Any, made: Any) -> float:
        return float(np.mean([skill.binary(truth[:, tag], made[:, tag]) for tag in range(10)]))

    return Fit(model, x, tags, keras.optimizers.Adam(2e-3), "binary_crossentropy", score, steps=500)


def _stars(seed: int, *, last: str = "sigmoid") -> Fit:
    """One to five stars, as four questions "more than so many?"."""
    keras.utils.set_random_seed(seed)
    draw = np.random.default_rng(seed)
    x = draw.normal(size=(1000, 12)).astype("f4")
    taste = x[:, 0] + x[:, 1] * x[:, 2] - 0.7 * x[:, 3] + 0.3 * draw.normal(size=1000)
    stars = np.digitize(taste, np.quantile(taste, [0.2, 0.4, 0.6, 0.8]))
    y = (stars[:, None] > np.arange(4)).astype("f4")
    inputs = keras.Input((12,))
    hidden = keras.layers.Dense(48, "relu", name="hidden_1")(inputs)
    hidden = keras.layers.BatchNormalization(name="norm")(hidden)
    hidden = keras.layers.Dense(24, "relu", name="hidden_2")(hidden)
    model = keras.Model(inputs, keras.layers.Dense(4, last, name="more_than")(hidden))

    def score(truth: Any, made: Any) -> float:
        made = np.asarray(made, "f4")
        wanted, ranks = truth.sum(1), np.where(np.isfinite(made).all(1), (made > 0.5).sum(1), np.nan)
        return float(1 - np.abs(wanted - ranks).mean() / np.abs(wanted - np.median(wanted)).mean())

    sgd = keras.optimizers.SGD(0.05, momentum=0.9)
    return Fit(model, x, y, sgd, "binary_crossentropy", score, steps=500)


def _views(seed: int, *, logarithm: bool = True) -> Fit:
    """How often a clip is watched, from 0 to some 100,000 times."""
    keras.utils.set_random_seed(seed)
    draw = np.random.default_rng(seed)
    x = draw.normal(size=(1200, 9)).astype("f4")
    rate = np.exp(5 + 1.2 * x[:, 0] + 0.8 * x[:, 1] - x[:, 2] * x[:, 3] + 0.3 * draw.normal(size=1200))
    counts = draw.poisson(np.minimum(rate, 1e5)).astype("f4")[:, None]
    inputs = keras.Input((9,))
    hidden = keras.layers.Dense(64, "relu", name="hidden_1")(inputs)
    hidden = keras.layers.Dense(64, "relu", name="hidden_2")(hidden)
    model = keras.Model(inputs, keras.layers.Dense(1, name="views")(hidden))

    def score(truth: Any, made: Any) -> float:
        if logarithm:
            return skill.fit_of(truth, made)
        return skill.fit_of(np.log1p(truth), np.log1p(np.maximum(made, 0)))

    y = np.log1p(counts) if logarithm else counts
    return Fit(model, x, y, keras.optimizers.Adam(2e-3), "mse", score, steps=500)


def _claims(seed: int, *, unit: float = 1.0) -> Fit:
    """Claims on a policy: Poisson, by an exponential of distance driven (in 10,000 km), age and power."""
    keras.utils.set_random_seed(seed)
    draw = np.random.default_rng(seed)
    x = draw.normal(size=(1200, 6))
    x[:, 0] = draw.gamma(2, 0.6, 1200)
    rate = np.exp(0.8 * x[:, 0] - 0.8 + 0.7 * np.abs(x[:, 1]) - 0.5 * x[:, 2])
    y = draw.poisson(np.minimum(rate, 40)).astype("f4")[:, None]
    x[:, 0] *= unit
    inputs = keras.Input((6,))
    hidden = keras.layers.Dense(32, "tanh", name="hidden_1")(inputs)
    hidden = keras.layers.Dense(32, "tanh", name="hidden_2")(hidden)
    model = keras.Model(inputs, keras.layers.Dense(1, "exponential", name="claims")(hidden))
    adam = keras.optimizers.Adam(3e-3)
    return Fit(model, x.astype("f4"), y, adam, "poisson", skill.fit_of, steps=500, batch_size=64)


family.pair(
    "tags",
    _tags,
    sickness="softmax-over-tags",
    sick={"last": "softmax"},
    causes=["misplaced-softmax", "mismatched-loss"],
    layers=("tags",),
    level=0.5,
)
family.pair(
    "stars",
    _stars,
    sickness="tanh-for-probabilities",
    sick={"last": "tanh"},
    causes=["mismatched-loss"],
    layers=("more_than",),
    level=0.6,
)
family.pair(
    "views",
    _views,
    sickness="logarithm-left-out",
    sick={"logarithm": False},
    causes=["badly-scaled-target", "mismatched-loss"],
    level=0.7,
)
family.pair(
    "claims",
    _claims,
    sickness="distance-in-metres",
    sick={"unit": 1e7},
    causes=["badly-scaled-input", "saturated-activation"],
    layers=("hidden_1",),
    level=0.35,
)
