"""Recurrent networks: series to carry on, counts, states behind states."""

from __future__ import annotations

from typing import Any

import numpy as np

from zoo import data, skill
from zoo.lazy import keras, tf
from zoo.program import Family
from zoo.task import Fit, Loop

family = Family("memories", half="think")


def _series(seed: int, length: int = 16, noise: float = 0.3) -> tuple[np.ndarray, np.ndarray]:
    """Windows ``[count, length, 1]`` of a standardised series with two periods, and the value after each."""
    draw = np.random.default_rng(seed)
    time = np.arange(1200)
    line = np.sin(2 * np.pi * time / 24) + 0.6 * np.sin(2 * np.pi * time / 9) + draw.normal(0, noise, 1200)
    line = ((line - line.mean()) / line.std()).astype("f4")
    windows = np.lib.stride_tricks.sliding_window_view(line, length + 1)
    return windows[:, :-1, None].copy(), windows[:, -1:].copy()


def _demand(seed: int, *, rate: float = 0.1) -> Fit:
    """Two layers of LSTM and Adagrad."""
    keras.utils.set_random_seed(seed)
    x, y = _series(seed)
    model = keras.Sequential(
        [
            keras.Input((16, 1)),
            keras.layers.LSTM(20, return_sequences=True, name="lstm_1"),
            keras.layers.LSTM(20, name="lstm_2"),
            keras.layers.Dense(1, name="output"),
        ]
    )
    return Fit(model, x, y, keras.optimizers.Adagrad(rate), "mse", skill.fit_of, steps=220)


def _calls(seed: int, *, swapped: bool = False) -> Fit:
    """Calls in the next hour: a mean that is an exponential, and a train step of our own."""
    keras.utils.set_random_seed(seed)
    draw = np.random.default_rng(seed)
    hour = np.arange(900)
    calls = draw.poisson(np.exp(1.2 + np.sin(2 * np.pi * hour / 12))).astype("f4")
    windows = np.lib.stride_tricks.sliding_window_view(calls, 13)
    x, y = np.log1p(windows[:, :-1, None]), windows[:, -1:].copy()

    class Counter(keras.Model):
        def __init__(self) -> None:
            super().__init__()
            self.memory = keras.layers.GRU(20, name="memory")
            self.mean = keras.layers.Dense(1, "exponential", name="mean")
            self.poisson = keras.losses.Poisson()

        def call(self, x: Any) -> Any:
            return self.mean(self.memory(x))

        def train_step(self, batch: Any) -> dict[str, Any]:
            x, y = batch
            with tf.GradientTape() as tape:
                mean = self(x, training=True)
                loss = self.poisson(mean, y) if swapped else self.poisson(y, mean)
            gradients = tape.gradient(loss, self.trainable_variables)
            self.optimizer.apply_gradients(zip(gradients, self.trainable_variables, strict=True))
            return {"loss": loss}

    model = Counter()
    model(x[:2])
    return Fit(model, x, y, keras.optimizers.Adam(5e-3), "poisson", skill.fit_of, steps=300)


def _pendulum(seed: int, *, limit: float = 1.0) -> Loop:
    """The next angle at every step, by a loop that clips the norm of all gradients together."""
    keras.utils.set_random_seed(seed)
    draw = np.random.default_rng(seed)
    time = np.arange(21) * 0.5 + draw.uniform(0, 6, (512, 1))
    swing = draw.uniform(0.5, 1.5, (512, 1)) * np.sin(draw.uniform(0.8, 1.2, (512, 1)) * time)
    swing = swing[..., None].astype("f4")
    inputs = keras.Input((20, 1))
    states = keras.layers.SimpleRNN(24, return_sequences=True, name="states")(inputs)
    model = keras.Model(inputs, keras.layers.Dense(1, name="output")(states))

    def batches(draw: np.random.Generator) -> tuple[Any, ...]:
        rows = draw.integers(0, 512, 32)
        return swing[rows, :-1], swing[rows, 1:]

    def forward(x: Any, y: Any) -> Any:
        return tf.reduce_mean((model(x, training=True) - y) ** 2)

    def clipped(gradients: list[Any]) -> list[Any]:
        return list(tf.clip_by_global_norm(gradients, limit)[0])

    def score() -> float:
        return skill.fit_of(swing[:, 1:], model.predict(swing[:, :-1], verbose=0))

    optimizer = keras.optimizers.SGD(0.1, nesterov=True, momentum=0.8)
    return Loop(model, optimizer, batches, forward, score, steps=320, seed=seed, change=clipped)


