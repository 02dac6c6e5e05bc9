"""An observatory under a volcano: seismograms, plumes, alert levels and the ground that swells."""

from __future__ import annotations

from typing import Any

import numpy as np

from zoo import data, skill
from zoo.lazy import keras, tf
from zoo.nets import cross_entropy
from zoo.program import Family
from zoo.task import Fit, Loop

family = Family("volcanoes", half="test")


def _seismograms(seed: int, count: int = 800, length: int = 64) -> tuple[np.ndarray, np.ndarray]:
    """Traces of four kinds of event, about 0 with a spread of about 1."""
    draw = np.random.default_rng(seed)
    kind = draw.integers(0, 4, count)
    time = np.arange(length)[None]
    pitch = np.array([0.12, 0.3, 0.12, 0.3])[kind][:, None] * draw.uniform(0.85, 1.15, (count, 1))
    onset = draw.uniform(5, 30, (count, 1))
    burst = np.where(time > onset, np.exp(-(time - onset) / 10), 0.0) * 2
    lasting = 0.8 + 0.2 * np.sin(time / 9 + onset)
    envelope = np.where(kind[:, None] < 2, burst, lasting)
    phase = draw.uniform(0, 2 * np.pi, (count, 1))
    trace = envelope * np.sin(2 * np.pi * pitch * time + phase) + draw.normal(0, 0.3, (count, length))
    return trace[..., None].astype("f4"), kind.astype("i4")


def _tremor(seed: int, *, baseline: float = 0.0, gain: float = 1.0) -> Fit:
    """Kinds of event from seismograms, by convolutions along time."""
    keras.utils.set_random_seed(seed)
    x, y = _seismograms(seed)
    model = keras.Sequential(
        [
            keras.Input((64, 1)),
            keras.layers.Conv1D(16, 7, strides=2, activation="relu", name="near"),
            keras.layers.Conv1D(24, 5, strides=2, activation="relu", name="far"),
            keras.layers.GlobalMaxPooling1D(),
            keras.layers.Dense(24, "relu", name="mixing"),
            keras.layers.Dense(4, "softmax", name="kind"),
        ]
    )
    optimizer = keras.optimizers.Adam(2e-3)
    loss = "sparse_categorical_crossentropy"
    return Fit(model, baseline + gain * x, y, optimizer, loss, skill.classes, steps=400)


def _plume(seed: int, *, metres: float = 1.0) -> Fit:
    """The height of an ash plume from six measures, with a training step of its own that also counts the misses."""
    keras.utils.set_random_seed(seed)
    x, y = data.waves(seed)
    height = (5.0 + 2.0 * y) * metres

    class Plume(keras.Model):
        def __init__(self) -> None:
            super().__init__()
            self.first = keras.layers.Dense(48, "gelu", name="first")
            self.second = keras.layers.Dense(48, "gelu", name="second")
            self.height = keras.layers.Dense(1, name="height")
            self.misses = keras.metrics.MeanAbsoluteError(name="misses")

        def call(self, x: Any) -> Any:
            return self.height(self.second(self.first(x)))

        def train_step(self, batch: Any) -> dict[str, Any]:
            x, y = batch
            with tf.GradientTape() as tape:
                guess = self(x, training=True)
                loss = self.compute_loss(x, y, guess)
            self.optimizer.apply(tape.gradient(loss, self.trainable_variables), self.trainable_variables)
            self.misses.update_state(y, guess)
            return {"loss": loss, "misses": self.misses.result()}

    model = Plume()
    model(x[:1])
    return Fit(model, x, height, keras.optimizers.Adam(4e-3), "mse", skill.fit_of, steps=500)


