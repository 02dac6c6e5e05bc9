"""Baskets and sessions: what comes next, and what else was bought."""

from __future__ import annotations

from typing import Any

import numpy as np

from zoo import skill
from zoo.lazy import keras, tf
from zoo.nets import cross_entropy
from zoo.program import Family
from zoo.task import Fit

family = Family("baskets", half="think")

_BOOKS = 60


def _sessions(seed: int, *, rate: float = 5e-3) -> Fit:
    """The next thing looked at, of a session of seven, by a recurrent net."""
    keras.utils.set_random_seed(seed)
    draw = np.random.default_rng(seed)
    follows = np.random.default_rng(5).permutation(40)
    session = np.zeros((900, 8), "i4")
    session[:, 0] = draw.integers(0, 40, 900)
    for place in range(1, 8):
        stray = draw.random(900) < 0.15
        session[:, place] = np.where(stray, draw.integers(0, 40, 900), follows[session[:, place - 1]])
    model = keras.Sequential(
        [
            keras.Input((7,)),
            keras.layers.Embedding(40, 24, name="things"),
            keras.layers.Dropout(0.2, name="dropout"),
            keras.layers.GRU(32, return_sequences=True, name="gru"),
            keras.layers.Dense(40, name="output"),
        ]
    )
    optimizer = keras.optimizers.Lion(rate)
    return Fit(model, session[:, :7], session[:, 1:], optimizer, cross_entropy(), skill.classes, steps=240)


def _completed(seed: int, *, penalty: float = 1e-5) -> Fit:
    """What a reader has read is squeezed through a narrow layer and made again."""
    keras.utils.set_random_seed(seed)
    draw = np.random.default_rng(seed)
    club = draw.integers(0, 6, 600)
    likes = np.random.default_rng(2).random((6, _BOOKS)) < 0.25
    read = (draw.random((600, _BOOKS)) < np.where(likes[club], 0.7, 0.04)).astype("f4")
    weigh = keras.regularizers.L2(penalty)
    inputs = keras.Input((_BOOKS,))
    x = keras.layers.Dense(40, "elu", kernel_regularizer=weigh, name="wide")(inputs)
    x = keras.layers.Dense(12, "elu", kernel_regularizer=weigh, name="narrow")(x)
    x = keras.layers.Dense(40, "elu", kernel_regularizer=weigh, name="wide_again")(x)
    model = keras.Model(inputs, keras.layers.Dense(_BOOKS, "sigmoid", kernel_regularizer=weigh, name="books")(x))
    return Fit(model, read, read, keras.optimizers.Adam(3e-3), "binary_crossentropy", skill.fit_of, steps=300)


def _coupons(seed: int, *, peak: float = 0.01) -> Fit:
    """Who hands a coupon in, by a sparse basket; the rate goes up and down in three cycles."""
    keras.utils.set_random_seed(seed)
    draw = np.random.default_rng(seed)
    basket = (draw.random((1500, 200)) < 0.04).astype("f4")
    wish = basket @ np.random.default_rng(4).normal(size=200)
    y = (wish + draw.normal(0, 0.5, 1500) > np.median(wish)).astype("i4")
    model = keras.Sequential([keras.Input((200,))])
    for number in (1, 2, 3):
        model.add(keras.layers.Dense(32, "relu", name=f"dense_{number}"))
    model.add(keras.layers.Dense(1, "sigmoid", name="output"))

    class Triangle(keras.optimizers.schedules.LearningRateSchedule):
        def __call__(self, step: Any) -> Any:
            along = tf.cast(step, "float32") % 150.0 / 75.0
            return 5e-4 + (peak - 5e-4) * (1.0 - tf.abs(along - 1.0))

    optimizer, loss = keras.optimizers.Adam(Triangle()), "binary_crossentropy"
    return Fit(model, basket, y, optimizer, loss, skill.binary, steps=450)


_COLD = ["learning-rate-too-low", "update-ratio-out-of-range:too-small"]
family.pair("sessions", _sessions, sickness="rate-of-a-fiftieth", sick={"rate": 1e-4}, causes=_COLD, level=0.5)
family.pair(
    "completed",
    _completed,
    sickness="l2-of-three-thousandths",
    sick={"penalty": 3e-3},
    causes=["shrunken-weights"],
    layers=("wide", "narrow", "wide_again", "books"),
    level=0.4,
)
family.pair(
    "coupons",
    _coupons,
    sickness="peak-forty-times-too-high",
    sick={"peak": 0.4},
    causes=["learning-rate-too-high", "update-ratio-out-of-range:too-large"],
    level=0.7,
)
