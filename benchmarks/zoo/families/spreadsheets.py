"""Tables of measures, and what class each row is: plain stacks of dense layers, as tutorials set them."""

from __future__ import annotations

from typing import Any

import numpy as np

from zoo import data, skill
from zoo.lazy import keras
from zoo.nets import cross_entropy
from zoo.program import Family
from zoo.task import Fit

family = Family("spreadsheets", half="think")

_CLASSES = "sparse_categorical_crossentropy"


def _sequential(entries: int, widths: tuple[int, ...], activation: str | None, **options: Any) -> Any:
    model = keras.Sequential([keras.Input((entries,))])
    for number, width in enumerate(widths, 1):
        model.add(keras.layers.Dense(width, activation, name=f"hidden_{number}", **options))
    return model


def _iris(seed: int, *, rate: float = 1e-2) -> Fit:
    """The first network of many a course: a hundred epochs of one batch."""
    from sklearn.datasets import load_iris

    keras.utils.set_random_seed(seed)
    bunch = load_iris()
    model = _sequential(4, (10, 10), "relu")
    model.add(keras.layers.Dense(3, "softmax", name="output"))
    x, y = data.standardised(bunch.data), bunch.target.astype("i4")
    return Fit(model, x, y, keras.optimizers.Adam(rate), _CLASSES, skill.classes, steps=100, batch_size=150)


def _wine(seed: int, *, one_maximum: bool = False) -> Fit:
    keras.utils.set_random_seed(seed)
    x, y = data.wine()
    x = (x / (x.max() if one_maximum else x.max(0))).astype("f4")
    model = _sequential(13, (16,), "relu")
    model.add(keras.layers.Dense(3, "softmax", name="output"))
    return Fit(model, x, y, keras.optimizers.RMSprop(3e-3), _CLASSES, skill.classes, steps=300, batch_size=16)


def _credit(seed: int, *, logarithm: bool = True) -> Fit:
    """Who pays back: what people earn and owe, and two marks; both amounts have a long tail."""
    keras.utils.set_random_seed(seed)
    draw = np.random.default_rng(seed)
    earned, owed = np.exp(draw.normal(9, 3.5, (2, 1024)))
    marks = draw.normal(size=(2, 1024))
    y = (np.log(earned / owed) / 2 + marks[0] * marks[1] + draw.normal(0, 0.2, 1024) > 0).astype("f4")
    amounts = [np.log(earned), np.log(owed)] if logarithm else [earned, owed]
    x = data.standardised(np.stack([*amounts, *marks], 1))
    model = _sequential(4, (32, 32), "relu")
    model.add(keras.layers.Dense(1, "sigmoid", name="output"))
    return Fit(model, x, y, keras.optimizers.SGD(0.1), "binary_crossentropy", skill.binary, steps=600)


def _fraud(seed: int, *, rate: float = 1e-3) -> Fit:
    """One case in fifty, weighed fifty times; wide layers and much decay."""
    keras.utils.set_random_seed(seed)
    draw = np.random.default_rng(seed)
    x = draw.normal(size=(3000, 12)).astype("f4")
    risk = x[:, 0] * x[:, 1] + x[:, 2] + 0.5 * x[:, 3] ** 2
    y = (risk > np.quantile(risk, 0.98)).astype("f4")
    model = _sequential(12, (256, 128, 64), "relu")
    model.add(keras.layers.Dropout(0.3))
    model.add(keras.layers.Dense(1, "sigmoid", name="output"))
    optimizer = keras.optimizers.AdamW(rate, weight_decay=0.01)
    options = {"class_weight": {0: 1.0, 1: 50.0}}
    return Fit(
        model, x, y, optimizer, "binary_crossentropy", skill.binary, steps=240, batch_size=128, fit_options=options
    )


def _moons(seed: int, *, depth: int = 3) -> Fit:
    """Two moons, by layers of ten."""
    from sklearn.datasets import make_moons

    keras.utils.set_random_seed(seed)
    x, y = make_moons(800, noise=0.1, random_state=seed)
    model = _sequential(2, (10,) * depth, "relu")
    model.add(keras.layers.Dense(2, name="output"))
    optimizer = keras.optimizers.SGD(0.1)
    return Fit(model, x.astype("f4"), y.astype("i4"), optimizer, cross_entropy(), skill.classes, steps=800)


def _rings(seed: int, *, activation: str | None = "tanh") -> Fit:
    """A ring about a disc; a tenth of the labels are wrong."""
    from sklearn.datasets import make_circles

    keras.utils.set_random_seed(seed)
    x, truth = make_circles(800, noise=0.08, factor=0.5, random_state=seed)
    wrong = np.random.default_rng(seed).random(800) < 0.1
    y = np.where(wrong, 1 - truth, truth).astype("f4")
    model = _sequential(2, (16, 16), activation)
    model.add(keras.layers.Dense(1, "sigmoid", name="output"))
    optimizer = keras.optimizers.Adam(5e-3)
    return Fit(model, x.astype("f4"), y, optimizer, "binary_crossentropy", skill.binary, steps=500, batch_size=20)


def _tumours(seed: int, *, decay: float = 1e-3) -> Fit:
    """The rate falls as old versions of Keras let it fall, by an argument named ``decay``."""
    keras.utils.set_random_seed(seed)
    x, y = data.cancer()
    model = _sequential(30, (16, 8), "sigmoid")
    model.add(keras.layers.Dense(1, "sigmoid", name="output"))
    schedule = keras.optimizers.schedules.InverseTimeDecay(0.1, 1, decay)
    optimizer = keras.optimizers.SGD(schedule, momentum=0.9)
    return Fit(
        model, data.standardised(x), y.astype("f4"), optimizer, "binary_crossentropy", skill.binary, steps=540,
        batch_size=10,
    )  # fmt: skip


family.pair(
    "iris",
    _iris,
    sickness="rate-of-a-hundredth",
    sick={"rate": 1e-4},
    causes=["learning-rate-too-low", "update-ratio-out-of-range:too-small"],
    level=0.8,
)
family.pair(
    "wine",
    _wine,
    sickness="divided-by-the-largest-of-all",
    sick={"one_maximum": True},
    causes=["badly-scaled-input"],
    level=0.8,
)
family.pair(
    "credit",
    _credit,
    sickness="amounts-without-logarithm",
    sick={"logarithm": False},
    causes=["badly-scaled-input", "exploding-gradient"],
    level=0.7,
)
family.pair(
    "fraud",
    _fraud,
    sickness="rate-300-times-too-high",
    sick={"rate": 0.3},
    causes=["learning-rate-too-high", "update-ratio-out-of-range:too-large", "dead-units"],
    level=0.7,
)
family.pair(
    "moons",
    _moons,
    sickness="eighteen-layers",
    sick={"depth": 18},
    causes=["vanishing-gradient", "gain-mismatch:too-small", "dead-units"],
    level=0.8,
)
family.pair(
    "rings",
    _rings,
    sickness="no-activation",
    sick={"activation": None},
    causes=["linear-units"],
    layers=("hidden_1", "hidden_2"),
    level=0.6,
)
family.pair(
    "tumours",
    _tumours,
    sickness="decay-of-nine-tenths",
    sick={"decay": 0.9},
    causes=["learning-rate-too-low", "update-ratio-out-of-range:too-small"],
    level=0.8,
    every=10,
)
