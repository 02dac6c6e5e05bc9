"""Columns of a table and a class to tell from them, as in first notebooks: wines, customers, passengers, payments."""

from __future__ import annotations

from typing import Any

import numpy as np

from zoo import data, skill
from zoo.lazy import keras
from zoo.nets import cross_entropy, dense_stack
from zoo.program import Family
from zoo.task import Fit, Loop

family = Family("columns", half="think")


def _wines(seed: int, *, scaled: bool = True) -> Fit:
    """Batches of four, momentum, tanh."""
    keras.utils.set_random_seed(seed)
    x, y = data.wine()
    x = data.standardised(x) if scaled else x
    inputs = keras.Input((13,))
    x_ = dense_stack(inputs, 24, 2, activation="tanh")
    model = keras.Model(inputs, keras.layers.Dense(3, "softmax", name="output")(x_))
    optimizer = keras.optimizers.SGD(0.01, momentum=0.9)
    loss = "sparse_categorical_crossentropy"
    return Fit(model, x, y, optimizer, loss, skill.classes, steps=400, batch_size=4)


def _payments(seed: int, *, raw: bool = False) -> Fit:
    """One payment of fifty is a fraud, and weighs the more for it; two columns are seconds and an amount."""
    keras.utils.set_random_seed(seed)
    draw = np.random.default_rng(seed)
    fraud = draw.random(3000) < 0.02
    x = draw.normal(size=(3000, 14))
    x[:, :5] += fraud[:, None] * [1.8, -1.5, 1.2, -1.8, 1.0]
    seconds, amount = draw.uniform(0, 172_800, 3000), draw.lognormal(3, 1.2, 3000)
    x[:, 12], x[:, 13] = (seconds, amount) if raw else ((seconds - 86_400) / 50_000, (amount - 41) / 75)
    inputs = keras.Input((14,))
    x_ = dense_stack(inputs, 32, 2, activation="relu")
    model = keras.Model(inputs, keras.layers.Dense(1, "sigmoid", name="output")(x_))
    return Fit(
        model, x.astype("f4"), fraud.astype("i4"), keras.optimizers.Adam(1e-3), "binary_crossentropy", skill.binary,
        steps=400, batch_size=64, fit_options={"class_weight": {0: 1.0, 1: 30.0}},
    )  # fmt: skip


def _passengers(seed: int, *, filled: bool = True) -> Fit:
    """Who was saved, from class, sex, age, fare and relatives; a fifth of the ages was never written down."""
    keras.utils.set_random_seed(seed)
    draw = np.random.default_rng(seed)
    count = 890
    cabin, woman = draw.integers(1, 4, count), draw.random(count) < 0.36
    age, relatives = draw.gamma(4, 7.5, count), draw.poisson(0.8, count)
    fare = draw.lognormal(4.6 - cabin * 0.8, 0.5)
    chance = 1 / (1 + np.exp(-(2.6 + 3.0 * woman - 1.3 * cabin - 0.045 * age)))
    saved = draw.random(count) < chance
    age[draw.random(count) < 0.2] = np.nan
    if filled:
        age = np.where(np.isnan(age), np.nanmedian(age), age)
    x = np.stack([cabin, woman, age, np.log1p(fare), relatives], 1)
    x = (x - np.nanmean(x, 0)) / np.nanstd(x, 0)
    inputs = keras.Input((5,))
    x_ = dense_stack(inputs, 16, 2, between=lambda _: [keras.layers.Dropout(0.2)], activation="relu")
    model = keras.Model(inputs, keras.layers.Dense(1, "sigmoid", name="output")(x_))
    return Fit(
        model, x.astype("f4"), saved.astype("i4"), keras.optimizers.Nadam(3e-3), "binary_crossentropy", skill.binary,
        steps=300, batch_size=32,
    )  # fmt: skip


def _segments(seed: int, *, shuffled: bool = True) -> Loop:
    """The file lists one kind of customer after the other; the loop walks through it."""
    keras.utils.set_random_seed(seed)
    x, y = data.blobs(seed, 1200, 12, 4, spread=0.9)
    order = np.random.default_rng(seed).permutation(1200) if shuffled else np.argsort(y, kind="stable")
    place = [0]
    inputs = keras.Input((12,))
    hidden = dense_stack(inputs, 24, 2, activation="relu")
    model = keras.Model(inputs, keras.layers.Dense(4, name="output")(hidden))
    entropy = cross_entropy()

    def batches(_: np.random.Generator) -> tuple[Any, ...]:
        rows = order[place[0] : place[0] + 20]
        place[0] = (place[0] + 20) % 1200
        return x[rows], y[rows]

    def forward(x: Any, y: Any) -> Any:
        return entropy(y, model(x, training=True))

    def score() -> float:
        return skill.classes(y, model(x).numpy())

    return Loop(model, keras.optimizers.SGD(0.1, momentum=0.8), batches, forward, score, steps=360, seed=seed)


def _adverts(seed: int, *, rate: float = 0.15) -> Fit:
    """Three columns of kinds, each with its table of vectors; who clicks."""
    keras.utils.set_random_seed(seed)
    draw = np.random.default_rng(seed)
    sizes = (30, 12, 7)
    tastes = [np.random.default_rng(7 + n).normal(size=(size, 3)) for n, size in enumerate(sizes)]
    kinds = [draw.integers(0, size, 2048) for size in sizes]
    site, brand, day = (taste[kind] for taste, kind in zip(tastes, kinds, strict=True))
    clicked = ((site * brand).sum(1) + day[:, 0] + draw.normal(0, 0.3, 2048) > 0).astype("i4")
    inputs = [keras.Input((), dtype="int32", name=f"kind_{n}") for n in range(3)]
    vectors = [
        keras.layers.Embedding(size, 8, name=f"vectors_{n}")(entry)
        for n, (size, entry) in enumerate(zip(sizes, inputs, strict=True))
    ]
    joined = keras.layers.Concatenate(name="joined")(vectors)
    hidden = dense_stack(joined, 48, 2, activation="relu")
    model = keras.Model(inputs, keras.layers.Dense(1, "sigmoid", name="output")(hidden))
    x = [kind.astype("i4") for kind in kinds]
    optimizer = keras.optimizers.Adagrad(rate)
    return Fit(model, x, clicked, optimizer, "binary_crossentropy", skill.binary, steps=480, batch_size=64)


family.pair(
    "wines",
    _wines,
    sickness="from-hue-to-proline-as-they-come",
    sick={"scaled": False},
    causes=["badly-scaled-input", "saturated-activation"],
    layers=("hidden_1",),
    level=0.9,
)
family.pair(
    "payments",
    _payments,
    sickness="seconds-and-amount-left-as-they-are",
    sick={"raw": True},
    causes=["badly-scaled-input"],
    layers=("hidden_1",),
    level=0.7,
)
family.pair(
    "passengers",
    _passengers,
    sickness="ages-that-are-missing",
    sick={"filled": False},
    causes=["nonfinite-values"],
    level=0.4,
)
family.pair(
    "segments",
    _segments,
    sickness="file-read-from-top-to-bottom",
    sick={"shuffled": False},
    causes=["unshuffled-batches"],
    level=0.85,
)
family.pair(
    "adverts",
    _adverts,
    sickness="adagrad-by-default",
    sick={"rate": 1e-3},
    causes=["learning-rate-too-low", "update-ratio-out-of-range:too-small", "stale-optimizer"],
    level=0.6,
)
