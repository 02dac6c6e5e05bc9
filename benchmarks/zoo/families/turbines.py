"""Machines that report over time: what they will do next, and what is wrong with them."""

from __future__ import annotations

from typing import Any

import numpy as np

from zoo import skill
from zoo.data import standardised
from zoo.lazy import keras, tf
from zoo.nets import cross_entropy
from zoo.program import Family
from zoo.task import Fit, Loop

family = Family("turbines", half="think")


def _power(seed: int, *, scaled: bool = True) -> Fit:
    """The next hour's power from the last 16 hours."""
    keras.utils.set_random_seed(seed)
    draw = np.random.default_rng(seed)
    hours = np.arange(1000)
    wind = 1 + 0.5 * np.sin(hours / 7) + 0.3 * np.sin(hours / 3 + 1) + draw.normal(0, 0.05, 1000)
    power = (800e3 * np.maximum(wind, 0)).astype("f4")
    windows = np.stack([power[start : start + 16] for start in range(980)])[..., None]
    y = standardised(power[16:996, None])
    x = (windows - power.mean()) / power.std() if scaled else windows
    inputs = keras.Input((16, 1))
    last = keras.layers.LSTM(24, name="lstm")(inputs)
    model = keras.Model(inputs, keras.layers.Dense(1, name="output")(last))
    return Fit(model, x, y, keras.optimizers.Adam(5e-3), "mse", skill.fit_of, steps=250)


def _remaining(seed: int, *, unit: float = 125.0) -> Fit:
    """How long an engine still lasts: at the most 125 flights of ten hours."""
    keras.utils.set_random_seed(seed)
    draw = np.random.default_rng(seed)
    left = draw.uniform(0, 125, (700, 1))
    wear = np.exp(-(left + 1.5 * np.arange(24)[::-1]) / 50)[..., None] * [1.0, -0.8, 0.5]
    x = standardised(wear + draw.normal(0, 0.15, wear.shape))
    inputs = keras.Input((24, 3))
    maps = keras.layers.Conv1D(16, 5, activation="relu", name="conv_1")(inputs)
    maps = keras.layers.Conv1D(16, 5, activation="relu", name="conv_2")(maps)
    hidden = keras.layers.Dense(32, "relu", name="hidden")(keras.layers.GlobalAveragePooling1D()(maps))
    model = keras.Model(inputs, keras.layers.Dense(1, name="output")(hidden))
    return Fit(model, x, (left / unit).astype("f4"), keras.optimizers.Adam(3e-4), "mae", skill.fit_of, steps=350)


def _gears(seed: int, *, learned: bool = True) -> Fit:
    """Residual convolutions, each behind a factor that starts at zero."""
    keras.utils.set_random_seed(seed)
    draw = np.random.default_rng(seed)
    kind = draw.integers(0, 4, 700)
    time = np.arange(32) + draw.uniform(0, 32, (700, 1))
    x = np.sin(time * 0.6) * (1 + (kind[:, None] % 2) * np.sin(time * 0.25)) + (kind[:, None] > 1) * np.sin(time * 1.8)
    x = (x + draw.normal(0, 0.15, x.shape))[..., None].astype("f4")

    class Factor(keras.layers.Layer):
        def build(self, _shape: Any) -> None:
            self.factor = self.add_weight(shape=(), initializer="zeros", trainable=learned, name="factor")

        def call(self, x: Any) -> Any:
            return self.factor * x

    inputs = keras.Input((32, 1))
    x_ = keras.layers.Conv1D(16, 1, name="stem")(inputs)
    for number in range(1, 7):
        branch = keras.layers.Conv1D(16, 3, padding="same", activation="relu", name=f"branch_{number}")(x_)
        x_ = x_ + Factor(name=f"factor_{number}")(branch)
    model = keras.Model(inputs, keras.layers.Dense(4, name="output")(keras.layers.GlobalMaxPooling1D()(x_)))
    optimizer = keras.optimizers.Adam(5e-3)
    return Fit(model, x, kind.astype("i4"), optimizer, cross_entropy(), skill.classes, steps=300)


def _pitch(seed: int, *, bound: float = 1.0) -> Fit:
    """An angle at every step, smoothed from noisy gusts; gradients are seldom longer than the bound."""
    keras.utils.set_random_seed(seed)
    draw = np.random.default_rng(seed)
    x = draw.normal(size=(700, 20, 2)).astype("f4")
    y = np.zeros((700, 20, 1))
    for step in range(1, 20):
        y[:, step] = 0.8 * y[:, step - 1] + 0.6 * x[:, step, :1] - 0.3 * x[:, step - 1, 1:]
    inputs = keras.Input((20, 2))
    steps = keras.layers.GRU(20, return_sequences=True, name="gru")(inputs)
    model = keras.Model(inputs, keras.layers.Dense(1, name="output")(steps))
    optimizer = keras.optimizers.SGD(0.1, momentum=0.9, global_clipnorm=bound)

    def score(truth: Any, predicted: Any) -> float:
        return skill.fit_of(truth.reshape(-1, 1), predicted.reshape(-1, 1))

    return Fit(model, x, y.astype("f4"), optimizer, "mse", score, steps=300)


