"""Networks of coordinates and of time: sine networks, equations as a loss, flows through time."""

from __future__ import annotations

from typing import Any

import numpy as np

from zoo import data, skill
from zoo.lazy import keras, tf
from zoo.nets import cross_entropy
from zoo.program import Family
from zoo.task import Fit, Loop

family = Family("physics", half="think")


def _siren(seed: int, *, proper: bool = True, frequency: float = 30.0) -> Fit:
    """A signal of one coordinate by sine layers (Sitzmann et al. 2020); weights shrink with the frequency."""
    keras.utils.set_random_seed(seed)
    x = np.linspace(-1, 1, 512, dtype="f4")[:, None]
    y = (np.sin(25 * x) * np.exp(-2 * x**2) + 0.5 * np.sign(np.sin(9 * x))).astype("f4")
    stream = inputs = keras.Input((1,))
    for number in range(1, 4):
        bound = 1.0 if number == 1 else (6 / 48) ** 0.5 / frequency
        initializer = keras.initializers.RandomUniform(-bound, bound) if proper else "glorot_uniform"
        stream = keras.layers.Dense(
            48, activation=lambda t: tf.sin(frequency * t), kernel_initializer=initializer, name=f"sine_{number}"
        )(stream)
    model = keras.Model(inputs, keras.layers.Dense(1, name="signal")(stream))
    return Fit(model, x, y, keras.optimizers.Adam(2e-4), "mse", skill.fit_of, steps=480, batch_size=64)


family.pair(
    "siren",
    _siren,
    sickness="default-weights-in-sine-layers",
    sick={"proper": False},
    causes=["gain-mismatch:too-large"],
    layers=[f"sine_{number}" for number in range(1, 4)],
)


def _oscillator(seed: int, *, seconds: float = 1.0) -> Loop:
    """u'' = -w² u with u(0) = 1 and u'(0) = 0, by the residual of the equation; time in units of its own."""
    keras.utils.set_random_seed(seed)
    inputs = keras.Input((1,))
    stream = inputs
    for number in range(1, 4):
        stream = keras.layers.Dense(32, "tanh", name=f"hidden_{number}")(stream)
    model = keras.Model(inputs, keras.layers.Dense(1, name="position")(stream))
    grid = np.linspace(0, 1, 64, dtype="f4")[:, None] * seconds
    omega = 4.0 / seconds

    def forward(times: Any) -> Any:
        with tf.GradientTape() as outer:
            outer.watch(times)
            with tf.GradientTape() as inner:
                inner.watch(times)
                position = model(times, training=True)
            speed = inner.gradient(position, times)
        residual = outer.gradient(speed, times) / omega**2 + position
        start = (position[0, 0] - 1) ** 2 + (speed[0, 0] / omega) ** 2
        return tf.reduce_mean(residual**2) + 5 * start

    return Loop(
        model, keras.optimizers.Adam(4e-3), lambda _draw: (grid,), forward,
        lambda: skill.fit_of(np.cos(omega * grid), model.predict(grid, verbose=0)), steps=700, seed=seed,
    )  # fmt: skip


family.pair(
    "oscillator",
    _oscillator,
    sickness="time-in-seconds",
    sick={"seconds": 3600.0},
    causes=["badly-scaled-input"],
    layers=("input", "hidden_1"),
)


def _through_time(seed: int, *, step_size: float = 0.1, optimizer: str = "SGD") -> Fit:
    """x' = f(x) by twenty steps of Euler through one and the same two layers, then a linear classifier."""
    keras.utils.set_random_seed(seed)
    x, y = data.spirals(seed, count=800, arms=2)
    layers = keras.layers
    inputs = keras.Input((2,))
    state = layers.Dense(12, name="lift")(inputs)
    inner, outer = layers.Dense(32, "softplus", name="inner"), layers.Dense(12, name="outer")
    for _ in range(20):
        state = state + step_size * outer(inner(state))
    model = keras.Model(inputs, layers.Dense(2, name="output")(state))
    return Fit(model, x, y, getattr(keras.optimizers, optimizer)(0.03), cross_entropy(), skill.classes, steps=500)


family.pair(
    "through-time",
    _through_time,
    sickness="step-size-left-out",
    sick={"step_size": 1.0},
    causes=["gain-mismatch:too-large", "exploding-gradient"],
    layers=("inner", "outer"),
)
