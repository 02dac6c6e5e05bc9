"""Toys of reinforcement learning: values of a corridor, and pictures as a bandit's clues."""

from __future__ import annotations

from typing import Any

import numpy as np

from zoo import data, skill
from zoo.lazy import keras, tf
from zoo.nets import normal
from zoo.program import Family
from zoo.task import Loop

family = Family("games", half="think")
_LENGTH = 8


def _corridor_values(seed: int, *, output: str | None = None) -> Loop:
    """Deep Q-learning with a replay and a target network; each step costs 1, the way out is on the right."""
    keras.utils.set_random_seed(seed)

    def network() -> Any:
        return keras.Sequential(
            [
                keras.Input((_LENGTH,)),
                keras.layers.Dense(32, "relu", name="hidden_1"),
                keras.layers.Dense(32, "relu", name="hidden_2"),
                keras.layers.Dense(2, output, name="values"),
            ]
        )

    model, target = network(), network()
    target.set_weights(model.get_weights())
    draw = np.random.default_rng(seed)
    places, actions = draw.integers(0, _LENGTH, 2000), draw.integers(0, 2, 2000)
    after = np.maximum(places + 2 * actions - 1, 0)
    over = (after >= _LENGTH).astype("f4")
    states = np.eye(_LENGTH + 1, _LENGTH, dtype="f4")
    counted = {"batches": 0}

    def batches(draw: np.random.Generator) -> tuple[Any, ...]:
        counted["batches"] += 1
        if counted["batches"] % 25 == 0:
            target.set_weights(model.get_weights())
        rows = draw.integers(0, len(places), 64)
        return states[places[rows]], actions[rows].astype("i4"), states[after[rows]], over[rows]

    def forward(state: Any, action: Any, following: Any, over: Any) -> Any:
        wanted = -1 + 0.95 * (1 - over) * tf.reduce_max(target(following), -1)
        values = tf.gather(model(state, training=True), action, batch_dims=1)
        return tf.reduce_mean((tf.stop_gradient(wanted) - values) ** 2)

    def score() -> float:
        truth = -(1 - 0.95 ** np.arange(_LENGTH, 0, -1)) / 0.05
        values = model(states[:_LENGTH]).numpy().max(-1)
        return skill.fit_of(truth, values)

    return Loop(model, keras.optimizers.Adam(3e-3), batches, forward, score, steps=800, seed=seed)


def _clues(seed: int, *, rate: float = 2e-3) -> Loop:
    """A policy sees a digit, picks one of ten levers and is told the reward (REINFORCE, the mean as baseline)."""
    keras.utils.set_random_seed(seed)
    x, y = data.digits()
    model = keras.Sequential(
        [
            keras.Input((64,)),
            keras.layers.Dense(64, "relu", name="hidden_1"),
            keras.layers.Dense(64, "relu", name="hidden_2"),
            keras.layers.Dense(10, name="levers"),
        ]
    )
    act = tf.function(lambda seen: tf.random.categorical(model(seen), 1, seed=seed)[:, 0])

    def batches(draw: np.random.Generator) -> tuple[Any, ...]:
        rows = draw.integers(0, len(x), 128)
        levers = act(tf.constant(x[rows])).numpy()
        reward = (levers == y[rows]).astype("f4") + draw.normal(0, 0.1, 128).astype("f4")
        return x[rows], levers.astype("i4"), reward

    def forward(seen: Any, lever: Any, reward: Any) -> Any:
        surprise = tf.nn.sparse_softmax_cross_entropy_with_logits(lever, model(seen, training=True))
        return tf.reduce_mean((reward - tf.reduce_mean(reward)) * surprise)

    def score() -> float:
        return skill.classes(y, model(x).numpy())

    return Loop(model, keras.optimizers.Adam(rate), batches, forward, score, steps=800, seed=seed)


def _servo(seed: int, *, spread: float = 0.01) -> Loop:
    """Actor and critic in one network, Gaussian moves about a mean; the reward falls with the squared error."""
    keras.utils.set_random_seed(seed)
    inputs = keras.Input((3,))
    h = keras.layers.Dense(32, "tanh", name="actor_1")(inputs)
    h = keras.layers.Dense(32, "tanh", name="actor_2")(h)
    mean = keras.layers.Dense(1, "tanh", kernel_initializer=normal(spread), name="mean")(h)
    v = keras.layers.Dense(32, "tanh", name="critic_1")(inputs)
    value = keras.layers.Dense(1, name="value")(v)
    model = keras.Model(inputs, [mean, value])

    def best(x: np.ndarray) -> np.ndarray:
        return np.tanh(x[:, :1] - x[:, 1:2] * x[:, 2:])

    def batches(draw: np.random.Generator) -> tuple[Any, ...]:
        x = draw.normal(size=(64, 3)).astype("f4")
        move = model(x)[0].numpy() + draw.normal(0, 0.3, (64, 1)).astype("f4")
        return x, move, (-((move - best(x)) ** 2)).astype("f4")

    def forward(x: Any, move: Any, reward: Any) -> Any:
        mean, value = model(x, training=True)
        advantage = tf.stop_gradient(reward - value)
        unlikely = (move - mean) ** 2 / (2 * 0.3**2)
        return tf.reduce_mean(advantage * unlikely) + tf.reduce_mean((reward - value) ** 2)

    def score() -> float:
        x = np.random.default_rng(5).normal(size=(500, 3)).astype("f4")
        return skill.fit_of(best(x), model(x)[0].numpy())

    return Loop(model, keras.optimizers.Adam(3e-3), batches, forward, score, steps=900, seed=seed)


family.pair(
    "corridor-values",
    _corridor_values,
    sickness="relu-on-negative-values",
    sick={"output": "relu"},
    causes=["dead-units", "constant-output", "mismatched-loss"],
    layers=("values",),
    level=0.8,
)
family.pair(
    "clues",
    _clues,
    sickness="rate-fifty-times-too-high",
    sick={"rate": 0.1},
    causes=["learning-rate-too-high", "update-ratio-out-of-range:too-large"],
    level=0.6,
)
family.pair(
    "servo",
    _servo,
    sickness="mean-drawn-from-a-normal-of-5",
    sick={"spread": 5.0},
    causes=["saturated-activation", "gain-mismatch:too-large"],
    layers=("mean",),
    level=0.6,
)
