"""Reinforcement: Q-learning with a target network, and an actor with a critic."""

from __future__ import annotations

from typing import Any

import numpy as np

from zoo import skill
from zoo.lazy import keras, tf
from zoo.program import Family
from zoo.task import Loop

family = Family("control", half="think")


def _best_values(rewards: np.ndarray, following: np.ndarray, discount: float) -> np.ndarray:
    values = np.zeros_like(rewards)
    for _ in range(500):
        values = rewards + discount * values.max(1)[following]
    return values


def _q_learning(seed: int, *, discount: float = 0.9) -> Loop:
    """A deterministic world of 12 states and 3 moves; the target network is renewed every 15 steps."""
    keras.utils.set_random_seed(seed)
    draw = np.random.default_rng(seed)
    states, moves = 12, 3
    rewards = draw.uniform(0, 1, (states, moves)).astype("f4")
    following = draw.integers(0, states, (states, moves))

    def network(role: str) -> Any:
        inputs = keras.Input((states,))
        hidden = keras.layers.Dense(48, "relu", name=f"{role}_hidden")(inputs)
        return keras.Model(inputs, keras.layers.Dense(moves, name=f"{role}_values")(hidden))

    online, target = network("online"), network("target")
    count = [0]

    def batches(draw: np.random.Generator) -> tuple[Any, ...]:
        if count[0] % 15 == 0:
            target.set_weights(online.get_weights())
        count[0] += 1
        state, move = draw.integers(0, states, 32), draw.integers(0, moves, 32)
        after = np.eye(states, dtype="f4")[following[state, move]]
        return np.eye(states, dtype="f4")[state], np.eye(moves, dtype="f4")[move], rewards[state, move], after

    def forward(state: Any, move: Any, reward: Any, after: Any) -> Any:
        wanted = reward + discount * tf.reduce_max(target(after), -1)
        value = tf.reduce_sum(online(state, training=True) * move, -1)
        return tf.reduce_mean((tf.stop_gradient(wanted) - value) ** 2)

    def score() -> float:
        return skill.fit_of(_best_values(rewards, following, 0.9), online.predict(np.eye(states), verbose=0))

    return Loop(online, keras.optimizers.Adam(5e-3), batches, forward, score, steps=900, seed=seed)


family.pair(
    "q-learning",
    _q_learning,
    sickness="discount-above-1",
    sick={"discount": 1.1},
    causes=["diverging-loss"],
)


def _actor_critic(seed: int, *, actor_detached: bool = False) -> Loop:
    """Four actions on contexts of eight numbers, noisy rewards, one trunk for both heads."""
    keras.utils.set_random_seed(seed)
    right = np.random.default_rng(seed).normal(size=(8, 4)).astype("f4")
    inputs = keras.Input((8,))
    trunk = keras.layers.Dense(48, "tanh", name="trunk")(inputs)
    policy, value = keras.layers.Dense(4, name="policy")(trunk), keras.layers.Dense(1, name="value")(trunk)
    model = keras.Model(inputs, [policy, value])

    def batches(draw: np.random.Generator) -> tuple[Any, ...]:
        contexts = draw.normal(size=(64, 8)).astype("f4")
        return contexts, (contexts @ right).argmax(1), draw.gumbel(size=(64, 4)).astype("f4")

    def forward(contexts: Any, best: Any, gumbel: Any) -> Any:
        logits, values = model(contexts, training=True)
        action = tf.argmax(logits + gumbel, -1)
        reward = tf.cast(action == best, "float32") + 0.3 * tf.reduce_mean(gumbel, -1)
        taken = -tf.nn.sparse_softmax_cross_entropy_with_logits(action, logits)
        advantage = reward - values[:, 0]
        gain = tf.stop_gradient(advantage) * taken
        if actor_detached:  # the bracket closed too late
            gain = tf.stop_gradient(advantage * taken)
        return tf.reduce_mean(-gain + 0.5 * advantage**2)

    def score() -> float:
        contexts = np.random.default_rng(5).normal(size=(2000, 8)).astype("f4")
        return skill.classes((contexts @ right).argmax(1), model.predict(contexts, verbose=0)[0])

    return Loop(model, keras.optimizers.RMSprop(5e-3), batches, forward, score, steps=800, seed=seed)


family.pair(
    "actor-critic",
    _actor_critic,
    sickness="actor-cut-off",
    sick={"actor_detached": True},
    causes=["disconnected-variable"],
    layers=("policy",),
    every=25,
)
