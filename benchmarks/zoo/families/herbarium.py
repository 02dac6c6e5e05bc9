"""Leaves for which a trunk is borrowed that has learned on other leaves: frozen, tuned, or as stored features."""

from __future__ import annotations

from typing import Any

import numpy as np

from zoo import skill
from zoo.lazy import keras
from zoo.nets import cross_entropy
from zoo.program import Family
from zoo.task import Fit

family = Family("herbarium", half="think")


def _leaves(seed: int, kinds: range, count: int = 512, side: int = 12) -> tuple[np.ndarray, np.ndarray]:
    """Outlines ``[count, side, side, 1]`` in 0 to 1 of leaves with as many lobes as their kind, turned at random."""
    draw = np.random.default_rng(seed)
    kind = draw.integers(0, len(kinds), count)
    shift = draw.uniform(-1, 1, (2, count, 1, 1))
    ys, xs = (np.mgrid[:side, :side] - (side - 1) / 2)[:, None] + shift
    lobes = (kind + kinds.start)[:, None, None]
    turn = draw.uniform(0, 2 * np.pi, (count, 1, 1))
    edge = draw.uniform(3.3, 4.3, (count, 1, 1)) * (1 + 0.4 * np.cos(lobes * (np.arctan2(ys, xs) + turn)))
    x = (np.hypot(ys, xs) < edge) * 0.7 + draw.normal(0.15, 0.08, xs.shape)
    return np.clip(x, 0, 1)[..., None].astype("f4"), kind.astype("i4")


def _trunk(inputs: Any) -> Any:
    maps = inputs
    for number, filters in enumerate((12, 24, 32), 1):
        maps = keras.layers.Conv2D(filters, 3, padding="same", activation="relu", name=f"conv_{number}")(maps)
        maps = keras.layers.MaxPooling2D(2 if number < 3 else 3)(maps)
    return keras.layers.Flatten(name="features")(maps)


def _borrowed(seed: int, *, weights: str | None = "lobed") -> Any:
    """A trunk, trained on leaves of two to five lobes unless no weights are asked for."""
    keras.utils.set_random_seed(seed)
    inputs = keras.Input((12, 12, 1))
    trunk = keras.Model(inputs, _trunk(inputs), name="trunk")
    if weights is not None:
        x, y = _leaves(seed + 100, range(2, 6), 768)
        model = keras.Model(inputs, keras.layers.Dense(4, name="old_top")(trunk(inputs)))
        model.compile(keras.optimizers.Adam(3e-3), cross_entropy())
        model.fit(x, y, batch_size=32, epochs=6, verbose=0)
    return trunk


def _frozen(seed: int, *, weights: str | None = "lobed") -> Fit:
    trunk = _borrowed(seed, weights=weights)
    trunk.trainable = False
    x, y = _leaves(seed, range(3, 7))
    inputs = keras.Input(x.shape[1:])
    hidden = keras.layers.Dropout(0.2)(trunk(inputs))
    model = keras.Model(inputs, keras.layers.Dense(4, name="top")(hidden))
    return Fit(model, x, y, keras.optimizers.Adam(3e-3), cross_entropy(), skill.classes, steps=320)


def _tuned(seed: int, *, decay: float = 4e-3) -> Fit:
    """All of it is trained further, at a small rate."""
    trunk = _borrowed(seed)
    x, y = _leaves(seed, range(3, 7))
    inputs = keras.Input(x.shape[1:])
    model = keras.Model(inputs, keras.layers.Dense(4, name="top")(trunk(inputs)))
    optimizer = keras.optimizers.AdamW(1e-3, weight_decay=decay)
    return Fit(model, x, y, optimizer, cross_entropy(), skill.classes, steps=320)


def _stored_features(seed: int, *, axis: int | None = 1) -> Fit:
    """The trunk's features are computed once; a small network learns from them."""
    trunk = _borrowed(seed)
    pictures, y = _leaves(seed, range(3, 7))
    x = trunk.predict(pictures, verbose=0)
    x /= np.linalg.norm(x, axis=axis, keepdims=True) + 1e-6
    inputs = keras.Input(x.shape[1:])
    hidden = keras.layers.Dense(32, "relu", name="hidden")(inputs)
    model = keras.Model(inputs, keras.layers.Dense(4, "softmax", name="top")(hidden))
    optimizer = keras.optimizers.SGD(0.1, momentum=0.9)
    return Fit(model, x, y, optimizer, "sparse_categorical_crossentropy", skill.classes, steps=340)


def _growing(seed: int, *, factor: float = 0.9) -> Fit:
    """A callback sets the rate of each epoch."""
    trunk = _borrowed(seed)
    x, y = _leaves(seed, range(3, 7))
    inputs = keras.Input(x.shape[1:])
    hidden = keras.layers.Dense(32, "relu", name="hidden")(trunk(inputs))
    model = keras.Model(inputs, keras.layers.Dense(4, name="top")(hidden))
    rates = keras.callbacks.LearningRateScheduler(lambda _epoch, rate: rate * factor)
    optimizer = keras.optimizers.RMSprop(5e-4)
    fit_options = {"callbacks": [rates]}
    return Fit(model, x, y, optimizer, cross_entropy(), skill.classes, steps=320, fit_options=fit_options)


_TRUNK = ("conv_1", "conv_2", "conv_3")

family.pair(
    "frozen",
    _frozen,
    sickness="frozen-without-weights",
    sick={"weights": None},
    causes=["unchanged-weights"],
    layers=_TRUNK,
    level=0.6,
)
family.pair(
    "tuned",
    _tuned,
    sickness="decay-of-5",
    sick={"decay": 5.0},
    causes=["shrunken-weights"],
    level=0.7,
)
family.pair(
    "stored-features",
    _stored_features,
    sickness="divided-by-the-length-of-all",
    sick={"axis": None},
    causes=["badly-scaled-input", "learning-rate-too-low"],
    level=0.7,
)
family.pair(
    "growing-rate",
    _growing,
    sickness="rate-search-left-in",
    sick={"factor": 1.25},
    causes=["learning-rate-too-high", "update-ratio-out-of-range:too-large"],
    level=0.7,
)
