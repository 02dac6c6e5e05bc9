"""Tables as course notebooks fit them: `Sequential`, two or three dense layers, a set that comes with a library."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from zoo import data, skill
from zoo.lazy import keras
from zoo.nets import cross_entropy
from zoo.program import Family
from zoo.task import Fit

family = Family("notebooks", half="think")


def _districts(seed: int, count: int = 1500) -> tuple[np.ndarray, np.ndarray]:
    """Income, age, rooms, people and place of districts ``[count, 6]``, and what a house costs there, in 100,000."""
    draw = np.random.default_rng(seed)
    income = draw.lognormal(1.2, 0.45, count)
    age, rooms = draw.integers(1, 53, count), draw.normal(5.4, 1.1, count)
    people = draw.lognormal(7.0, 0.7, count)
    latitude, longitude = draw.uniform(32, 42, count), draw.uniform(-124, -114, count)
    coast = np.exp(-(((latitude - 34) / 2) ** 2) - ((longitude + 118) / 2) ** 2)
    price = 0.45 * income + 1.2 * coast + 0.15 * rooms + 0.01 * age - 0.1 * np.log(people)
    x = np.stack([income, age, rooms, people, latitude, longitude], 1)
    return x, (price + draw.normal(0, 0.15, count)).astype("f4")[:, None]


def _housing(seed: int, *, by_row: bool = False) -> Fit:
    """Scaled by scikit-learn: `StandardScaler` has columns of unit variance, `Normalizer` rows of unit length."""
    from sklearn.preprocessing import Normalizer, StandardScaler

    keras.utils.set_random_seed(seed)
    x, y = _districts(seed)
    x = (Normalizer() if by_row else StandardScaler()).fit_transform(x).astype("f4")
    model = keras.Sequential(
        [
            keras.Input((6,)),
            keras.layers.Dense(64, "relu", name="dense"),
            keras.layers.Dense(64, "relu", name="dense_1"),
            keras.layers.Dense(1, name="price"),
        ]
    )
    return Fit(model, x, y, keras.optimizers.RMSprop(1e-3), "mse", skill.fit_of, steps=500)


def _flowers(seed: int, *, last: str = "softmax") -> Fit:
    """Iris, unscaled, in batches of five; it has converged long before the end."""
    from sklearn.datasets import load_iris

    keras.utils.set_random_seed(seed)
    bunch = load_iris()
    model = keras.Sequential(
        [
            keras.Input((4,)),
            keras.layers.Dense(10, "relu", name="dense"),
            keras.layers.Dense(10, "relu", name="dense_1"),
            keras.layers.Dense(3, last, name="species"),
        ]
    )
    x, y = bunch.data.astype("f4"), np.eye(3, dtype="f4")[bunch.target]
    adam = keras.optimizers.Adam(3e-3)
    return Fit(model, x, y, adam, "categorical_crossentropy", skill.classes, steps=1200, batch_size=5)


def _activities(seed: int, *, lowest: float = -0.2, highest: float = 0.2) -> Fit:
    """Activities told from twenty measures of a telephone; weights drawn uniformly, by hand."""
    keras.utils.set_random_seed(seed)
    x, y = data.blobs(seed, kinds=6, spread=1.2)
    uniform = {"kernel_initializer": keras.initializers.RandomUniform(lowest, highest)}
    model = keras.Sequential(
        [
            keras.Input((20,)),
            keras.layers.Dense(64, "tanh", name="dense", **uniform),
            keras.layers.Dense(64, "tanh", name="dense_1", **uniform),
            keras.layers.Dense(6, "softmax", name="activity", **uniform),
        ]
    )
    loss, sgd = "sparse_categorical_crossentropy", keras.optimizers.SGD(0.02)
    return Fit(model, x, y, sgd, loss, skill.classes, steps=400, batch_size=16)


def _from_a_folder(seed: int, *, by_class: bool = False) -> Fit:
    """Digits in the order of their files, as `fit(shuffle=False)` takes them; pixels 0 to 16."""
    keras.utils.set_random_seed(seed)
    x, y = data.digits()
    order = np.argsort(y, kind="stable") if by_class else np.random.default_rng(seed).permutation(len(y))
    model = keras.Sequential(
        [
            keras.Input((64,)),
            keras.layers.Dense(64, "relu", name="dense"),
            keras.layers.Dense(10, name="digit"),
        ]
    )
    sgd = keras.optimizers.SGD(0.01)
    options = {"fit_options": {"shuffle": False}}
    return Fit(model, 16 * x[order], y[order], sgd, cross_entropy(), skill.classes, steps=280, **options)


def _regularised(seed: int, *, strength: float = 1e-4) -> Fit:
    """A penalty that makes weights sparse."""
    keras.utils.set_random_seed(seed)
    x, y = data.waves(seed)
    penalty = keras.regularizers.L1(strength)
    model = keras.Sequential(
        [
            keras.Input((6,)),
            keras.layers.Dense(64, "relu", kernel_regularizer=penalty, name="dense"),
            keras.layers.Dense(64, "relu", kernel_regularizer=penalty, name="dense_1"),
            keras.layers.Dense(1, name="yield"),
        ]
    )
    return Fit(model, x, y, keras.optimizers.Adamax(4e-3), "mse", skill.fit_of, steps=600)


def _strength(seed: int, *, activation: str = "relu") -> Fit:
    """Strength of a mixture, with its optimum at medium amounts; "it is a regression, so everything is linear"."""
    keras.utils.set_random_seed(seed)
    draw = np.random.default_rng(seed)
    x = draw.uniform(-1, 1, (1000, 8)).astype("f4")
    y = 1.2 * x[:, 0] - 2 * x[:, 1] ** 2 + 1.5 * x[:, 2] * x[:, 3] + x[:, 4] + draw.normal(0, 0.1, 1000)
    model = keras.Sequential(
        [
            keras.Input((8,)),
            keras.layers.Dense(64, activation, name="dense"),
            keras.layers.Dense(32, activation, name="dense_1"),
            keras.layers.Dense(1, "linear", name="strength"),
        ]
    )
    return Fit(model, x, y.astype("f4")[:, None], keras.optimizers.Nadam(2e-3), "mae", skill.fit_of, steps=500)


def _scheduled(seed: int, *, sign: int = -1) -> Fit:
    """The rate falls by 10 % an epoch, by the callback of the manual; much of the target cannot be explained."""
    keras.utils.set_random_seed(seed)
    x, y = data.diabetes()
    model = keras.Sequential(
        [
            keras.Input((10,)),
            keras.layers.Dense(32, "relu", name="dense"),
            keras.layers.Dense(32, "relu", name="dense_1"),
            keras.layers.Dense(1, name="progression"),
        ]
    )

    def schedule(epoch: int, rate: float) -> float:
        return rate if epoch < 10 else rate * math.exp(sign * 0.1)

    callbacks: list[Any] = [keras.callbacks.LearningRateScheduler(schedule)]
    sgd = keras.optimizers.SGD(0.01, momentum=0.9)
    return Fit(
        model, x, data.standardised(y), sgd, "mse", skill.fit_of, steps=600, fit_options={"callbacks": callbacks}
    )  # fmt: skip


family.pair(
    "housing",
    _housing,
    sickness="rows-scaled-in-place-of-columns",
    sick={"by_row": True},
    causes=["badly-scaled-input"],
    level=0.7,
)
family.pair(
    "flowers",
    _flowers,
    sickness="relu-in-place-of-softmax",
    sick={"last": "relu"},
    causes=["mismatched-loss", "dead-units"],
    layers=("species",),
    level=0.8,
)
family.pair(
    "activities",
    _activities,
    sickness="weights-from-0-to-1",
    sick={"lowest": 0.0, "highest": 1.0},
    causes=["gain-mismatch:too-large", "saturated-activation"],
    layers=("dense", "dense_1", "activity"),
    level=0.6,
)
family.pair(
    "folder",
    _from_a_folder,
    sickness="sorted-by-class",
    sick={"by_class": True},
    causes=["unshuffled-batches"],
    level=0.8,
)
family.pair(
    "penalty",
    _regularised,
    sickness="l1-of-a-twentieth",
    sick={"strength": 0.05},
    causes=["shrunken-weights"],
    layers=("dense", "dense_1"),
    level=0.7,
)
family.pair(
    "strength",
    _strength,
    sickness="linear-because-it-is-a-regression",
    sick={"activation": "linear"},
    causes=["linear-units"],
    layers=("dense", "dense_1"),
    level=0.8,
)
family.pair(
    "schedule",
    _scheduled,
    sickness="sign-of-the-decay-lost",
    sick={"sign": 1},
    causes=["learning-rate-too-high", "update-ratio-out-of-range:too-large"],
    level=0.4,
)
