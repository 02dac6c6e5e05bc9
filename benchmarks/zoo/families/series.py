"""Series of measurements: recurrent networks and convolutions over time."""

from __future__ import annotations

from typing import Any

import numpy as np

from zoo import skill
from zoo.lazy import keras
from zoo.nets import cross_entropy
from zoo.program import Family
from zoo.task import Fit

family = Family("series", half="think")


def _shapes(seed: int, count: int = 768, length: int = 20) -> tuple[np.ndarray, np.ndarray]:
    """Sines, squares and saws ``[count, length, 1]`` of random phase, and which one it is."""
    draw = np.random.default_rng(seed)
    kind = draw.integers(0, 3, count)
    phase = draw.uniform(0, 1, (count, 1)) + np.arange(length) / 10
    waves = np.stack([np.sin(2 * np.pi * phase), np.sign(np.sin(2 * np.pi * phase)), 2 * (phase % 1) - 1])
    x = waves[kind, np.arange(count)] + draw.normal(0, 0.1, (count, length))
    return x[..., None].astype("f4"), kind.astype("i4")


def _memory(seed: int, *, bias: float | None = None) -> Fit:
    """Which sign came first, of twelve numbers."""
    keras.utils.set_random_seed(seed)
    x = np.random.default_rng(seed).normal(size=(1024, 12, 1)).astype("f4")
    y = (x[:, 0, 0] > 0).astype("i4")
    inputs = keras.Input((12, 1))
    biases = "zeros" if bias is None else keras.initializers.Constant(bias)
    last = keras.layers.LSTM(16, bias_initializer=biases, unit_forget_bias=bias is None, name="memory")(inputs)
    model = keras.Model(inputs, keras.layers.Dense(1, "sigmoid", name="output")(last))
    return Fit(model, x, y, keras.optimizers.Adam(1e-2), "binary_crossentropy", skill.binary, steps=320, batch_size=64)


def _waveform(seed: int, *, rate: float = 5e-3) -> Fit:
    keras.utils.set_random_seed(seed)
    x, y = _shapes(seed)
    inputs = keras.Input(x.shape[1:])
    hidden = keras.layers.Bidirectional(keras.layers.LSTM(12, name="lstm"), name="both_ways")(inputs)
    model = keras.Model(inputs, keras.layers.Dense(3, name="output")(hidden))
    return Fit(model, x, y, keras.optimizers.RMSprop(rate), cross_entropy(), skill.classes, steps=200)


def _sensors(seed: int, *, epsilon: float = 1e-8) -> Fit:
    """An autoencoder for five sensors, of which the last is stuck."""
    keras.utils.set_random_seed(seed)
    draw = np.random.default_rng(seed)
    time = np.arange(16) / 5 + draw.uniform(0, 6, (640, 1))
    x = np.stack([np.sin(time), np.cos(time), np.sin(2 * time), np.sin(time) ** 2, np.full_like(time, 21.0)], -1)
    x += draw.normal(0, 0.05, x.shape) * [1, 1, 1, 1, 0]
    with np.errstate(invalid="ignore"):
        x = ((x - x.mean((0, 1))) / (x.std((0, 1)) + epsilon)).astype("f4")
    inputs = keras.Input(x.shape[1:])
    maps = keras.layers.Conv1D(16, 4, 4, activation="relu", name="down")(inputs)
    maps = keras.layers.Conv1DTranspose(16, 4, 4, activation="relu", name="up")(maps)
    model = keras.Model(inputs, keras.layers.Conv1D(5, 3, padding="same", name="output")(maps))

    def score(truth: Any, made: Any) -> float:
        return skill.fit_of(truth[..., :4].reshape(-1, 4), made[..., :4].reshape(-1, 4))

    return Fit(model, x, x, keras.optimizers.Adam(5e-3), "mse", score, steps=300)


def _relu_over_time(seed: int, *, gain: float = 1.0) -> Fit:
    """Adds up marked numbers; the recurrent weights start as a multiple of the identity."""
    keras.utils.set_random_seed(seed)
    draw = np.random.default_rng(seed)
    x = draw.uniform(0, 1, (1024, 25, 2)).astype("f4")
    x[..., 1] = draw.random((1024, 25)) < 0.1
    y = x.prod(-1).sum(-1, keepdims=True)
    inputs = keras.Input((25, 2))
    last = keras.layers.SimpleRNN(
        24, "relu", recurrent_initializer=keras.initializers.Identity(gain), name="sum",
        kernel_initializer=keras.initializers.RandomNormal(stddev=0.05),
    )(inputs)  # fmt: skip
    model = keras.Model(inputs, keras.layers.Dense(1, name="output")(last))
    return Fit(model, x, y, keras.optimizers.Adam(2e-3, clipnorm=5.0), "mse", skill.fit_of, steps=350)


family.pair(
    "memory",
    _memory,
    sickness="gates-that-start-closed",
    sick={"bias": -6.0},
    causes=["saturated-activation", "vanishing-gradient", "gain-mismatch:too-small"],
    layers=("memory",),
    level=0.6,
)
family.pair(
    "waveform",
    _waveform,
    sickness="rate-too-high",
    sick={"rate": 5.0},
    causes=["learning-rate-too-high", "update-ratio-out-of-range:too-large"],
    level=0.6,
)
family.pair(
    "sensors",
    _sensors,
    sickness="a-stuck-sensor-divided-by-zero",
    sick={"epsilon": 0.0},
    causes=["nonfinite-values"],
    level=0.6,
    every=1,
)