def _yaw(seed: int, *, gain: float = 1.0) -> Fit:
    """Which way the wind blew on the whole, from thirty readings of a vane."""
    keras.utils.set_random_seed(seed)
    draw = np.random.default_rng(seed)
    x = draw.normal(size=(900, 30, 1)) + draw.normal(0, 0.5, (900, 1, 1))
    y = (x.sum(1) > 0).astype("i4")
    inputs = keras.Input((30, 1))
    start = keras.initializers.Orthogonal(gain)
    last = keras.layers.SimpleRNN(24, recurrent_initializer=start, name="rnn")(inputs)
    model = keras.Model(inputs, keras.layers.Dense(1, "sigmoid", name="output")(last))
    optimizer = keras.optimizers.Adam(1e-3, clipnorm=1.0)
    return Fit(model, x.astype("f4"), y, optimizer, "binary_crossentropy", skill.binary, steps=300)


def _alarms(seed: int, *, shuffled: bool = True) -> Fit:
    """Faults by a small convolution; the file holds one kind of fault after another."""
    keras.utils.set_random_seed(seed)
    draw = np.random.default_rng(seed)
    kind = np.sort(draw.integers(0, 5, 800))
    time = np.arange(40) + draw.uniform(0, 40, (800, 1))
    x = np.sin(time * (0.3 + 0.25 * kind[:, None])) + draw.normal(0, 0.4, (800, 40))
    inputs = keras.Input((40, 1))
    maps = keras.layers.Conv1D(24, 7, activation="relu", name="conv_1")(inputs)
    maps = keras.layers.Conv1D(24, 5, activation="relu", name="conv_2")(maps)
    model = keras.Model(inputs, keras.layers.Dense(5, name="output")(keras.layers.GlobalAveragePooling1D()(maps)))
    optimizer = keras.optimizers.SGD(0.05, momentum=0.9)
    options = {"shuffle": shuffled}
    return Fit(
        model, x[..., None].astype("f4"), kind.astype("i4"), optimizer, cross_entropy(), skill.classes,
        steps=350, batch_size=20, fit_options=options,
    )  # fmt: skip


def _exchanged(seed: int, *, unit: float = 1.0) -> Loop:
    """The load from eight sensors; from the hundred and fiftieth step on, of a new make."""
    keras.utils.set_random_seed(seed)
    draw = np.random.default_rng(seed)
    x = draw.normal(size=(1000, 8)).astype("f4")
    y = (np.tanh(x[:, :1] * x[:, 1:2]) + 0.5 * x[:, 2:3] + 0.05 * draw.normal(size=(1000, 1))).astype("f4")
    inputs = keras.Input((8,))
    hidden = keras.layers.Dense(48, "relu", name="hidden_1")(inputs)
    hidden = keras.layers.Dense(48, "relu", name="hidden_2")(hidden)
    model = keras.Model(inputs, keras.layers.Dense(1, name="output")(hidden))
    asked = iter(range(100_000))

    def batches(draw: np.random.Generator) -> tuple[Any, ...]:
        rows = draw.integers(0, 1000, 32)
        return x[rows] * np.float32(unit if next(asked) > 150 else 1), y[rows]  # the proof asks for one batch before

    def score() -> float:
        return skill.fit_of(y, model(x * np.float32(unit)))

    def loss(x: Any, y: Any) -> Any:
        return tf.reduce_mean(tf.square(model(x, training=True) - y))

    return Loop(model, keras.optimizers.Adam(2e-3), batches, loss, score, steps=400, seed=seed)


family.pair(
    "power",
    _power,
    sickness="watts-as-they-come",
    sick={"scaled": False},
    causes=["badly-scaled-input", "saturated-activation"],
    level=0.6,
)
family.pair(
    "remaining",
    _remaining,
    sickness="hours-in-place-of-shares",
    sick={"unit": 0.1},
    causes=["badly-scaled-target", "learning-rate-too-low"],
    level=0.6,
)
family.pair(
    "gears",
    _gears,
    sickness="factors-of-zero-not-trained",
    sick={"learned": False},
    causes=["vanishing-gradient", "omitted-variable", "disconnected-variable", "unchanged-weights"],
    layers=[f"{part}_{number}" for part in ("branch", "factor") for number in range(1, 7)],
    level=0.6,
)
family.pair(
    "pitch",
    _pitch,
    sickness="clipped-to-a-thousandth",
    sick={"bound": 1e-3},
    causes=["permanent-clipping"],
    level=0.6,
)
family.pair(
    "yaw",
    _yaw,
    sickness="recurrent-gain-of-4",
    sick={"gain": 4.0},
    causes=["gain-mismatch:too-large", "saturated-activation", "exploding-gradient"],
    layers=("rnn",),
    level=0.6,
)
family.pair(
    "alarms",
    _alarms,
    sickness="not-shuffled",
    sick={"shuffled": False},
    causes=["unshuffled-batches"],
    level=0.6,
)
family.pair(
    "exchanged",
    _exchanged,
    sickness="new-sensors-in-thousandths",
    sick={"unit": 1000.0},
    causes=["badly-scaled-input"],
    level=0.6,
    every=10,
)