def _chords(seed: int, *, spread: float | None = None) -> Fit:
    """Three recurrent layers, one behind the other."""
    keras.utils.set_random_seed(seed)
    draw = np.random.default_rng(seed)
    kind = draw.integers(0, 4, 900)
    pitch = np.array([0.5, 0.7, 0.95, 1.25])[kind][:, None] * np.arange(18)
    x = np.stack([np.sin(pitch + draw.uniform(0, 6.3, (900, 1))), np.sin(1.5 * pitch + draw.uniform(0, 6.3, (900, 1)))])
    x = np.moveaxis(x, 0, -1) + draw.normal(0, 0.15, (900, 18, 2))
    start = "orthogonal" if spread is None else keras.initializers.RandomNormal(stddev=spread)
    model = keras.Sequential(
        [
            keras.Input((18, 2)),
            keras.layers.SimpleRNN(20, return_sequences=True, name="rnn_1"),
            keras.layers.SimpleRNN(20, return_sequences=True, recurrent_initializer=start, name="rnn_2"),
            keras.layers.SimpleRNN(20, name="rnn_3"),
            keras.layers.Dense(4, "softmax", name="output"),
        ]
    )
    optimizer = keras.optimizers.RMSprop(keras.optimizers.schedules.CosineDecay(4e-3, 240))
    loss = "sparse_categorical_crossentropy"
    return Fit(model, x.astype("f4"), kind.astype("i4"), optimizer, loss, skill.classes, steps=240)


def _orders(seed: int, *, dropped: float = 0.1) -> Fit:
    """Bidirectional, with dropout of inputs and of states, for noisy orders of which little can be told."""
    keras.utils.set_random_seed(seed)
    x, y = _series(seed, 14, 0.8)
    inputs = keras.Input((14, 1))
    both = keras.layers.Bidirectional(
        keras.layers.LSTM(16, recurrent_dropout=dropped, name="lstm"), name="both_ways"
    )(inputs)  # fmt: skip
    model = keras.Model(inputs, keras.layers.Dense(1, name="output")(keras.layers.Dropout(dropped)(both)))
    return Fit(model, data.standardised(x), y, keras.optimizers.Adam(5e-3), "huber", skill.fit_of, steps=180)


family.pair(
    "demand",
    _demand,
    sickness="rate-by-default",
    sick={"rate": 1e-3},
    causes=["learning-rate-too-low", "update-ratio-out-of-range:too-small"],
    level=0.5,
)
family.pair(
    "calls",
    _calls,
    sickness="truth-and-guess-swapped",
    sick={"swapped": True},
    causes=["mismatched-loss", "diverging-loss"],
    level=0.3,
)
family.pair(
    "pendulum",
    _pendulum,
    sickness="all-gradients-to-a-ten-thousandth",
    sick={"limit": 1e-4},
    causes=["permanent-clipping", "update-ratio-out-of-range:too-small"],
    level=0.6,
)
family.pair(
    "chords",
    _chords,
    sickness="states-of-the-middle-layer-from-a-unit-normal",
    sick={"spread": 1.0},
    causes=["saturated-activation", "gain-mismatch:too-large", "exploding-gradient"],
    layers=("rnn_2",),
    level=0.6,
)
family.pair(
    "orders",
    _orders,
    sickness="recurrent-dropout-of-0.9",
    sick={"dropped": 0.9},
    causes=["excessive-dropout"],
    level=0.3,
)
