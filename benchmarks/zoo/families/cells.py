"""Sequences made up for a question in a forum, and windows of a series: recurrent cells, causal filters."""

from __future__ import annotations

from typing import Any

import numpy as np

from zoo import skill
from zoo.lazy import keras, tf
from zoo.nets import cross_entropy
from zoo.program import Family
from zoo.task import Fit, Loop

family = Family("cells", half="think")


def _windows(series: np.ndarray, length: int) -> tuple[np.ndarray, np.ndarray]:
    rows = np.lib.stride_tricks.sliding_window_view(series.astype("f4"), length + 1)
    return np.ascontiguousarray(rows[:, :-1, None]), np.ascontiguousarray(rows[:, -1:])


def _travellers(seed: int, *, most: float = 1.0) -> Fit:
    """Next month from the twelve before: a trend and a season, an LSTM of 12 cells."""
    keras.utils.set_random_seed(seed)
    draw = np.random.default_rng(seed)
    month = np.arange(300)
    series = (0.25 + 0.0016 * month) * (1 + 0.3 * np.sin(month * np.pi / 6)) + draw.normal(0, 0.01, 300)
    x, y = _windows(series / series.max() * most, 12)
    inputs = keras.Input((12, 1))
    last = keras.layers.LSTM(12, name="cells")(inputs)
    model = keras.Model(inputs, keras.layers.Dense(1, name="output")(last))
    return Fit(model, x, y, keras.optimizers.Adam(0.01), "mse", skill.fit_of, steps=420, batch_size=16)


def _letters(seed: int, *, spread: float = 0.0) -> Loop:
    """The next letter of a refrain, two layers of tanh cells, clipped now and then."""
    keras.utils.set_random_seed(seed)
    text = "row row row your boat gently down the stream merrily merrily life is but a dream "
    letters = sorted(set(text))
    numbers = np.array([letters.index(letter) for letter in text * 6], "i4")
    inputs = keras.Input((24,), dtype="int32")
    rows = keras.layers.Embedding(len(letters), 12, name="letters")(inputs)
    states = keras.initializers.RandomNormal(stddev=spread) if spread else "orthogonal"
    for number in (1, 2):
        rows = keras.layers.SimpleRNN(48, return_sequences=True, recurrent_initializer=states, name=f"cells_{number}")(
            rows
        )
    model = keras.Model(inputs, keras.layers.Dense(len(letters), name="output")(rows))
    entropy = cross_entropy()

    def batches(draw: np.random.Generator) -> tuple[Any, ...]:
        places = draw.integers(0, len(numbers) - 25, 16)[:, None] + np.arange(25)
        return numbers[places[:, :-1]], numbers[places[:, 1:]]

    def forward(x: Any, y: Any) -> Any:
        return entropy(y, model(x, training=True))

    def score() -> float:
        x, y = batches(np.random.default_rng(5))
        return skill.classes(y[..., None], model(x).numpy())

    def change(gradients: list[Any]) -> list[Any]:
        return tf.clip_by_global_norm(gradients, 1.0)[0]

    return Loop(model, keras.optimizers.RMSprop(3e-3), batches, forward, score, steps=220, seed=seed, change=change)


def _returns(seed: int, *, percent: float = 100.0) -> Fit:
    """The change of a price by tomorrow, from five signals of today; most of it is chance."""
    keras.utils.set_random_seed(seed)
    draw = np.random.default_rng(seed)
    x = draw.normal(size=(1500, 20, 5)).astype("f4")
    drift = np.tanh(x[:, -5:, 0].mean(1) * 3) - 0.7 * x[:, -1, 1] * (x[:, -1, 2] > 0)
    y = ((drift + draw.normal(0, 0.6, 1500)) * 0.01 * percent).astype("f4")[:, None]
    inputs = keras.Input((20, 5))
    maps = inputs
    for number, gap in enumerate((1, 2, 4), 1):
        maps = keras.layers.Conv1D(
            24, 3, padding="causal", dilation_rate=gap, activation="relu", name=f"causal_{number}"
        )(maps)
    last = keras.layers.Lambda(lambda maps: maps[:, -1], name="last")(maps)
    model = keras.Model(inputs, keras.layers.Dense(1, name="output")(last))
    optimizer = keras.optimizers.SGD(0.02, momentum=0.9)
    return Fit(model, x, y, optimizer, "mse", skill.fit_of, steps=470, batch_size=32)


def _meters(seed: int, *, rate: float = 3e-3) -> Fit:
    """A bidirectional GRU marks the steps at which a machine was running."""
    keras.utils.set_random_seed(seed)
    draw = np.random.default_rng(seed)
    on = np.cumsum(draw.random((600, 24)) < 0.2, 1) % 2
    x = (on * 0.8 + 0.3 * np.sin(np.arange(24) / 3) + draw.normal(0, 0.35, (600, 24)))[..., None].astype("f4")
    inputs = keras.Input((24, 1))
    rows = keras.layers.Bidirectional(keras.layers.GRU(12, return_sequences=True, name="gru"), name="cells")(inputs)
    model = keras.Model(inputs, keras.layers.Dense(1, "sigmoid", name="output")(rows))
    y = on[..., None].astype("f4")
    optimizer = keras.optimizers.Adamax(rate)
    return Fit(model, x, y, optimizer, "binary_crossentropy", skill.binary, steps=230, batch_size=32)


family.pair(
    "returns",
    _returns,
    sickness="changes-as-fractions",
    sick={"percent": 1.0},
    causes=["badly-scaled-target"],
    level=0.3,
)
family.pair(
    "meters",
    _meters,
    sickness="rate-of-a-hundred-thousandth",
    sick={"rate": 1e-5},
    causes=["learning-rate-too-low", "update-ratio-out-of-range:too-small"],
    level=0.6,
)
family.pair(
    "letters",
    _letters,
    sickness="states-from-a-unit-normal",
    sick={"spread": 1.0},
    causes=["gain-mismatch:too-large", "exploding-gradient", "saturated-activation"],
    layers=("cells_1", "cells_2"),
    level=0.7,
)
family.pair(
    "travellers",
    _travellers,
    sickness="travellers-by-their-number",
    sick={"most": 622_000.0},
    causes=["badly-scaled-input", "badly-scaled-target"],
    level=0.7,
)
