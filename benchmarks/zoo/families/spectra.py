"""Spectra and their codes: autoencoders for what a spectrometer sees."""

from __future__ import annotations

from typing import Any

import numpy as np

from zoo import data, skill
from zoo.lazy import keras, tf
from zoo.nets import dense_stack
from zoo.program import Family
from zoo.task import Fit

family = Family("spectra", half="think")


def _lines(seed: int, count: int = 700, length: int = 48) -> np.ndarray:
    """Spectra ``[count, length]`` in 0 to 1: four lines at known places, of any strength, on a slope."""
    draw = np.random.default_rng(seed)
    places = np.array([8, 19, 27, 40])
    shapes = np.exp(-(((np.arange(length) - places[:, None]) / 2.5) ** 2))
    strengths = draw.uniform(0, 0.7, (count, 4))
    slope = draw.uniform(0, 0.25, (count, 1)) * np.linspace(0, 1, length)
    return np.clip(strengths @ shapes + slope + draw.normal(0, 0.02, (count, length)), 0, 1).astype("f4")


def _flat(truth: Any, made: Any) -> float:
    return skill.fit_of(np.asarray(truth).reshape(len(truth), -1), np.asarray(made).reshape(len(made), -1))


def _noise(seed: int, *, counts: float = 1.0) -> Fit:
    """Takes the noise off, by convolutions."""
    keras.utils.set_random_seed(seed)
    clean = _lines(seed)[..., None] * np.float32(counts)
    noisy = clean + counts * np.random.default_rng(seed).normal(0, 0.15, clean.shape)
    inputs = keras.Input((48, 1))
    maps = keras.layers.Conv1D(16, 5, 2, padding="same", activation="relu", name="down")(inputs)
    maps = keras.layers.Conv1D(16, 5, padding="same", activation="relu", name="middle")(maps)
    maps = keras.layers.Conv1DTranspose(16, 5, 2, padding="same", activation="relu", name="up")(maps)
    model = keras.Model(inputs, keras.layers.Conv1D(1, 3, padding="same", activation="sigmoid", name="output")(maps))
    return Fit(model, noisy.astype("f4"), clean, keras.optimizers.Adam(3e-3), "mse", _flat, steps=300)


def _sparse(seed: int, *, activation: str = "sigmoid") -> Fit:
    """Each unit of the code is to be active a tenth of the time, by the divergence of two coins."""
    keras.utils.set_random_seed(seed)
    x = _lines(seed)

    def divergence(active: Any) -> Any:
        share = tf.reduce_mean(active, 0)
        wanted = 0.1
        return 1e-3 * tf.reduce_sum(
            wanted * tf.math.log(wanted / share) + (1 - wanted) * tf.math.log((1 - wanted) / (1 - share))
        )

    inputs = keras.Input((48,))
    code = keras.layers.Dense(32, activation, activity_regularizer=divergence, name="code")(inputs)
    model = keras.Model(inputs, keras.layers.Dense(48, name="output")(code))
    return Fit(model, x, x, keras.optimizers.Adam(5e-3), "mse", _flat, steps=400)


def _eight(seed: int, *, activation: str | None = None) -> Fit:
    """Digits through eight numbers."""
    keras.utils.set_random_seed(seed)
    x, _ = data.digits()
    inputs = keras.Input((64,))
    hidden = keras.layers.Dense(48, "relu", name="down")(inputs)
    code = keras.layers.Dense(8, activation, name="code")(hidden)
    hidden = keras.layers.Dense(48, "relu", name="up")(code)
    model = keras.Model(inputs, keras.layers.Dense(64, "sigmoid", name="output")(hidden))
    return Fit(model, x, x, keras.optimizers.Adam(3e-3), "binary_crossentropy", _flat, steps=400, batch_size=64)


