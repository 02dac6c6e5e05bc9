"""Trunks trained before and frozen, half precision, and tables of vectors for categories."""

from __future__ import annotations

from typing import Any

import numpy as np

from zoo import data, skill
from zoo.lazy import keras
from zoo.nets import cross_entropy
from zoo.program import Family
from zoo.task import Fit

family = Family("borrowed", half="think")


def _trunk(rate: float) -> Any:
    """Three layers that know the digits 0 to 4, frozen."""
    x, y = data.digits()
    known = y < 5
    trunk = keras.Sequential([keras.Input((64,))], name="trunk")
    for number in (1, 2, 3):
        trunk.add(keras.layers.Dense(64, "relu", name=f"trunk_{number}"))
    whole = keras.Sequential([trunk, keras.layers.Dense(5)])
    whole.compile(keras.optimizers.Adam(rate), cross_entropy())
    whole.fit(x[known], y[known], epochs=4, verbose=0)
    trunk.trainable = False
    return trunk


def _new_digits() -> tuple[np.ndarray, np.ndarray]:
    x, y = data.digits()
    return x[y >= 5], y[y >= 5] - 5


def _head(seed: int, *, trunk_rate: float = 2e-3) -> Fit:
    """The trunk was trained at that rate before it was stored."""
    keras.utils.set_random_seed(seed)
    x, y = _new_digits()
    model = keras.Sequential(
        [
            keras.Input((64,)),
            _trunk(trunk_rate),
            keras.layers.Dense(32, "relu", name="head_1"),
            keras.layers.Dropout(0.3),
            keras.layers.Dense(5, name="output"),
        ]
    )
    return Fit(model, x, y, keras.optimizers.Adam(2e-3), cross_entropy(), skill.classes, steps=280)


def _prepared(seed: int, *, factor: float = 1.0) -> Fit:
    """The trunk has seen pixels from 0 to 1."""
    keras.utils.set_random_seed(seed)
    x, y = _new_digits()
    model = keras.Sequential(
        [
            keras.Input((64,)),
            _trunk(2e-3),
            keras.layers.Dense(32, "relu", name="head_1"),
            keras.layers.Dense(5, "softmax", name="output"),
        ]
    )
    optimizer = keras.optimizers.SGD(0.05, momentum=0.9)
    return Fit(model, factor * x, y, optimizer, "sparse_categorical_crossentropy", skill.classes, steps=300)


def _scaled(seed: int, *, scale: float = 2.0**10) -> Fit:
    """The loss is multiplied by a constant, because halves end at 65,504 and at 6e-8."""
    keras.utils.set_random_seed(seed)
    x, y = data.digits()
    model = keras.Sequential([keras.Input((64,))])
    for number in (1, 2, 3):
        model.add(keras.layers.Dense(64, "relu", dtype="mixed_float16", name=f"hidden_{number}"))
    model.add(keras.layers.Dense(10, "softmax", name="output"))
    optimizer = keras.optimizers.SGD(0.05, momentum=0.9, loss_scale_factor=scale)
    return Fit(model, x, y, optimizer, "sparse_categorical_crossentropy", skill.classes, steps=300)


def _compressed(seed: int, *, halves: str = "mixed_bfloat16") -> Fit:
    """An autoencoder whose error, stated for pixels from 0 to 255, is divided by 255 squared."""
    keras.utils.set_random_seed(seed)
    x, _ = data.digits()
    model = keras.Sequential([keras.Input((64,))])
    for name, units in (("encoder_1", 48), ("encoder_2", 6), ("decoder_1", 48)):
        model.add(keras.layers.Dense(units, "tanh", dtype=halves, name=name))
    model.add(keras.layers.Dense(64, name="output"))

    def error(truth: Any, made: Any) -> Any:
        return keras.losses.mean_squared_error(truth, made) / 255.0**2

    return Fit(model, x, x, keras.optimizers.Lion(1e-3), error, skill.fit_of, steps=500, batch_size=64)


