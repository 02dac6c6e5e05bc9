"""Forecasts of a load curve: recurrent, by dilated convolutions, and of quantiles."""

from __future__ import annotations

from typing import Any

import numpy as np

from zoo import skill
from zoo.lazy import keras, tf
from zoo.program import Family
from zoo.task import Fit, Loop

family = Family("forecasting", half="think")


def _load_curve(seed: int, window: int = 24, count: int = 960) -> tuple[np.ndarray, np.ndarray]:
    """Windows ``[count, window, 1]`` of an hourly curve, mean about 0 and deviation about 1, and the next hour."""
    draw = np.random.default_rng(seed)
    hours = np.arange(count + window)
    noise = np.convolve(draw.normal(size=len(hours)), 0.8 ** np.arange(12), "same")
    curve = np.sin(2 * np.pi * hours / 24) + 0.5 * np.sin(2 * np.pi * hours / 168) + 0.2 * noise
    windows = np.lib.stride_tricks.sliding_window_view(curve / curve.std(), window + 1).astype("f4")
    return windows[:, :-1, None], windows[:, -1:]


def _lstm(seed: int, *, megawatts: float = 1.0, base: float = 0.0) -> Fit:
    keras.utils.set_random_seed(seed)
    x, y = _load_curve(seed)
    model = keras.Sequential(
        [keras.Input(x.shape[1:]), keras.layers.LSTM(24, name="lstm"), keras.layers.Dense(1, name="forecast")]
    )
    return Fit(
        model, x, y * megawatts + base, keras.optimizers.Adam(5e-3), "mean_squared_error", skill.fit_of, steps=240
    )


family.pair(
    "load-lstm",
    _lstm,
    sickness="targets-in-megawatts",
    sick={"megawatts": 800.0, "base": 4000.0},
    causes=["badly-scaled-target"],
    layers=("forecast",),
)


def _dilated(seed: int, *, rate: float = 3e-3, steps: int = 360) -> Fit:
    keras.utils.set_random_seed(seed)
    x, y = _load_curve(seed, window=32)
    layers = keras.layers
    inputs = keras.Input(x.shape[1:])
    stream = layers.Conv1D(16, 1, name="lift")(inputs)
    for power in range(5):
        branch = layers.Conv1D(
            16, 2, padding="causal", dilation_rate=2**power, activation="relu", name=f"dilated_{power}"
        )
        mixed = layers.Conv1D(16, 1, name=f"mix_{power}")(branch(stream))
        stream = layers.Add(name=f"add_{power}")([stream, mixed])
    output = layers.Dense(1, name="forecast")(layers.Lambda(lambda t: t[:, -1], name="now")(stream))
    schedule = keras.optimizers.schedules.CosineDecay(rate, steps)
    return Fit(
        keras.Model(inputs, output), x, y, keras.optimizers.Nadam(schedule), keras.losses.Huber(), skill.fit_of,
        steps=steps,
    )  # fmt: skip


family.pair(
    "seasonal-dilated",
    _dilated,
    sickness="rate-too-high",
    sick={"rate": 1.0},
    causes=["learning-rate-too-high", "update-ratio-out-of-range:too-large"],
)


def _quantiles(seed: int, *, largest_norm: float = 1.0) -> Loop:
    """Three quantiles by the pinball loss; the loop clips the gradients itself."""
    keras.utils.set_random_seed(seed)
    x, y = _load_curve(seed)
    layers = keras.layers
    inputs = keras.Input(x.shape[1:])
    both = layers.Bidirectional(layers.GRU(12), name="both_ways")(inputs)
    model = keras.Model(inputs, layers.Dense(3, name="quantiles")(both))
    levels = tf.constant([0.1, 0.5, 0.9])

    def forward(past: Any, truth: Any) -> Any:
        error = truth - model(past, training=True)
        return tf.reduce_mean(tf.maximum(levels * error, (levels - 1) * error))

    def batches(draw: np.random.Generator) -> tuple[Any, ...]:
        rows = draw.integers(0, len(x), 48)
        return x[rows], y[rows]

    def change(gradients: list[Any]) -> list[Any]:
        return tf.clip_by_global_norm(gradients, largest_norm)[0]

    return Loop(
        model, keras.optimizers.SGD(0.2, momentum=0.9, nesterov=True), batches, forward,
        lambda: skill.fit_of(y, model.predict(x, verbose=0)[:, 1:2]), steps=300, seed=seed, change=change,
    )  # fmt: skip


family.pair(
    "load-quantiles",
    _quantiles,
    sickness="clipped-to-a-ten-thousandth",
    sick={"largest_norm": 1e-4},
    causes=["permanent-clipping"],
)