def _kinetics(seed: int, *, dropout: float = 0.1) -> Fit:
    """A reaction over twelve readings, into one vector and back."""
    keras.utils.set_random_seed(seed)
    draw = np.random.default_rng(seed)
    time = np.linspace(0, 3, 12)
    rates = draw.uniform(0.2, 2, (600, 1))
    x = np.stack([np.exp(-rates * time), 1 - np.exp(-rates * time)], -1) * draw.uniform(0.4, 1, (600, 1, 1))
    x = (x - x.mean()) / x.std()
    inputs = keras.Input((12, 2))
    code = keras.layers.LSTM(16, dropout=dropout, name="encoder")(inputs)
    steps = keras.layers.LSTM(16, return_sequences=True, name="decoder")(keras.layers.RepeatVector(12)(code))
    model = keras.Model(inputs, keras.layers.Dense(2, name="output")(steps))
    return Fit(model, x.astype("f4"), x.astype("f4"), keras.optimizers.Adam(5e-3), "mse", _flat, steps=300)


def _interferogram(seed: int, *, start: float = 1.0) -> Fit:
    """The cosine part of an interferogram from its sine part; each residual block has a vector of scales."""
    keras.utils.set_random_seed(seed)
    draw = np.random.default_rng(seed)
    hidden_state = draw.normal(size=(900, 3))
    phases = hidden_state @ np.random.default_rng(7).normal(size=(3, 24))
    x, y = np.sin(phases).astype("f4"), np.cos(phases).astype("f4")

    class Scale(keras.layers.Layer):
        def build(self, shape: Any) -> None:
            first = keras.initializers.Constant(start)
            self.scale = self.add_weight(shape=(shape[-1],), initializer=first, name="scale")

        def call(self, x: Any) -> Any:
            return self.scale * x

    inputs = keras.Input((24,))
    x_ = keras.layers.Dense(48, name="stem")(inputs)
    for number in range(1, 5):
        branch = keras.layers.LayerNormalization(name=f"norm_{number}")(x_)
        branch = keras.layers.Dense(64, "gelu", name=f"wide_{number}")(branch)
        branch = keras.layers.Dense(48, name=f"narrow_{number}")(branch)
        x_ = x_ + Scale(name=f"scale_{number}")(branch)
    model = keras.Model(inputs, keras.layers.Dense(24, name="output")(x_))
    optimizer = keras.optimizers.SGD(0.01, momentum=0.9)
    return Fit(model, x, y, optimizer, "mse", _flat, steps=400)


def _tall(seed: int, *, activation: str = "tanh") -> Fit:
    """Eight layers down to six numbers and up again."""
    keras.utils.set_random_seed(seed)
    x = _lines(seed)
    x = (x - x.mean(0)) / x.std(0)
    inputs = keras.Input((48,))
    down = dense_stack(inputs, 32, 4, activation=activation)
    up = keras.layers.Dense(6, name="code")(down)
    for number in range(1, 5):
        up = keras.layers.Dense(32, activation, name=f"up_{number}")(up)
    model = keras.Model(inputs, keras.layers.Dense(48, name="output")(up))
    return Fit(model, x, x, keras.optimizers.RMSprop(1e-3), "mse", _flat, steps=350)


family.pair(
    "noise",
    _noise,
    sickness="counts-to-ten-thousand",
    sick={"counts": 1e4},
    causes=["badly-scaled-target", "badly-scaled-input", "saturated-activation", "mismatched-loss"],
    level=0.5,
)
family.pair(
    "sparse",
    _sparse,
    sickness="shares-of-a-relu",
    sick={"activation": "relu"},
    causes=["nonfinite-values"],
    level=0.5,
    every=1,
)
family.pair(
    "eight",
    _eight,
    sickness="softmax-over-the-code",
    sick={"activation": "softmax"},
    causes=["misplaced-softmax", "saturated-activation"],
    layers=("code",),
    level=0.5,
)
family.pair(
    "kinetics",
    _kinetics,
    sickness="dropout-of-0.9",
    sick={"dropout": 0.9},
    causes=["excessive-dropout"],
    layers=("encoder",),
    level=0.6,
)
family.pair(
    "interferogram",
    _interferogram,
    sickness="scales-of-a-millionth",
    sick={"start": 1e-6},
    causes=["vanishing-gradient", "gain-mismatch:too-small", "update-ratio-out-of-range:too-small"],
    layers=[f"{part}_{number}" for part in ("norm", "wide", "narrow", "scale") for number in range(1, 5)],
    level=0.4,
)
family.pair(
    "tall",
    _tall,
    sickness="sigmoids-down-and-up",
    sick={"activation": "sigmoid"},
    causes=["vanishing-gradient", "saturated-activation"],
    level=0.5,
)
