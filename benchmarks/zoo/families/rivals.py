"""Two networks and two optimizers, in one `train_step`: rivals, and a trunk with its head."""

from __future__ import annotations

from typing import Any

import numpy as np

from zoo import data, skill
from zoo.lazy import keras, tf
from zoo.program import Family
from zoo.task import Fit

family = Family("rivals", half="think")


def _stack(name: str, entries: int, width: int, outputs: int, activation: str) -> Any:
    inputs = keras.Input((entries,))
    x = inputs
    for number in (1, 2):
        x = keras.layers.Dense(width, activation, name=f"{name}_{number}")(x)
    return keras.Model(inputs, keras.layers.Dense(outputs, name=f"{name}_output")(x), name=name)


def _points(seed: int) -> tuple[np.ndarray, np.ndarray]:
    draw = np.random.default_rng(seed)
    angle = draw.uniform(0, np.pi, 1000)
    arc = np.stack([1.5 * np.cos(angle), 2 * np.sin(angle) - 0.3], 1) + draw.normal(0, 0.1, (1000, 2))
    return draw.normal(size=(1000, 4)).astype("f4"), arc.astype("f4")


def _entropies(maker: Any, judge: Any, noise: Any, real: Any) -> tuple[Any, Any]:
    loss = keras.losses.BinaryCrossentropy(from_logits=True)
    of_made, of_real = judge(maker(noise)), judge(real)
    ones = tf.ones_like(of_real)
    return loss(ones, of_made), loss(0.9 * ones, of_real) + loss(tf.zeros_like(ones), of_made)


def _rivals(seed: int, *, rate: float = 1e-3) -> Fit:
    """A generator and a discriminator, step about."""
    keras.utils.set_random_seed(seed)

    class Rivals(keras.Model):
        def __init__(self) -> None:
            super().__init__()
            self.maker = _stack("maker", 4, 32, 2, "relu")
            self.judge = _stack("judge", 2, 48, 1, "leaky_relu")
            self.judge_optimizer = keras.optimizers.Adam(2e-3, beta_1=0.5)

        def call(self, noise: Any) -> Any:
            return self.maker(noise)

        def compute_loss(self, x: Any = None, y: Any = None, *_: Any, **__: Any) -> Any:
            return _entropies(self.maker, self.judge, x, y)[0]

        def train_step(self, batch: Any) -> dict[str, Any]:
            with tf.GradientTape() as tape:
                _, judged = _entropies(self.maker, self.judge, *batch)
            variables = self.judge.trainable_variables
            self.judge_optimizer.apply(tape.gradient(judged, variables), variables)
            with tf.GradientTape() as tape:
                loss, _ = _entropies(self.maker, self.judge, *batch)
            variables = self.maker.trainable_variables
            self.optimizer.apply(tape.gradient(loss, variables), variables)
            return {"loss": loss, "judge_loss": judged}

    noise, real = _points(seed)
    optimizer = keras.optimizers.Adam(rate, beta_1=0.5)
    return Fit(Rivals(), noise, real, optimizer, "mse", skill.likeness, steps=900, batch_size=64)


def _critic(seed: int, *, bound: float = 0.1) -> Fit:
    """Wasserstein: the critic's weights are held within a bound; its loss is no entropy and may be negative."""
    keras.utils.set_random_seed(seed)

    class Critic(keras.Model):
        def __init__(self) -> None:
            super().__init__()
            self.maker = _stack("maker", 4, 32, 2, "relu")
            self.critic = _stack("critic", 2, 48, 1, "leaky_relu")
            self.critic_optimizer = keras.optimizers.RMSprop(2e-3)

        def call(self, noise: Any) -> Any:
            return self.maker(noise)

        def compute_loss(self, x: Any = None, y: Any = None, *_: Any, **__: Any) -> Any:
            return -tf.reduce_mean(self.critic(self.maker(x)))

        def train_step(self, batch: Any) -> dict[str, Any]:
            noise, real = batch
            for _ in range(3):
                with tf.GradientTape() as tape:
                    gap = tf.reduce_mean(self.critic(self.maker(noise))) - tf.reduce_mean(self.critic(real))
                variables = self.critic.trainable_variables
                self.critic_optimizer.apply(tape.gradient(gap, variables), variables)
                for variable in variables:
                    variable.assign(tf.clip_by_value(variable, -bound, bound))
            with tf.GradientTape() as tape:
                loss = self.compute_loss(noise)
            variables = self.maker.trainable_variables
            self.optimizer.apply(tape.gradient(loss, variables), variables)
            return {"loss": loss}

    noise, real = _points(seed)
    return Fit(Critic(), noise, real, keras.optimizers.RMSprop(1e-3), "mse", skill.likeness, steps=700, batch_size=64)


def _two_rates(seed: int, *, trunk_rate: float = 5e-3) -> Fit:
    """The trunk has an optimizer of its own."""
    keras.utils.set_random_seed(seed)
    x, y = data.parity(seed)

    class TwoRates(keras.Model):
        def __init__(self) -> None:
            super().__init__()
            self.trunk = _stack("trunk", 8, 24, 16, "relu")
            self.head = keras.layers.Dense(2, name="head")
            self.head.build((None, 16))
            self.trunk_optimizer = keras.optimizers.Adam(trunk_rate)

        def call(self, x: Any) -> Any:
            return self.head(self.trunk(x))

        def train_step(self, batch: Any) -> dict[str, Any]:
            x, y = batch
            trunk, head = self.trunk.trainable_variables, self.head.trainable_variables
            with tf.GradientTape() as tape:
                loss = self.compute_loss(x, y, self(x, training=True))
            gradients = tape.gradient(loss, trunk + head)
            self.trunk_optimizer.apply(gradients[: len(trunk)], trunk)
            self.optimizer.apply(gradients[len(trunk) :], head)
            return {"loss": loss}

    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    return Fit(TwoRates(), x, y, keras.optimizers.SGD(0.1), loss, skill.classes, steps=400)


family.pair(
    "arc",
    _rivals,
    sickness="maker-rate-too-high",
    sick={"rate": 0.3},
    causes=["learning-rate-too-high", "update-ratio-out-of-range:too-large"],
    layers=("maker_1", "maker_2", "maker_output"),
    level=0.5,
)
family.pair(
    "arc-critic",
    _critic,
    sickness="bound-of-a-thousandth",
    sick={"bound": 1e-3},
    causes=["shrunken-weights", "vanishing-gradient", "gain-mismatch:too-small", "gradient-underflow"],
    layers=("critic_1", "critic_2", "critic_output"),
    level=0.5,
)
family.pair(
    "trunk-and-head",
    _two_rates,
    sickness="trunk-rate-of-nothing",
    sick={"trunk_rate": 1e-7},
    causes=["learning-rate-too-low", "update-ratio-out-of-range:too-small", "unchanged-weights"],
    layers=("trunk_1", "trunk_2", "trunk_output"),
    level=0.7,
)
