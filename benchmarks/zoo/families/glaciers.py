"""Glaciers: how thick they are, what radar sees in them, and how they melt."""

from __future__ import annotations

from typing import Any

import numpy as np

from zoo import data, skill
from zoo.lazy import keras
from zoo.nets import cross_entropy, dense_stack, normal
from zoo.program import Family
from zoo.task import Fit

family = Family("glaciers", half="test")


def _thickness(seed: int, *, scaled: bool = True) -> Fit:
    """How thick the ice is, from height in metres, slope, year, easting and northing."""
    keras.utils.set_random_seed(seed)
    draw = np.random.default_rng(seed)
    height, slope, year = draw.uniform(900, 4300, 1200), draw.uniform(1, 40, 1200), draw.uniform(1985, 2021, 1200)
    place = draw.uniform(0, 30000, (1200, 2))
    ice = 1.5 * np.sin(height / 700) + 0.8 * np.cos(place[:, 0] / 5000) - slope / 20 - (year - 2000) / 25
    ice = ice + draw.normal(0, 0.15, 1200)
    x = np.stack([height, slope, year, place[:, 0], place[:, 1]], 1).astype("f4")
    x = data.standardised(x) if scaled else x
    inputs = keras.Input((5,))
    hidden = dense_stack(inputs, 40, 2, activation="tanh")
    model = keras.Model(inputs, keras.layers.Dense(1, name="thickness")(hidden))
    optimizer = keras.optimizers.RMSprop(3e-3)
    y = data.standardised(ice)[:, None]
    return Fit(model, x, y, optimizer, "mae", skill.fit_of, steps=600, batch_size=40)


def _echoes(seed: int, count: int = 600, length: int = 48) -> tuple[np.ndarray, np.ndarray]:
    """Radar echoes ``[count, 48, 1]`` of four kinds of bed."""
    draw = np.random.default_rng(seed)
    kind = draw.integers(0, 4, count)
    depth = draw.uniform(14, 34, count)[:, None]
    times = np.arange(length)[None] - depth
    rate = np.array([0.7, 1.2, 0.7, 1.2])[kind][:, None]
    fading = np.array([3.0, 3.0, 9.0, 9.0])[kind][:, None]
    echo = np.cos(rate * times) * np.exp(-np.abs(times) / fading) * 1.6
    return (echo + draw.normal(0, 0.15, (count, length)))[..., None].astype("f4"), kind.astype("i4")


def _radargrams(seed: int, *, start: Any = "he_normal") -> Fit:
    """What bed an echo is from: ten convolutions over time."""
    keras.utils.set_random_seed(seed)
    x, kind = _echoes(seed)
    inputs = keras.Input((48, 1))
    hidden = inputs
    for number in range(1, 11):
        layer = keras.layers.Conv1D(
            16,
            5,
            strides=2 if number in (3, 6) else 1,
            padding="same",
            activation="relu",
            kernel_initializer=normal(start) if isinstance(start, float) else start,
            name=f"echo_{number}",
        )
        hidden = layer(hidden)
    hidden = keras.layers.GlobalAveragePooling1D()(hidden)
    model = keras.Model(inputs, keras.layers.Dense(4, name="bed")(hidden))
    optimizer = keras.optimizers.Adam(2e-3)
    return Fit(model, x, kind, optimizer, cross_entropy(), skill.classes, steps=300)


def _melt(seed: int, *, share: float = 1.0) -> Fit:
    """The water that is stored after a season of days, by a plain recurrent network."""
    keras.utils.set_random_seed(seed)
    draw = np.random.default_rng(seed)
    warmth = draw.normal(size=(800, 30, 1))
    stored = np.zeros(800)
    for day in range(30):
        stored = 0.9 * stored + np.maximum(warmth[:, day, 0], 0) * (0.5 + 0.5 * np.tanh(stored))
    inputs = keras.Input((30, 1))
    start = keras.initializers.RandomNormal(stddev=1.5) if share > 1 else keras.initializers.Orthogonal(share)
    hidden = keras.layers.SimpleRNN(32, recurrent_initializer=start, name="days")(inputs)
    model = keras.Model(inputs, keras.layers.Dense(1, name="stored")(hidden))
    optimizer = keras.optimizers.Adam(1e-3, clipnorm=1.0)
    y = data.standardised(stored)[:, None]
    return Fit(model, warmth.astype("f4"), y, optimizer, "mse", skill.fit_of, steps=500)


def _ice(seed: int, count: int = 400, side: int = 16) -> tuple[np.ndarray, np.ndarray]:
    """Pictures of ice with dark cracks, and where those are."""
    draw = np.random.default_rng(seed)
    ys, xs = np.mgrid[:side, :side]
    crack = np.zeros((count, side, side), bool)
    for _ in range(2):
        angle, shift = draw.uniform(0, np.pi, (count, 1, 1)), draw.uniform(-6, 6, (count, 1, 1))
        crack |= np.abs((xs - side / 2) * np.sin(angle) - (ys - side / 2) * np.cos(angle) - shift) < 0.8
    light = draw.uniform(0.6, 0.9, (count, 1, 1)) + draw.normal(0, 0.12, crack.shape) - 0.35 * crack
    return light.clip(0, 1)[..., None].astype("f4"), crack[..., None].astype("f4")


def _crevasses(seed: int, *, ending: str = "linear") -> Fit:
    """Where the cracks are: convolutions down, up, and a shortcut."""
    keras.utils.set_random_seed(seed)
    x, crack = _ice(seed)
    inputs = keras.Input((16, 16, 1))
    scaled = keras.layers.Rescaling(4.0, -3.0)(inputs)
    fine = keras.layers.Conv2D(8, 3, padding="same", activation="relu", name="fine")(scaled)
    coarse = keras.layers.MaxPooling2D(2)(fine)
    coarse = keras.layers.Conv2D(16, 3, padding="same", activation="relu", name="coarse")(coarse)
    coarse = keras.layers.UpSampling2D(2)(coarse)
    joined = keras.layers.Concatenate()([fine, coarse])
    joined = keras.layers.Conv2D(8, 3, padding="same", activation="relu", name="joined")(joined)
    model = keras.Model(inputs, keras.layers.Conv2D(1, 1, activation=ending, name="crack")(joined))
    optimizer = keras.optimizers.Adam(5e-3)
    loss = keras.losses.BinaryCrossentropy(from_logits=True)

    def score(y: Any, predicted: Any) -> float:
        return skill.binary(y, predicted, 0.0)

    return Fit(model, x, crack, optimizer, loss, score, steps=250, batch_size=16)


family.pair(
    "thickness",
    _thickness,
    sickness="metres-and-years-as-they-are",
    sick={"scaled": False},
    causes=["badly-scaled-input", "saturated-activation"],
    level=0.6,
)
family.pair(
    "radargrams",
    _radargrams,
    sickness="kernels-of-a-fiftieth",
    sick={"start": 0.02},
    causes=["gain-mismatch:too-small", "vanishing-gradient"],
    level=0.6,
)
family.pair(
    "melt",
    _melt,
    sickness="recurrence-of-a-wide-normal",
    sick={"share": 1.5},
    causes=["gain-mismatch:too-large", "exploding-gradient", "saturated-activation"],
    layers=("days",),
    level=0.6,
)
family.pair(
    "crevasses",
    _crevasses,
    sickness="logits-cut-off-at-zero",
    sick={"ending": "relu"},
    causes=["mismatched-loss", "dead-units"],
    layers=("crack",),
    level=0.6,
)
