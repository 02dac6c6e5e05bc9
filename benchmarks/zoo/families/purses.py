"""Rewards and what they are worth, learned in loops with a tape: a policy, and values of actions."""

from __future__ import annotations

from typing import Any

import numpy as np

from zoo import skill
from zoo.lazy import keras, tf
from zoo.program import Family
from zoo.task import Loop

family = Family("purses", half="think")


def _net(name: str, entries: int, width: int, outputs: int, last: str | None = None) -> Any:
    layers = [keras.Input((entries,))]
    layers += [keras.layers.Dense(width, "leaky_relu", name=f"{name}_{number}") for number in (1, 2)]
    return keras.Sequential([*layers, keras.layers.Dense(outputs, last, name=f"{name}_output")], name=name)


def _purse(seed: int, *, spread: float = 0.5) -> Loop:
    """A Gaussian policy bids; the return falls off on both sides of what the thing is worth."""
    keras.utils.set_random_seed(seed)
    model = _net("policy", 3, 24, 1)
    weights = np.array([1.0, -0.5, 0.25], "f4")

    def forward(x: Any, noise: Any) -> Any:
        mean = model(x)[:, 0]
        bid = tf.stop_gradient(mean + spread * noise)
        worth = tf.tanh(tf.linalg.matvec(x, weights))
        reward = -tf.abs(bid - worth)
        chance = -0.5 * ((bid - mean) / spread) ** 2
        return -tf.reduce_mean(chance * (reward - tf.reduce_mean(reward)))

    def batches(draw: np.random.Generator) -> Any:
        return draw.normal(size=(64, 3)).astype("f4"), draw.normal(size=64).astype("f4")

    def score() -> float:
        x = np.random.default_rng(1).normal(size=(500, 3)).astype("f4")
        return skill.fit_of(np.tanh(x @ weights), model(x))

    return Loop(model, keras.optimizers.SGD(0.05), batches, forward, score, steps=1000, seed=seed)


def _stairs(seed: int, *, last: str | None = None) -> Loop:
    """Values of going up or down twelve stairs, each step up worth one, learned from a network that lags behind."""
    keras.utils.set_random_seed(seed)
    model, target = _net("values", 12, 32, 2, last), _net("target", 12, 32, 2, last)
    target.set_weights(model.get_weights())
    stairs, states = np.eye(12, dtype="f4"), np.arange(12)
    true = np.zeros((12, 2))
    for _ in range(200):
        best = true.max(1)
        true = np.stack(
            [0.8 * best[np.maximum(states - 1, 0)], (states < 11) + 0.8 * best[np.minimum(states + 1, 11)]], 1
        )

    def forward(now: Any, action: Any, reward: Any, after: Any) -> Any:
        wanted = reward + 0.8 * tf.reduce_max(target(after), 1)
        value = tf.reduce_sum(model(now) * tf.one_hot(action, 2), 1)
        return tf.reduce_mean((tf.stop_gradient(wanted) - value) ** 2)

    optimizer = keras.optimizers.Adam(3e-3)

    def step(*batch: Any) -> Any:
        with tf.GradientTape() as tape:
            loss = forward(*batch)
        variables = model.trainable_variables
        optimizer.apply_gradients(zip(tape.gradient(loss, variables), variables, strict=True))
        for old, new in zip(target.trainable_variables, variables, strict=True):
            old.assign(0.95 * old + 0.05 * new)
        return loss

    def batches(draw: np.random.Generator) -> Any:
        now, up = draw.integers(0, 12, 64), draw.integers(0, 2, 64)
        after = np.clip(now + 2 * up - 1, 0, 11)
        return stairs[now], up, ((up == 1) & (now < 11)).astype("f4"), stairs[after]

    return Loop(model, optimizer, batches, forward, lambda: skill.fit_of(true, model(stairs)), 700, seed, step=step)


family.pair(
    "bids",
    _purse,
    sickness="spread-of-a-hundredth",
    sick={"spread": 0.01},
    causes=["exploding-gradient", "learning-rate-too-high", "update-ratio-out-of-range:too-large"],
    level=0.6,
)
family.pair(
    "stairs",
    _stairs,
    sickness="values-behind-tanh",
    sick={"last": "tanh"},
    causes=["saturated-activation", "badly-scaled-target"],
    layers=("values_output",),
    level=0.7,
)
