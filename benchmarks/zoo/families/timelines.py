"""Recurrent networks as courses teach them: forecasts from windows, pictures read row by row, long memories."""

from __future__ import annotations

import numpy as np

from zoo import data, skill
from zoo.lazy import keras
from zoo.nets import cross_entropy
from zoo.program import Family
from zoo.task import Fit

family = Family("timelines", half="think")


def _windows(series: np.ndarray, length: int) -> tuple[np.ndarray, np.ndarray]:
    """Windows ``[count, length, 1]`` of a series and the value that follows each."""
    views = np.lib.stride_tricks.sliding_window_view(series, length + 1)
    return views[:, :-1, None].astype("f4"), views[:, -1:].astype("f4")


def _passengers(seed: int, *, scaled: bool = True) -> Fit:
    """Monthly numbers of passengers, in thousands: a growing trend and seasons that grow with it."""
    keras.utils.set_random_seed(seed)
    month = np.arange(240)
    seasons = 1 + 0.25 * np.sin(2 * np.pi * month / 12) + 0.1 * np.cos(2 * np.pi * month / 6)
    series = (110 + 2.2 * month) * seasons + np.random.default_rng(seed).normal(0, 8, 240)
    if scaled:
        series = (series - series.min()) / (series.max() - series.min())
    x, y = _windows(series, 12)
    model = keras.Sequential([
        keras.Input((12, 1)),
        keras.layers.LSTM(32, name="lstm"),
        keras.layers.Dense(1, name="output"),
    ])  # fmt: skip
    return Fit(model, x, y, keras.optimizers.Adam(5e-3), "mse", skill.fit_of, steps=300, batch_size=16)


def _digit_rows(seed: int, *, rate: float = 1e-3) -> Fit:
    """A digit is a series of eight rows, with pixels 0 to 16 as they come."""
    keras.utils.set_random_seed(seed)
    x, y = data.digits()
    rows = keras.Input((8, 8))
    hidden = keras.layers.SimpleRNN(48, return_sequences=True, name="rnn_1")(rows)
    hidden = keras.layers.SimpleRNN(48, return_sequences=True, name="rnn_2")(hidden)
    hidden = keras.layers.SimpleRNN(48, name="rnn_3")(hidden)
    model = keras.Model(rows, keras.layers.Dense(10, "softmax", name="output")(hidden))
    optimizer = keras.optimizers.RMSprop(rate)
    return Fit(model, 16 * x.reshape(-1, 8, 8), y, optimizer, "sparse_categorical_crossentropy", skill.classes, 250)


def _gestures(seed: int, *, sort: bool = False) -> Fit:
    """Tracks of a hand in the plane, five gestures; `fit` is told not to shuffle."""
    keras.utils.set_random_seed(seed)
    draw = np.random.default_rng(seed)
    kind = draw.integers(0, 5, 1920)
    if sort:
        kind = np.sort(kind)
    time = np.linspace(0, 1, 15)[None] + draw.uniform(-0.1, 0.1, (1920, 1))
    turns = (kind[:, None] % 3 + 1) * np.where(kind[:, None] > 2, -1, 1)
    x = np.stack([np.cos(2 * np.pi * turns * time), np.sin(2 * np.pi * turns * time)], -1)
    x = (x * draw.uniform(0.6, 1.4, (1920, 1, 1)) + draw.normal(0, 0.35, x.shape)).astype("f4")
    inputs = keras.Input((15, 2))
    hidden = keras.layers.GRU(24, name="gru")(inputs)
    hidden = keras.layers.Dropout(0.2)(hidden)
    model = keras.Model(inputs, keras.layers.Dense(5, name="output")(hidden))
    return Fit(
        model, x, kind.astype("i4"), keras.optimizers.Adam(1e-2), cross_entropy(), skill.classes,
        steps=180, fit_options={"shuffle": False},
    )  # fmt: skip


def _long_recall(seed: int, *, activation: str = "tanh") -> Fit:
    """One of four symbols at the start, then noise: which was it?"""
    keras.utils.set_random_seed(seed)
    draw = np.random.default_rng(seed)
    y = draw.integers(0, 4, 800)
    x = draw.normal(0, 0.3, (800, 45, 5))
    x[:, 0] += 2 * np.eye(5)[y]
    x[:, :, 4] = draw.normal(0, 1, (800, 45))
    inputs = keras.Input((45, 5))
    hidden = keras.layers.SimpleRNN(32, activation, name="memory")(inputs)
    model = keras.Model(inputs, keras.layers.Dense(4, name="output")(hidden))
    return Fit(model, x.astype("f4"), y, keras.optimizers.Adam(3e-3), cross_entropy(), skill.classes, 200, 64)