def _films(seed: int, *, spread: float = 0.1) -> Fit:
    """What 80 people think of 100 films: a product of two vectors, and two biases."""
    keras.utils.set_random_seed(seed)
    draw = np.random.default_rng(seed)
    person, film = draw.integers(0, 80, 3000), draw.integers(0, 100, 3000)
    taste, kind = draw.normal(size=(80, 3)), draw.normal(size=(100, 3))
    y = 3.5 + 0.6 * (taste[person] * kind[film]).sum(1) + draw.normal(0, 0.3, 3000)
    x = [person.astype("i4")[:, None], film.astype("i4")[:, None]]
    inputs, vectors, biases = [], [], []
    for name, count in (("person", 80), ("film", 100)):
        number = keras.Input((1,), dtype="int32")
        weights = keras.initializers.RandomNormal(stddev=spread)
        vector = keras.layers.Embedding(count, 12, embeddings_initializer=weights, name=name)(number)
        inputs.append(number)
        vectors.append(keras.layers.Flatten()(vector))
        biases.append(keras.layers.Flatten()(keras.layers.Embedding(count, 1, name=f"{name}_bias")(number)))
    liking = keras.layers.Dot(1)(vectors)
    model = keras.Model(inputs, keras.layers.Add()([liking, *biases]))
    y = np.clip(y, 1, 5).astype("f4")[:, None]
    return Fit(model, x, y, keras.optimizers.Adam(5e-3), "mse", skill.fit_of, steps=750, batch_size=64)


def _shops(seed: int, *, optimizer: str = "adam") -> Fit:
    """Sales of 300 shops by shop, weekday and price."""
    keras.utils.set_random_seed(seed)
    draw = np.random.default_rng(seed)
    shop, day = draw.integers(0, 300, 3000), draw.integers(0, 7, 3000)
    price = draw.normal(size=(3000, 1)).astype("f4")
    effect, slope = draw.normal(size=300), draw.normal(size=300)
    y = effect[shop] + 0.4 * np.sin(day) + 0.5 * slope[shop] * price[:, 0] + draw.normal(0, 0.2, 3000)
    numbers = [keras.Input((1,), dtype="int32") for _ in range(2)]
    amount = keras.Input((1,))
    parts = [
        keras.layers.Flatten()(keras.layers.Embedding(count, width, name=name)(number))
        for number, (name, count, width) in zip(numbers, (("shop", 300, 10), ("day", 7, 3)), strict=True)
    ]
    hidden = keras.layers.Concatenate()([*parts, amount])
    for number in (1, 2):
        hidden = keras.layers.Dense(48, "relu", name=f"hidden_{number}")(hidden)
    model = keras.Model([*numbers, amount], keras.layers.Dense(1, name="output")(hidden))
    x = [shop.astype("i4")[:, None], day.astype("i4")[:, None], price]
    return Fit(model, x, y.astype("f4")[:, None], optimizer, "mse", skill.fit_of, steps=750)


family.pair(
    "head",
    _head,
    sickness="trunk-that-died-before-it-was-stored",
    sick={"trunk_rate": 1.0},
    causes=["dead-units", "collapsed-representation", "constant-output"],
    layers=("trunk", "trunk_1", "trunk_2", "trunk_3"),
    level=0.6,
)
family.pair(
    "prepared",
    _prepared,
    sickness="pixels-0-to-255",
    sick={"factor": 255.0},
    causes=["badly-scaled-input", "exploding-gradient"],
    level=0.6,
)
family.pair(
    "scaled",
    _scaled,
    sickness="loss-times-sixteen-million",
    sick={"scale": 2.0**24},
    causes=["nonfinite-values"],
    level=0.8,
    every=1,
)
family.pair(
    "compressed",
    _compressed,
    sickness="the-other-halves",
    sick={"halves": "mixed_float16"},
    causes=["gradient-underflow"],
    layers=("encoder_1", "encoder_2", "decoder_1"),
    level=0.35,
)
family.pair(
    "films",
    _films,
    sickness="vectors-ten-times-too-long",
    sick={"spread": 1.0},
    causes=["gain-mismatch:too-large"],
    layers=("person", "film"),
    level=0.6,
)
family.pair(
    "shops",
    _shops,
    sickness="plain-descent-for-rare-rows",
    sick={"optimizer": "sgd"},
    causes=["learning-rate-too-low", "update-ratio-out-of-range:too-small", "vanishing-gradient"],
    layers=("shop", "day"),
    level=0.6,
    every=25,
)
