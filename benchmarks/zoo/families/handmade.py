"""Steps and layers written by hand: weights made by a network, steps within steps, gates."""

from __future__ import annotations

from typing import Any

import numpy as np

from zoo import data, skill
from zoo.lazy import keras, tf
from zoo.program import Family
from zoo.task import Fit, Loop

family = Family("handmade", half="think")


def _made_weights(seed: int, *, kernel: Any = 0.02) -> Loop:
    """A hypernetwork: of a task's three numbers it makes the weights of a small network for that task."""
    keras.utils.set_random_seed(seed)
    task = keras.Input((3,))
    h = keras.layers.Dense(32, "relu", name="maker_1")(task)
    drawn = keras.initializers.RandomNormal(stddev=kernel)
    made = keras.layers.Dense(4 * 16 * 16 + 2 * 16, kernel_initializer=drawn, name="maker_2")(h)
    model = keras.Model(task, made)

    def answers(task: Any, x: Any) -> Any:
        made = model(task, training=True)
        first, *hidden, last = tf.split(made, [16, 256, 256, 256, 256, 16], -1)
        h = tf.sin(x[:, :, None] * (1 + first[:, None]))
        for weights in hidden:
            h = h + tf.nn.relu(tf.matmul(h, tf.reshape(weights, (-1, 16, 16))))
        return tf.reduce_sum(h * last[:, None], -1)

    def batches(draw: np.random.Generator) -> tuple[Any, ...]:
        task, x = draw.uniform(-1, 1, (32, 3)), draw.uniform(-2, 2, (32, 10))
        y = task[:, :1] * x + task[:, 1:2] * np.sin(2 * x) + task[:, 2:]
        return task.astype("f4"), x.astype("f4"), y.astype("f4")

    def forward(task: Any, x: Any, y: Any) -> Any:
        return tf.reduce_mean((answers(task, x) - y) ** 2)

    def score() -> float:
        task, x, y = batches(np.random.default_rng(77))
        return skill.fit_of(y.ravel(), answers(task, x).numpy().ravel())

    optimizer = keras.optimizers.Adam(2e-3, clipnorm=10.0)
    return Loop(model, optimizer, batches, forward, score, steps=200, seed=seed)


def _few_shots(seed: int, *, inner: float = 0.05) -> Loop:
    """Learning to learn (MAML): one step of descent on ten points of a sine, then the error on ten others."""
    keras.utils.set_random_seed(seed)
    model = keras.Sequential(
        [
            keras.Input((1,)),
            keras.layers.Dense(40, "relu", name="hidden_1"),
            keras.layers.Dense(40, "relu", name="hidden_2"),
            keras.layers.Dense(1, name="output"),
        ]
    )

    def after(weights: list[Any], x: Any) -> Any:
        h = x
        for number in range(0, 6, 2):
            h = tf.matmul(h, weights[number]) + weights[number + 1][:, None]
            h = tf.nn.relu(h) if number < 4 else h
        return h

    def adapted(x: Any, y: Any) -> list[Any]:
        tasks = tf.shape(x)[0]
        shared = [tf.convert_to_tensor(v.value) for v in model.trainable_variables]
        weights = [tf.tile(w[None], [tasks] + [1] * len(w.shape)) for w in shared]
        with tf.GradientTape() as tape:
            tape.watch(weights)
            loss = tf.reduce_sum(tf.reduce_mean((after(weights, x) - y) ** 2, (1, 2)))
        return [w - inner * g for w, g in zip(weights, tape.gradient(loss, weights), strict=True)]

    def batches(draw: np.random.Generator) -> tuple[Any, ...]:
        x, phase = draw.uniform(-2, 2, (16, 20, 1)), draw.uniform(0, np.pi, (16, 1, 1))
        y = draw.uniform(0.5, 2, (16, 1, 1)) * np.sin(x + phase)
        return tuple(part.astype("f4") for part in (x[:, :10], y[:, :10], x[:, 10:], y[:, 10:]))

    def forward(x: Any, y: Any, later_x: Any, later_y: Any) -> Any:
        return tf.reduce_mean((after(adapted(x, y), later_x) - later_y) ** 2)

    def score() -> float:
        draw = np.random.default_rng(77)
        loss = np.mean([float(forward(*map(tf.constant, batches(draw)))) for _ in range(10)])
        return float(1 - loss / np.mean([batches(draw)[3].var() for _ in range(10)]))

    return Loop(model, keras.optimizers.Adam(2e-3), batches, forward, score, steps=500, seed=seed)


def _gated(seed: int, *, rate: float = 0.5) -> Fit:
    """A custom layer: gated units; Adagrad, and targets with much noise."""
    keras.utils.set_random_seed(seed)
    x, y = data.diabetes()

    class Gated(keras.layers.Layer):
        def __init__(self, units: int, **options: Any) -> None:
            super().__init__(**options)
            self.value = keras.layers.Dense(units, name="value")
            self.gate = keras.layers.Dense(units, "sigmoid", name="gate")

        def call(self, x: Any) -> Any:
            return self.value(x) * self.gate(x)

    inputs = keras.Input((10,))
    h = Gated(24, name="gated_2")(Gated(24, name="gated_1")(inputs))
    model = keras.Model(inputs, keras.layers.Dense(1, name="output")(h))
    optimizer = keras.optimizers.Adagrad(rate)
    return Fit(model, x, (y - y.mean()) / y.std(), optimizer, "huber", skill.fit_of, steps=300)


family.pair(
    "made-weights",
    _made_weights,
    sickness="made-weights-of-unit-size",
    sick={"kernel": 1.0},
    causes=["gain-mismatch:too-large", "exploding-gradient"],
    layers=("maker_2",),
    level=0.7,
)
family.pair(
    "few-shots",
    _few_shots,
    sickness="inner-rate-too-high",
    sick={"inner": 5.0},
    causes=["exploding-gradient", "learning-rate-too-high", "diverging-loss", "nonfinite-values"],
    level=0.4,
)
family.pair(
    "gated",
    _gated,
    sickness="rate-of-adagrad-as-for-adam",
    sick={"rate": 1e-4},
    causes=["learning-rate-too-low", "update-ratio-out-of-range:too-small"],
    level=0.3,
)