def _machine(seed: int, *, activation: str = "tanh") -> Fit:
    """Next value of a machine's vibration, from the forty before it."""
    keras.utils.set_random_seed(seed)
    time = np.arange(900) / 4
    series = np.sin(time) + 0.6 * np.sin(0.31 * time) + np.random.default_rng(seed).normal(0, 0.1, 900)
    x, y = _windows(10 * series, 40)
    inputs = keras.Input((40, 1))
    hidden = keras.layers.LSTM(32, activation=activation, return_sequences=True, name="lstm_1")(inputs)
    hidden = keras.layers.LSTM(32, activation=activation, name="lstm_2")(hidden)
    model = keras.Model(inputs, keras.layers.Dense(1, name="output")(hidden))
    optimizer = keras.optimizers.SGD(0.002, momentum=0.9)
    return Fit(model, x, y, optimizer, "mse", skill.fit_of, steps=130, batch_size=32)


def _rhythm(seed: int, *, same: bool = False) -> Fit:
    """Beats in two channels; asked is how far the second lags behind the first."""
    keras.utils.set_random_seed(seed)
    draw = np.random.default_rng(seed)
    lag = draw.integers(0, 6, 900)
    first = (draw.random((900, 18)) < 0.35).astype("f4")
    second = first[np.arange(900)[:, None], (np.arange(18) - lag[:, None]) % 18]
    x = np.stack([first, second], -1)
    weights = {"kernel_initializer": "ones", "recurrent_initializer": "ones"} if same else {}
    inputs = keras.Input((18, 2))
    hidden = keras.layers.GRU(32, name="gru", **weights)(inputs)
    model = keras.Model(inputs, keras.layers.Dense(6, name="output")(hidden))
    return Fit(model, x, lag, keras.optimizers.Nadam(1e-2), cross_entropy(), skill.classes, steps=360)


def _ward(seed: int, *, share: float = 0.3) -> Fit:
    """Two-way memory over a patient's day; one patient in fifteen falls ill, and dropout is heavy."""
    keras.utils.set_random_seed(seed)
    draw = np.random.default_rng(seed)
    ill = draw.random(1200) < 1 / 15
    pulse = draw.normal(0, 1, (1200, 12, 3))
    pulse[:, 6:, 0] += 1.5 * ill[:, None]
    pulse[:, 6:, 2] -= 1.5 * ill[:, None]
    inputs = keras.Input((12, 3))
    hidden = keras.layers.Bidirectional(keras.layers.LSTM(16, dropout=share, name="lstm"), name="both")(inputs)
    hidden = keras.layers.Dropout(share)(hidden)
    model = keras.Model(inputs, keras.layers.Dense(1, "sigmoid", name="output")(hidden))
    return Fit(
        model, pulse.astype("f4"), ill.astype("f4"), keras.optimizers.Adam(5e-3), "binary_crossentropy",
        skill.binary, steps=220, fit_options={"class_weight": {0: 1.0, 1: 14.0}},
    )  # fmt: skip


family.pair(
    "passengers",
    _passengers,
    sickness="thousands-as-they-come",
    sick={"scaled": False},
    causes=["badly-scaled-input", "badly-scaled-target"],
    level=0.8,
)
family.pair(
    "digit-rows",
    _digit_rows,
    sickness="rate-of-a-tenth",
    sick={"rate": 0.1},
    causes=["learning-rate-too-high", "update-ratio-out-of-range:too-large"],
    level=0.8,
)
family.pair(
    "gestures",
    _gestures,
    sickness="sorted-and-not-shuffled",
    sick={"sort": True},
    causes=["unshuffled-batches"],
    level=0.8,
)
family.pair(
    "long-recall",
    _long_recall,
    sickness="sigmoid-in-the-cell",
    sick={"activation": "sigmoid"},
    causes=["vanishing-gradient", "gain-mismatch:too-small"],
    layers=("memory",),
    level=0.6,
    every=10,
)
family.pair(
    "machine",
    _machine,
    sickness="relu-in-the-cells",
    sick={"activation": "relu"},
    causes=["exploding-gradient", "gain-mismatch:too-large"],
    level=0.6,
    every=1,
)
family.pair(
    "rhythm",
    _rhythm,
    sickness="all-weights-one",
    sick={"same": True},
    causes=["symmetric-weights", "gain-mismatch:too-large", "saturated-activation"],
    layers=("gru",),
    level=0.5,
)
family.pair(
    "ward",
    _ward,
    sickness="dropout-of-0.97",
    sick={"share": 0.97},
    causes=["excessive-dropout"],
    level=0.6,
)
