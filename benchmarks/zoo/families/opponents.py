"""Networks that answer one another, or the world: rivals, an actor and its critic, a policy."""

from __future__ import annotations

from typing import Any

import numpy as np

from zoo import skill
from zoo.lazy import keras, tf
from zoo.program import Family
from zoo.task import Fit, Loop

family = Family("opponents", half="think")


def _net(name: str, entries: int, width: int, outputs: int, activation: str = "relu") -> Any:
    return keras.Sequential(
        [
            keras.Input((entries,)),
            keras.layers.Dense(width, activation, name=f"{name}_1"),
            keras.layers.Dense(width, activation, name=f"{name}_2"),
            keras.layers.Dense(outputs, name=f"{name}_output"),
        ],
        name=name,
    )


def _sines(seed: int, *, judge_rate: float = 2e-3) -> Fit:
    """Makes stretches of sines; the judge takes two steps to one of the maker's."""
    keras.utils.set_random_seed(seed)
    draw = np.random.default_rng(seed)
    time = np.arange(12) * 0.6 + draw.uniform(0, 6.3, (900, 1))
    real = (draw.uniform(0.6, 1.4, (900, 1)) * np.sin(time)).astype("f4")
    noise = draw.normal(size=(900, 6)).astype("f4")

    class Rivals(keras.Model):
        def __init__(self) -> None:
            super().__init__()
            self.maker = _net("maker", 6, 40, 12)
            self.judge = _net("judge", 12, 40, 1, "leaky_relu")
            self.judge_optimizer = keras.optimizers.Adam(judge_rate, beta_1=0.5)
            self.entropy = keras.losses.BinaryCrossentropy(from_logits=True)

        def call(self, noise: Any) -> Any:
            return self.maker(noise)

        def compute_loss(self, x: Any = None, y: Any = None, *_: Any, **__: Any) -> Any:
            judged = self.judge(self.maker(x))
            return self.entropy(tf.ones_like(judged), judged)

        def train_step(self, batch: Any) -> dict[str, Any]:
            noise, real = batch
            for _ in range(2):
                with tf.GradientTape() as tape:
                    of_made, of_real = self.judge(self.maker(noise)), self.judge(real)
                    judged = self.entropy(tf.ones_like(of_real), of_real)
                    judged += self.entropy(tf.zeros_like(of_made), of_made)
                variables = self.judge.trainable_variables
                self.judge_optimizer.apply(tape.gradient(judged, variables), variables)
            with tf.GradientTape() as tape:
                loss = self.compute_loss(noise)
            variables = self.maker.trainable_variables
            self.optimizer.apply(tape.gradient(loss, variables), variables)
            return {"loss": loss, "judge_loss": judged}

    return Fit(Rivals(), noise, real, keras.optimizers.Adam(1e-3, beta_1=0.5), "mse", skill.likeness, steps=800)


def _corridor(seed: int, *, standardised: bool = True) -> Loop:
    """Eight rooms, the prize in the last: REINFORCE on returns of thousands."""
    keras.utils.set_random_seed(seed)
    policy = _net("policy", 8, 24, 2, "tanh")

    def batches(draw: np.random.Generator) -> tuple[Any, ...]:
        return draw.integers(0, 6, 32).astype("i4"), draw.random((6, 32)).astype("f4")

    def forward(room: Any, chance: Any) -> Any:
        taken, rewards = [], []
        for step in range(6):
            logits = tf.nn.log_softmax(policy(tf.one_hot(room, 8), training=True))
            right = tf.cast(chance[step] < tf.exp(logits[:, 1]), "int32")
            taken.append(tf.gather(logits, right, batch_dims=1))
            room = tf.clip_by_value(room + 2 * right - 1, 0, 7)
            rewards.append(tf.where(room == 7, 1000.0, 500.0))
        returns = tf.math.cumsum(tf.stack(rewards), reverse=True)
        if standardised:
            returns = (returns - tf.reduce_mean(returns)) / (tf.math.reduce_std(returns) + 1e-6)
        return -tf.reduce_mean(tf.stack(taken) * returns)

    def score() -> float:
        values = policy(np.eye(8, dtype="f4")).numpy()
        return float((values[:, 1] - values[:, 0] > 0).mean() * 2 - 1) if np.isfinite(values).all() else np.nan

    optimizer = keras.optimizers.SGD(0.2, momentum=0.9)
    return Loop(policy, optimizer, batches, forward, score, steps=400, seed=seed)


def _valve(seed: int, *, unit: float = 1.0) -> Fit:
    """How far to open a valve: an actor that ends in tanh, and a critic that has seen what came of it."""
    keras.utils.set_random_seed(seed)
    draw = np.random.default_rng(seed)
    state = draw.uniform(-1, 1, (1000, 3)).astype("f4")
    best = (0.8 * np.sin(2 * state[:, :1] + state[:, 1:2])).astype("f4")

    class ActorCritic(keras.Model):
        def __init__(self) -> None:
            super().__init__()
            self.actor = _net("actor", 3, 48, 1)
            self.critic = _net("critic", 4, 48, 1, "relu")
            self.critic_optimizer = keras.optimizers.Adam(3e-3)

        def call(self, state: Any) -> Any:
            return tf.tanh(self.actor(unit * state))

        def compute_loss(self, x: Any = None, y: Any = None, *_: Any, **__: Any) -> Any:
            return -tf.reduce_mean(self.critic(tf.concat([x, self(x)], -1)))

        def train_step(self, batch: Any) -> dict[str, Any]:
            state, best = batch
            tried = tf.clip_by_value(self(state) + tf.random.normal(tf.shape(best), 0, 0.4), -1, 1)
            with tf.GradientTape() as tape:
                reward = -((tried - best) ** 2)
                error = tf.reduce_mean((self.critic(tf.concat([state, tried], -1)) - reward) ** 2)
            variables = self.critic.trainable_variables
            self.critic_optimizer.apply(tape.gradient(error, variables), variables)
            with tf.GradientTape() as tape:
                loss = self.compute_loss(state)
            variables = self.actor.trainable_variables
            self.optimizer.apply(tape.gradient(loss, variables), variables)
            return {"loss": loss, "critic_loss": error}

    return Fit(ActorCritic(), state, best, keras.optimizers.Adam(1e-3), "mse", skill.fit_of, steps=700)


family.pair(
    "sines",
    _sines,
    sickness="rate-of-the-judge-a-hundredfold",
    sick={"judge_rate": 0.2},
    causes=["learning-rate-too-high", "update-ratio-out-of-range:too-large"],
    layers=("judge_1", "judge_2", "judge_output"),
    level=0.4,
)
family.pair(
    "corridor",
    _corridor,
    sickness="returns-of-thousands",
    sick={"standardised": False},
    causes=[
        "badly-scaled-target",
        "exploding-gradient",
        "learning-rate-too-high",
        "update-ratio-out-of-range:too-large",
    ],
    level=0.6,
)
family.pair(
    "valve",
    _valve,
    sickness="actor-told-in-millimetres",
    sick={"unit": 1000.0},
    causes=["badly-scaled-input", "saturated-activation"],
    layers=("actor_1", "actor_2", "actor_output"),
    level=0.6,
)