def _alert(seed: int, *, gain: float = 1.0) -> Loop:
    """Alert levels from a week of hourly counts, by a recurrent net in a loop with clipped gradients."""
    keras.utils.set_random_seed(seed)
    draw = np.random.default_rng(seed)
    y = draw.integers(0, 3, 900)
    slope = np.array([-0.05, 0.0, 0.05])[y][:, None]
    time = np.arange(24)[None]
    rate = slope * (time - 12) + draw.normal(0, 0.5, (900, 24)) + draw.normal(0, 0.3, (900, 1))
    x = np.stack([rate, np.broadcast_to(np.sin(time / 4), rate.shape)], -1).astype("f4")
    start = keras.initializers.Orthogonal(gain)
    inputs = keras.Input((24, 2))
    hidden = keras.layers.SimpleRNN(32, recurrent_initializer=start, return_sequences=True, name="hours")(inputs)
    hidden = keras.layers.SimpleRNN(24, recurrent_initializer=start, name="days")(hidden)
    model = keras.Model(inputs, keras.layers.Dense(3, name="level")(hidden))
    loss = cross_entropy()

    def batches(draw: np.random.Generator) -> tuple[Any, ...]:
        rows = draw.integers(0, len(x), 48)
        return x[rows], y[rows]

    return Loop(
        model, keras.optimizers.RMSprop(1e-3), batches, lambda x, y: loss(y, model(x, training=True)),
        lambda: skill.classes(y, model.predict(x, verbose=0)), steps=400, seed=seed,
        change=lambda gradients: tf.clip_by_global_norm(gradients, 1.0)[0],
    )  # fmt: skip


def _swelling(seed: int, *, scaled: bool = True) -> Loop:
    """Maps of how the ground moved, in millimetres, cleared of noise in half precision; the loss in square metres."""
    keras.utils.set_random_seed(seed)
    draw = np.random.default_rng(seed)
    ys, xs = np.mgrid[:8, :8]
    middle, size = draw.uniform(1, 6, (600, 2, 1, 1)), draw.uniform(1, 3, (600, 1, 1))
    lift = draw.choice([-3.0, 3.0], (600, 1, 1)) * draw.uniform(0.5, 1, (600, 1, 1))
    y = lift * np.exp(-((ys - middle[:, :1, 0]) ** 2 + (xs - middle[:, 1:, 0]) ** 2) / size**2)
    x = (y + draw.normal(0, 0.5, y.shape)).reshape(600, 64).astype("f4")
    y = y.reshape(600, 64).astype("f4")
    inputs = keras.Input((64,))
    hidden = keras.layers.Dense(48, "relu", dtype="mixed_float16", name="filter")(inputs)
    hidden = keras.layers.Dense(24, "relu", dtype="mixed_float16", name="sources")(hidden)
    hidden = keras.layers.Dense(48, "relu", dtype="mixed_float16", name="field")(hidden)
    hidden = keras.layers.Dense(64, dtype="mixed_float16", name="map")(hidden)
    model = keras.Model(inputs, keras.layers.Activation("linear", dtype="float32")(hidden))
    optimizer = keras.optimizers.Adam(2e-3, epsilon=1e-12)
    if scaled:
        optimizer = keras.optimizers.LossScaleOptimizer(optimizer)

    def forward(x: Any, y: Any) -> Any:
        return 1e-6 * tf.reduce_mean((y - model(x, training=True)) ** 2)

    def step(x: Any, y: Any) -> Any:
        with tf.GradientTape() as tape:
            loss = forward(x, y)
            to_differentiate = optimizer.scale_loss(loss)
        gradients = tape.gradient(to_differentiate, model.trainable_variables)
        optimizer.apply_gradients(zip(gradients, model.trainable_variables, strict=True))
        return loss

    def batches(draw: np.random.Generator) -> tuple[Any, ...]:
        rows = draw.integers(0, len(x), 64)
        return x[rows], y[rows]

    return Loop(
        model, optimizer, batches, forward, lambda: skill.fit_of(y, model.predict(x, verbose=0)),
        steps=250, seed=seed, step=step,
    )  # fmt: skip


family.pair(
    "tremor",
    _tremor,
    sickness="counts-above-the-digitisers-offset",
    sick={"baseline": 1.0, "gain": 0.05},
    causes=["badly-scaled-input"],
    level=0.6,
)
family.pair(
    "plume",
    _plume,
    sickness="height-in-metres",
    sick={"metres": 1000.0},
    causes=["badly-scaled-target"],
    level=0.6,
)
family.pair(
    "alert",
    _alert,
    sickness="recurrent-weights-times-two-and-a-half",
    sick={"gain": 2.5},
    causes=["gain-mismatch:too-large", "saturated-activation", "exploding-gradient"],
    layers=("hours", "days"),
    level=0.5,
)
family.pair(
    "swelling",
    _swelling,
    sickness="half-precision-without-loss-scale",
    sick={"scaled": False},
    causes=["gradient-underflow"],
    level=0.5,
)
