"""Two optimizers that play against each other; and learning from rewards. Losses swing by nature."""

from __future__ import annotations

from typing import Any

import numpy as np

from zoo.lazy import keras, tf
from zoo.nets import normal
from zoo.program import Family
from zoo.task import Loop

family = Family("adversarial", half="think")


def _gan(
    seed: int,
    *,
    rate: float = 1e-3,
    judge_rate: float = 2e-3,
    weights: Any = "glorot_uniform",
    least: float = -100.0,
    bias: float = 0.0,
    noise_size: int = 4,
    batch_size: int = 64,
    steps: int = 500,
) -> Loop:
    """The generator, which is what is watched, is to make points of a Gaussian far from the origin."""
    keras.utils.set_random_seed(seed)
    layers = keras.layers
    made = normal(weights) if isinstance(weights, float) else weights
    options = {"kernel_initializer": made, "bias_initializer": keras.initializers.Constant(bias)}
    generator = keras.Sequential(
        [
            keras.Input((noise_size,)),
            layers.Dense(32, "relu", name="generator_1", **options),
            layers.Dense(32, "relu", name="generator_2", **options),
            layers.Dense(2, kernel_initializer=made, name="generated"),
        ]
    )
    critic = keras.Sequential(
        [keras.Input((2,)), layers.Dense(32, "leaky_relu"), layers.Dense(32, "leaky_relu"), layers.Dense(1)]
    )
    mine = keras.optimizers.Adam(rate, beta_1=0.5)
    theirs = keras.optimizers.Adam(judge_rate, beta_1=0.5)
    theirs.build(critic.trainable_variables)
    centre = np.array([2.0, -1.0], "f4")

    def cross(value: float, logits: Any) -> Any:
        return tf.reduce_mean(tf.nn.sigmoid_cross_entropy_with_logits(tf.fill(tf.shape(logits), value), logits))

    def fooled(noise: Any) -> Any:
        made_up = generator(noise, training=True)
        return cross(1.0, critic(tf.clip_by_value(made_up, least, 100.0)))

    def forward(noise: Any, _real: Any) -> Any:
        return fooled(noise)

    def step(noise: Any, real: Any) -> Any:
        with tf.GradientTape() as tape:
            loss = cross(1.0, critic(real)) + cross(0.0, critic(tf.stop_gradient(generator(noise, training=True))))
        parts = critic.trainable_variables
        theirs.apply_gradients(zip(tape.gradient(loss, [v.value for v in parts]), parts, strict=True))
        with tf.GradientTape() as tape:
            loss = fooled(noise)
        parts = generator.trainable_variables
        mine.apply_gradients(zip(tape.gradient(loss, [v.value for v in parts]), parts, strict=True))
        return loss

    def batches(draw: np.random.Generator) -> tuple[Any, ...]:
        noise = draw.normal(size=(batch_size, noise_size)).astype("f4")
        return noise, (centre + 0.5 * draw.normal(size=(batch_size, 2))).astype("f4")

    def score() -> float:
        points = generator(np.random.default_rng(seed).normal(size=(500, noise_size)).astype("f4")).numpy()
        return float(1 - np.linalg.norm(points.mean(0) - centre) / np.linalg.norm(centre))

    return Loop(generator, mine, batches, forward, score, steps=steps, seed=seed, step=step)


def _rewards(
    seed: int, *, rate: float = 1e-2, weights: Any = "glorot_uniform", temperature: float = 1.0, scale: float = 1.0,
    optimizer: str = "Adam", steps: int = 500,
) -> Loop:  # fmt: skip
    """REINFORCE: choose one of four actions by a context; noisy rewards."""
    keras.utils.set_random_seed(seed)
    layers = keras.layers
    made = normal(weights) if isinstance(weights, float) else weights
    policy = keras.Sequential(
        [
            keras.Input((6,)),
            layers.Dense(32, "tanh", kernel_initializer=made, name="policy_1"),
            layers.Dense(32, "tanh", kernel_initializer=made, name="policy_2"),
            layers.Dense(4, kernel_initializer=made, name="actions"),
        ]
    )
    best = np.random.default_rng(7).normal(size=(6, 4)).astype("f4")

    def forward(context: Any, luck: Any) -> Any:
        logits = policy(context, training=True)
        chance = tf.nn.softmax(tf.stop_gradient(logits))
        action = tf.argmax(tf.cumsum(chance, -1) > luck[:, :1], -1)
        right = tf.argmax(context @ best, -1)
        reward = tf.cast(action == right, "float32") + 0.3 * luck[:, 1] - 0.4
        return tf.reduce_mean(scale * reward * tf.nn.sparse_softmax_cross_entropy_with_logits(action, logits))

    def batches(draw: np.random.Generator) -> tuple[Any, ...]:
        context = draw.normal(size=(32, 6)).astype("f4")
        return context, np.stack([draw.random(32), draw.normal(size=32)], 1).astype("f4")

    def score() -> float:
        context = np.random.default_rng(1).normal(size=(1000, 6)).astype("f4")
        right = policy(context).numpy().argmax(-1) == (context @ best).argmax(-1)
        return float((right.mean() - 0.25) / 0.75)

    return Loop(policy, getattr(keras.optimizers, optimizer)(rate), batches, forward, score, steps=steps, seed=seed)


family.pair(
    "gan-detached",
    _gan,
    sickness="made-points-clipped-to-the-wrong-range",
    healthy={},
    sick={"least": 20.0},
    causes=["disconnected-variable", "unchanged-weights", "vanishing-gradient"],
    layers=("generator_1", "generator_2", "generated"),
)
family.pair(
    "gan-slow",
    _gan,
    sickness="rate-too-low",
    healthy={"rate": 2e-3},
    sick={"rate": 1e-7},
    causes=["learning-rate-too-low", "update-ratio-out-of-range:too-small"],
)
family.pair(
    "rewards-rate",
    _rewards,
    sickness="rate-too-high",
    healthy={"rate": 1e-2},
    sick={"rate": 3.0},
    causes=["learning-rate-too-high", "update-ratio-out-of-range:too-large"],
    level=0.4,
)
family.pair(
    "rewards-huge",
    _rewards,
    sickness="unit-variance-weights-times-5",
    healthy={"rate": 5e-3},
    sick={"weights": 5.0},
    causes=["gain-mismatch:too-large", "saturated-activation"],
    layers=("policy_1", "policy_2", "actions"),
    level=0.4,
)
family.pair(
    "gan-dead",
    _gan,
    sickness="negative-biases",
    healthy={"rate": 1e-3, "noise_size": 8},
    sick={"bias": -8.0},
    causes=["dead-units"],
    layers=("generator_1", "generator_2"),
)
family.pair(
    "rewards-tiny",
    _rewards,
    sickness="zero-weights",
    healthy={"rate": 2e-2},
    sick={"weights": "zeros"},
    causes=["symmetric-weights", "gain-mismatch:too-small"],
    level=0.4,
)
